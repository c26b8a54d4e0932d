// Judges each minute as it is stored, and keeps citadel.regression.
//
// What is usual for a statement is in this process alone: it is made of the stored hours and minutes when a statement
// is first seen, so a restart loses nothing that is not in the tables.
#include "pg/server.hpp"

#include "capture/capture.hpp"
#include "history/arrays_pg.hpp"
#include "history/attribution_pg.hpp"
#include "history/buckets.hpp"
#include "history/regression.hpp"
#include "history/tasks_pg.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

namespace citadel::history {

namespace {

constexpr std::size_t most_watched = 1000; // statements, of 6 kB
constexpr std::int64_t clock_step = 5;     // minutes that the clock has to go back to be believed
constexpr int explained_again = 5;         // minutes in which more may become known of a regression's cause
constexpr int known_after = 3; // minutes in which a statement has to have run before its plans are asked for
constexpr std::size_t plans_a_minute = 40; // that are asked for

struct Watched {
    RegressionWatch watch;
    std::int64_t last_minute = INT64_MIN;
    std::int64_t row = 0; // of the open regression
    int explanations = 0; // of it so far
    int minutes = 0;      // in which it ran
};

std::unordered_map<std::int64_t, Watched>& watches() {
    static std::unordered_map<std::int64_t, Watched> all;
    return all;
}

pg::Arg minute_arg(std::int64_t minute) {
    return pg::arg_timestamptz(minute * USECS_PER_MINUTE);
}

capture::LatencyHistogram from_hex(const std::string& hex) {
    std::string bytes;
    const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1])));
    capture::LatencyHistogram histogram;
    (void)histogram.merge_serial(bytes);
    return histogram;
}

// The stored buckets of a statement before a minute, oldest first.
template <class Learn>
void learn(const char* table, const char* how_long, std::int64_t query_id, std::int64_t before, Learn&& take) {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query(std::string("SELECT (extract(epoch FROM b.at) / 60)::bigint - 15778080, "
                              "encode(citadel.latency_merge(array_agg(b.latency)), 'hex') FROM citadel.") +
                      table + " b WHERE b.query_id = $1 AND b.at >= $2 - interval '" + how_long +
                      "' AND b.at < $2 AND b.toplevel GROUP BY b.at ORDER BY b.at",
                  {pg::arg(query_id), minute_arg(before)});
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (const Observation seen = observe(rows.int64(i, 0), from_hex(rows.text(i, 1))); seen.calls > 0)
            take(seen);
}

Watched begin_watch(std::int64_t query_id, std::int64_t minute) {
    Watched begun;
    RegressionWatch& watch = begun.watch;
    learn("statement_hour", "35 days", query_id, minute, [&](const Observation& o) { watch.learn_hour(o); });
    learn("statement_minute", "3 hours", query_id, minute, [&](const Observation& o) {
        watch.learn_minute(o);
        ++begun.minutes;
    });
    pg::Spi spi;
    const pg::Rows open =
        spi.query("SELECT id, (extract(epoch FROM since) / 60)::bigint - 15778080, usual_ms FROM "
                  "citadel.regression WHERE query_id = $1 AND state = 'open' ORDER BY id DESC LIMIT 1",
                  {pg::arg(query_id)});
    if (!open.empty()) {
        begun.row = open.int64(0, 0);
        watch.resume(open.int64(0, 1), open.float8(0, 2));
    }
    return begun;
}

Watched& watched(std::int64_t query_id, std::int64_t minute) {
    auto& all = watches();
    if (const auto found = all.find(query_id); found != all.end())
        return found->second;
    if (all.size() >= most_watched) {
        const auto oldest = std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
            return a.second.last_minute < b.second.last_minute;
        });
        all.erase(oldest); // an open one is found again in the table
    }
    return all.emplace(query_id, begin_watch(query_id, minute)).first->second;
}

// The cause is found when the regression is, and again in the minutes after: a plan may have been written down since,
// or tables analysed.
void explain(std::int64_t query_id, Watched& seen, std::int64_t minute) {
    const RegressionWatch& watch = seen.watch;
    const Attributed found = attribute_regression(query_id, watch.since() * USECS_PER_MINUTE,
                                                  (minute + 1) * USECS_PER_MINUTE, watch.usual_ms(), watch.ms());
    const Finding& main = found.findings.front();
    pg::Spi spi;
    spi.execute(
        "UPDATE citadel.regression SET cause = $2, why = $3, evidence = $4::jsonb WHERE id = $1",
        {pg::arg(seen.row), pg::arg(std::string(name_of(main.cause))), pg::arg(main.why), pg::arg(found.evidence)});
}

