// Snapshots of pg_stat_statements, of table counters and of index counters, once a minute, as deltas.
#include "pg/server.hpp"

#include "capture/normalize.hpp"
#include "history/arrays_pg.hpp"
#include "history/partition.hpp"
#include "history/snapshot_sql.hpp"
#include "history/tasks_pg.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"

namespace citadel::history {

namespace {

constexpr std::size_t longest_text = 65536;

struct LastSnapshot {
    bool known = false; // this server has taken a snapshot of this source in this database
    pg::Arg at = pg::null(TIMESTAMPTZOID);
    std::string stats_reset;
};

LastSnapshot last_snapshot(pg::Spi& spi, const char* source) {
    LastSnapshot last;
    const pg::Rows rows =
        spi.query("SELECT last_at, stats_reset FROM citadel.snapshot_state WHERE source = $1 AND last_at IS NOT NULL "
                  "AND timeline = left(pg_walfile_name(pg_current_wal_lsn()), 8)",
                  {pg::arg(source)});
    if (rows.empty())
        return last;
    last.known = true;
    last.at = pg::arg_as(TIMESTAMPTZOID, rows.text(0, 0));
    last.stats_reset = rows.text(0, 1);
    return last;
}

std::vector<pg::Arg> parameters(TimestampTz now, const LastSnapshot& last, bool reset) {
    return {pg::arg_timestamptz(now), pg::arg(!last.known), pg::arg(reset), last.at};
}

std::set<std::string> columns_of(pg::Spi& spi, const std::string& relation) {
    const pg::Rows rows =
        spi.query("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT "
                  "attisdropped",
                  {pg::arg(relation)});
    std::set<std::string> columns;
    for (std::size_t i = 0; i < rows.size(); ++i)
        columns.insert(rows.text(i, 0));
    return columns;
}

StatementSource find_statements(pg::Spi& spi) {
    const pg::Rows extension =
        spi.query("SELECT quote_ident(n.nspname), e.extversion FROM pg_extension e JOIN pg_namespace n "
                  "ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'");
    if (extension.empty())
        pg::raise(ERRCODE_UNDEFINED_OBJECT, "extension pg_stat_statements is not installed in this database", {},
                  "Run CREATE EXTENSION pg_stat_statements.");
    StatementSource source{extension.text(0, 0), columns_of(spi, extension.text(0, 0) + ".pg_stat_statements")};
    if (!source.usable())
        pg::raise(ERRCODE_FEATURE_NOT_SUPPORTED,
                  "version " + extension.text(0, 1) + " of pg_stat_statements is too old to be read", {},
                  "Run ALTER EXTENSION pg_stat_statements UPDATE.");
    return source;
}

// Texts of statements met for the first time. Even those of pg_stat_statements may hold literals (an entry evicted
// while it ran is stored as it was written; utility statements always are), so they go through our own lexer.
void store_new_texts(const StatementSource& source, TimestampTz now) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(new_texts_sql(source), {pg::arg_timestamptz(now)});
    ValueArray looked_at_user(OIDOID), looked_at_id(INT8OID), user(OIDOID), id(INT8OID), truncated(BOOLOID);
    TextArray text;
    std::string buffer(longest_text, '\0');
    for (std::size_t i = 0; i < rows.size(); ++i) {
        looked_at_user.add(ObjectIdGetDatum(rows.oid(i, 0)));
        looked_at_id.add(Int64GetDatum(rows.int64(i, 1)));
        const std::string_view query = capture::plannable_part(rows.text(i, 2));
        if (query.empty())
            continue;
        const capture::Normalized kept = capture::normalize_into(query, {}, buffer.data(), buffer.size(), nullptr, 0);
        user.add(ObjectIdGetDatum(rows.oid(i, 0)));
        id.add(Int64GetDatum(rows.int64(i, 1)));
        text.add(buffer.substr(0, kept.length));
        truncated.add(BoolGetDatum(kept.truncated));
    }
    if (rows.empty())
        return;
    spi.execute("INSERT INTO citadel.statement (query_id, user_id, query, truncated, first_seen, last_seen) "
                "SELECT q, u, t, c, $5, $5 FROM unnest($1, $2, $3, $4) AS a (q, u, t, c) ON CONFLICT DO NOTHING",
                {id.arg(), user.arg(), text.arg(), truncated.arg(), pg::arg_timestamptz(now)});
    spi.execute("UPDATE citadel.statement_counter k SET text_read = true FROM unnest($1, $2) AS a (q, u) "
                "WHERE k.query_id = a.q AND k.user_id = a.u",
                {looked_at_id.arg(), looked_at_user.arg()});
}

// last_seen keeps a statement from being pruned; to the hour, so that an active one is not rewritten every minute.
void touch_statements(pg::Spi& spi, TimestampTz now) {
    spi.execute("UPDATE citadel.statement s SET last_seen = $1 FROM (SELECT DISTINCT query_id, user_id FROM "
                "citadel.statement_delta WHERE at = $1) d WHERE s.query_id = d.query_id AND s.user_id = d.user_id AND "
                "s.last_seen < $1 - interval '1 hour'",
                {pg::arg_timestamptz(now)});
}

void snapshot_statements(TimestampTz now) {
    ensure_partition("statement_delta", day_of(now));
    pg::Spi spi;
    const StatementSource source = find_statements(spi);
    const LastSnapshot last = last_snapshot(spi, "statements");
    std::string stats_reset;
    if (!columns_of(spi, source.schema + ".pg_stat_statements_info").empty())
        stats_reset = spi.query("SELECT stats_reset FROM " + source.schema + ".pg_stat_statements_info").text(0, 0);
    const bool reset = last.known && last.stats_reset != stats_reset;
    spi.query(statement_snapshot_sql(source), parameters(now, last, reset));
    // The texts of all databases come together, and one that is not in this one's encoding spoils the lot: the figures
    // are had without them.
    record_source("texts of pg_stat_statements", now, [&source, now] { store_new_texts(source, now); });
    touch_statements(spi, now);
    if (!stats_reset.empty())
        spi.execute(
            "INSERT INTO citadel.snapshot_state (source, stats_reset) VALUES ('statements', $1) ON CONFLICT (source) "
            "DO UPDATE SET stats_reset = excluded.stats_reset",
            {pg::arg_as(TIMESTAMPTZOID, stats_reset)});
}

void snapshot_tables(TimestampTz now) {
    ensure_partition("table_delta", day_of(now));
    pg::Spi spi;
    spi.query(table_snapshot_sql(), parameters(now, last_snapshot(spi, "tables"), false));
}

void snapshot_indexes(TimestampTz now) {
    ensure_partition("index_delta", day_of(now));
    pg::Spi spi;
    spi.execute(adopt_index_usage_sql());
    spi.execute(forget_index_usage_sql());
    const bool has_last_scan = columns_of(spi, "pg_catalog.pg_stat_user_indexes").count("last_idx_scan") > 0;
    spi.query(index_snapshot_sql(has_last_scan), parameters(now, last_snapshot(spi, "indexes"), false));
}

} // namespace

void snapshot(bool asked) {
    if (restore_in_progress())
        return;
    const TimestampTz now = pg::now();
    ensure_partitions_ahead(now);
    {
        // One at a time, should two processes ever do this at once; readers and writers are not locked out.
        pg::Spi spi;
        spi.execute("LOCK TABLE citadel.snapshot_state IN SHARE UPDATE EXCLUSIVE MODE");
    }
    record_source("statements", now, [now] { snapshot_statements(now); });
    record_source("tables", now, [now] { snapshot_tables(now); });
    record_source("indexes", now, [now] { snapshot_indexes(now); });
    follow_relations(now, asked);
}

} // namespace citadel::history
