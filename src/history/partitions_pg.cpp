// The daily partitions of the history, made by the scheduler outside the extension.
#include "pg/server.hpp"

#include "history/partition.hpp"
#include "history/tasks_pg.hpp"
#include "pg/spi.hpp"

namespace citadel::history {

namespace {

bool exists(pg::Spi& spi, const std::string& name) {
    return !spi.query("SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                      "WHERE n.nspname = 'citadel' AND c.relname = $1 AND c.relispartition",
                      {pg::arg(name)})
                .empty();
}

// What its rows are also looked up by, besides their time.
std::string subject_of(const std::string& table) {
    if (table == "table_delta")
        return "relation";
    if (table == "index_delta")
        return "index";
    if (table == "table_hour" || table == "index_hour")
        return "relation_id";
    return table == "statement_delta" ? "" : "query_id";
}

// Rows come in the order of their time, so a block range index over it costs next to nothing.
void add_indexes(pg::Spi& spi, const std::string& table, const std::string& partition) {
    const std::string time = table == "sample" ? "ended_at" : "at";
    spi.execute("CREATE INDEX " + partition + "_time ON citadel." + partition + " USING brin (" + time +
                ") WITH (pages_per_range = 16, autosummarize = on)");
    const std::string subject = subject_of(table);
    if (!subject.empty())
        spi.execute("CREATE INDEX " + partition + "_query ON citadel." + partition + " (" + subject + ", " + time +
                    ")");
}

} // namespace

void ensure_partition(const char* table, std::int64_t day) {
    const std::string name = partition_name(table, day);
    pg::Spi spi;
    if (exists(spi, name))
        return;
    // Not CREATE ... PARTITION OF, which locks out readers of the whole history: made apart and attached, it takes a
    // lock that only DDL and VACUUM conflict with.
    spi.execute("CREATE TABLE citadel." + name + " (LIKE citadel." + table + " INCLUDING ALL)");
    add_indexes(spi, table, name);
    spi.execute(std::string("ALTER TABLE citadel.") + table + " ATTACH PARTITION citadel." + name +
                " FOR VALUES FROM ('" + day_start(day) + "') TO ('" + day_start(day + 1) + "')");
}

void ensure_partitions_ahead(TimestampTz now) {
    static std::int64_t made_for = INT64_MIN;
    const std::int64_t today = day_of(now);
    if (made_for == today)
        return;
    const bool made = record_source("partitions", now, [today] {
        for (const std::string_view table : partitioned_tables)
            for (std::int64_t day = today; day <= today + 1; ++day)
                ensure_partition(std::string(table).c_str(), day);
    });
    // The transaction may still fail, so a day counts as done when it is found done.
    static std::int64_t tried_for = INT64_MIN;
    if (made && tried_for == today)
        made_for = today;
    tried_for = today;
}

} // namespace citadel::history