void note_open(std::int64_t query_id, Watched& seen, std::int64_t minute) {
    const RegressionWatch& watch = seen.watch;
    pg::Spi spi;
    if (spi.execute(
            "UPDATE citadel.regression SET last_seen = $2, ms = $3, worst_ms = greatest(worst_ms, $3) WHERE id = "
            "$1 AND state = 'open'",
            {pg::arg(seen.row), minute_arg(minute), pg::arg(watch.ms())}) == 0) {
        seen.row = spi.query("INSERT INTO citadel.regression (query_id, state, since, last_seen, usual_ms, ms, "
                             "worst_ms, cause, why, evidence) VALUES ($1, 'open', $2, $3, $4, $5, $5, 'unknown', '', "
                             "'{}') RETURNING id",
                             {pg::arg(query_id), minute_arg(watch.since()), minute_arg(minute),
                              pg::arg(watch.usual_ms()), pg::arg(watch.ms())})
                       .int64(0, 0);
        seen.explanations = 0;
    }
    if (seen.explanations++ < explained_again)
        explain(query_id, seen, minute);
}

void note_end(Watched& seen, std::int64_t minute, const char* state) {
    pg::Spi spi;
    spi.execute("UPDATE citadel.regression SET state = $2, closed_at = $3, last_seen = $3, ms = $4 WHERE id = $1 AND "
                "state = 'open'",
                {pg::arg(seen.row), pg::arg(std::string(state)), minute_arg(minute), pg::arg(seen.watch.ms())});
    seen.row = 0;
}

void judge(std::int64_t query_id, std::int64_t minute, const capture::LatencyHistogram& latencies) {
    Watched& seen = watched(query_id, minute);
    // A minute may be stored in parts: its first is judged. A minute long past is that of a clock that was put back.
    if (minute <= seen.last_minute && minute + clock_step > seen.last_minute)
        return;
    seen.last_minute = minute;
    ++seen.minutes;
    const RegressionWatch::Event event = seen.watch.observe(observe(minute, latencies));
    if (event == RegressionWatch::Event::closed)
        note_end(seen, minute, "over");
    else if (event == RegressionWatch::Event::accepted)
        note_end(seen, minute, "accepted");
    else if (seen.watch.open())
        note_open(query_id, seen, minute);
}

// Fast statements are never captured, so the plan that they had before they became slow would not be known. Those that
// are watched and have a plan without a text are asked to write it down in their next run, those with the most time
// first.
void ask_for_plans(const std::vector<BucketRow>& rows) {
    std::map<std::pair<std::int64_t, std::int64_t>, double> wanted;
    for (const BucketRow& row : rows) {
        const auto query_id = static_cast<std::int64_t>(row.key.query_id);
        const auto plan_id = static_cast<std::int64_t>(row.key.plan_id);
        const auto found = watches().find(query_id);
        if (row.key.nested == 0 && plan_id != 0 && found != watches().end() && found->second.minutes >= known_after)
            wanted[{query_id, plan_id}] += row.figures.total_ms;
    }
    if (wanted.empty())
        return;
    ValueArray query_id(INT8OID), plan_id(INT8OID), total_ms(FLOAT8OID);
    for (const auto& [plan, ms] : wanted) {
        query_id.add(Int64GetDatum(plan.first));
        plan_id.add(Int64GetDatum(plan.second));
        total_ms.add(Float8GetDatum(ms));
    }
    pg::Spi spi;
    const pg::Rows unknown = spi.query(
        "SELECT w.q, w.p FROM unnest($1, $2, $3) AS w (q, p, ms) WHERE NOT EXISTS (SELECT FROM citadel.plan k WHERE "
        "k.query_id = w.q AND k.plan_id = w.p) ORDER BY w.ms DESC",
        {query_id.arg(), plan_id.arg(), total_ms.arg()}, static_cast<long>(plans_a_minute));
    for (std::size_t i = 0; i < unknown.size(); ++i)
        capture::write_plan_once(static_cast<std::uint64_t>(unknown.int64(i, 0)),
                                 static_cast<std::uint64_t>(unknown.int64(i, 1)));
}

} // namespace

void judge_rows(const std::vector<BucketRow>& rows) {
    watch_statistics(pg::now());
    std::map<std::pair<std::int64_t, std::int64_t>, capture::LatencyHistogram> minutes; // minute, query id
    std::int64_t latest = 0;
    for (const BucketRow& row : rows) {
        latest = std::max<std::int64_t>(latest, row.key.minute);
        if (row.key.query_id != 0 && row.key.nested == 0)
            (void)minutes[{row.key.minute, static_cast<std::int64_t>(row.key.query_id)}].merge_serial(row.latency);
    }
    for (const auto& [key, latencies] : minutes)
        judge(key.second, key.first, latencies);
    ask_for_plans(rows);
    pg::Spi spi;
    spi.execute(
        "UPDATE citadel.regression SET state = 'gone', closed_at = $1 WHERE state = 'open' AND last_seen < $1 - "
        "interval '1 day'",
        {minute_arg(latest)});
}

} // namespace citadel::history
