// Kept in the scheduler's memory, bounded; a restart begins anew.
#include "pg/server.hpp"

#include "history/attribution_pg.hpp"
#include "history/attribution_watch_pg.hpp"
#include "pg/spi.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>

namespace citadel::history {

namespace {

constexpr std::size_t most_waits = 50000;
constexpr std::int64_t waits_kept = 180; // minutes

struct Analyzed {
    std::int64_t count = 0;
    TimestampTz at = 0;
};

std::unordered_map<Oid, Analyzed>& analyzed() {
    static std::unordered_map<Oid, Analyzed> tables;
    return tables;
}

struct SeenWait {
    std::int64_t minute;
    std::int64_t query_id;
    double seconds;
    std::string type; // empty: it ran
};

std::deque<SeenWait>& seen_waits() {
    static std::deque<SeenWait> waits;
    return waits;
}

} // namespace

void watch_statistics(TimestampTz now) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT c.oid, pg_stat_get_analyze_count(c.oid) + pg_stat_get_autoanalyze_count(c.oid) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' "
        "AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'citadel', 'pg_toast')");
    auto& tables = analyzed();
    const bool first = tables.empty();
    std::unordered_map<Oid, Analyzed> current;
    current.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Analyzed table{rows.int64(i, 1), 0};
        if (const auto known = tables.find(rows.oid(i, 0)); known != tables.end())
            table.at = table.count > known->second.count ? now : known->second.at;
        else if (!first && table.count > 0)
            table.at = now;
        current.emplace(rows.oid(i, 0), table);
    }
    tables = std::move(current);
}

TimestampTz analyzed_at(Oid table) {
    const auto found = analyzed().find(table);
    return found == analyzed().end() ? 0 : found->second.at;
}

// Each look stands for the time since the last one.
void watch_waits(TimestampTz now) {
    static TimestampTz last = 0;
    const double seconds = std::clamp(static_cast<double>(now - last) / USECS_PER_SEC, 0.1, 10.0);
    last = now;
    const std::int64_t minute = now / USECS_PER_MINUTE;
    auto& waits = seen_waits();
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT query_id, coalesce(wait_event_type, ''), count(*) FROM pg_stat_activity WHERE datname = "
        "current_database() AND state = 'active' AND query_id IS NOT NULL AND backend_type = 'client backend' "
        "AND coalesce(wait_event_type, '') NOT IN ('Client', 'Activity') GROUP BY 1, 2");
    for (std::size_t i = 0; i < rows.size(); ++i)
        waits.push_back({minute, rows.int64(i, 0), seconds * static_cast<double>(rows.int64(i, 2)), rows.text(i, 1)});
    while (!waits.empty() && (waits.size() > most_waits || waits.front().minute < minute - waits_kept))
        waits.pop_front();
}

SeenWaits waits_between(std::int64_t query_id, TimestampTz from, TimestampTz to) {
    SeenWaits sum;
    std::map<std::string, double> by_type;
    for (const SeenWait& wait : seen_waits()) {
        const TimestampTz at = wait.minute * USECS_PER_MINUTE;
        if (wait.query_id != query_id || at < from || at >= to)
            continue;
        sum.seconds += wait.seconds;
        if (wait.type.empty())
            continue;
        sum.waiting += wait.seconds;
        by_type[wait.type] += wait.seconds;
    }
    const auto most = std::max_element(by_type.begin(), by_type.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most != by_type.end())
        sum.most = most->first;
    return sum;
}

} // namespace citadel::history
