#include "history/snapshot_sql.hpp"

#include "text/fill.hpp"

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace citadel::history {

namespace {

// Our column, and the expression that gives it.
using Counter = std::pair<std::string, std::string>;

std::string join(const std::vector<Counter>& counters, const char* between, std::string (*item)(const Counter&)) {
    std::string text;
    for (const Counter& counter : counters) {
        if (!text.empty())
            text += between;
        text += item(counter);
    }
    return text;
}

std::string expression_as_name(const Counter& counter) {
    return counter.second + " AS " + counter.first;
}
std::string name(const Counter& counter) {
    return counter.first;
}
std::string last_as_name(const Counter& counter) {
    return "l." + counter.first + " AS last_" + counter.first;
}
std::string lower_than_last(const Counter& counter) {
    return "c." + counter.first + " < l." + counter.first;
}
std::string differs_from_last(const Counter& counter) {
    return counter.first + " IS DISTINCT FROM last_" + counter.first;
}
std::string difference(const Counter& counter) {
    return "CASE WHEN fresh THEN " + counter.first + " ELSE greatest(" + counter.first + " - last_" + counter.first +
           ", 0) END AS " + counter.first;
}
std::string sum(const Counter& counter) {
    return "sum(" + counter.first + ")";
}
std::string take_excluded(const Counter& counter) {
    return counter.first + " = excluded." + counter.first;
}
std::string positive(const Counter& counter) {
    return counter.first + " > 0";
}

// The sum of those columns that this version has, or a zero.
std::string sum_of_present(const std::set<std::string>& columns, std::initializer_list<const char*> wanted) {
    std::string text;
    for (const char* column : wanted) {
        if (columns.count(column) == 0)
            continue;
        if (!text.empty())
            text += " + ";
        text += std::string("coalesce(s.") + column + ", 0)";
    }
    return text.empty() ? "0::double precision" : "(" + text + ")";
}

std::vector<Counter> statement_counters(const std::set<std::string>& columns) {
    return {
        {"calls", "s.calls"},
        {"total_ms", "s.total_exec_time"},
        {"plan_ms", sum_of_present(columns, {"total_plan_time"})},
        {"rows", "s.rows"},
        {"shared_hit", "s.shared_blks_hit"},
        {"shared_read", "s.shared_blks_read"},
        {"temp_blocks", "s.temp_blks_read + s.temp_blks_written"},
        {"wal_bytes", columns.count("wal_bytes") > 0 ? "s.wal_bytes::bigint" : "0::bigint"},
        {"io_ms", sum_of_present(columns, {"blk_read_time", "blk_write_time", "shared_blk_read_time",
                                           "shared_blk_write_time", "local_blk_read_time", "local_blk_write_time",
                                           "temp_blk_read_time", "temp_blk_write_time"})},
        // jit_deform_time is part of the generation time
        {"jit_ms", sum_of_present(columns, {"jit_generation_time", "jit_inlining_time", "jit_optimization_time",
                                            "jit_emission_time"})},
    };
}

const std::vector<Counter>& table_counters() {
    static const std::vector<Counter> counters = {
        {"seq_scans", "coalesce(s.seq_scan, 0)"},     {"seq_rows_read", "coalesce(s.seq_tup_read, 0)"},
        {"index_scans", "coalesce(s.idx_scan, 0)"},   {"rows_inserted", "coalesce(s.n_tup_ins, 0)"},
        {"rows_updated", "coalesce(s.n_tup_upd, 0)"}, {"rows_hot_updated", "coalesce(s.n_tup_hot_upd, 0)"},
        {"rows_deleted", "coalesce(s.n_tup_del, 0)"},
    };
    return counters;
}

const std::string this_database = "(SELECT oid FROM pg_database WHERE datname = current_database())";
// Our own tables and other sessions' temporary ones are nobody's workload.
const std::string counted_schemas = "s.schemaname <> 'citadel' AND s.schemaname NOT LIKE 'pg\\_temp\\_%'";

// What the snapshots of statements and of tables do with their counters. One of `falling` that is lower than it was
// last seen tells of a reset.
std::map<std::string_view, std::string> counter_texts(const std::vector<Counter>& counters,
                                                      const std::vector<Counter>& falling) {
    return {{"read_counters", join(counters, ", ", expression_as_name)},
            {"any_lower", join(falling, " OR ", lower_than_last)},
            {"last_counters", join(counters, ", ", last_as_name)},
            {"differences", join(counters, ", ", difference)},
            {"counters", join(counters, ", ", name)},
            {"any_differs", join(counters, " OR ", differs_from_last)},
            {"take_counters", join(counters, ", ", take_excluded)}};
}

} // namespace

std::string statement_snapshot_sql(const StatementSource& source) {
    const std::vector<Counter> counters = statement_counters(source.columns);
    const bool nested_apart = source.columns.count("toplevel") > 0;
    const bool dated = source.columns.count("stats_since") > 0;
    std::map<std::string_view, std::string> texts = counter_texts(counters, counters);
    texts["toplevel"] = nested_apart ? "s.toplevel" : "true AS toplevel";
    texts["stats_since"] = dated ? "s.stats_since" : "NULL::timestamptz AS stats_since";
    texts["schema"] = source.schema;
    texts["this_database"] = this_database;
    texts["most"] = std::to_string(max_statement_rows);
    texts["sums"] = join(counters, ", ", sum);
    return fill(R"(
        WITH seen AS MATERIALIZED (
            SELECT s.userid AS user_id, s.queryid AS query_id, {toplevel}, {stats_since}, {read_counters}
            FROM {schema}.pg_stat_statements(false) s WHERE s.dbid = {this_database} AND s.queryid IS NOT NULL
        ), compared AS MATERIALIZED (
            SELECT c.*, l.query_id IS NULL OR $3 OR coalesce(c.stats_since > $4, false) OR {any_lower} AS fresh,
                {last_counters}
            FROM seen c LEFT JOIN citadel.statement_counter l USING (query_id, user_id, toplevel)
        ), ranked AS MATERIALIZED (
            SELECT query_id, user_id, toplevel, {differences}, row_number() OVER (
                ORDER BY CASE WHEN fresh THEN total_ms ELSE total_ms - last_total_ms END DESC, query_id) AS place
            FROM compared WHERE NOT $2 AND (fresh OR calls <> last_calls)
        ), kept AS (
            INSERT INTO citadel.statement_counter AS k (query_id, user_id, toplevel, {counters})
            SELECT query_id, user_id, toplevel, {counters} FROM compared WHERE last_calls IS NULL OR {any_differs}
            ON CONFLICT (query_id, user_id, toplevel) DO UPDATE SET {take_counters}
        ), gone AS (
            DELETE FROM citadel.statement_counter k
            WHERE NOT EXISTS (SELECT FROM seen c WHERE c.query_id = k.query_id AND c.user_id = k.user_id
                                                   AND c.toplevel = k.toplevel)
        ), stored AS (
            INSERT INTO citadel.statement_delta (at, query_id, user_id, toplevel, {counters})
            SELECT $1, query_id, user_id, toplevel, {counters} FROM ranked WHERE place <= {most}
            UNION ALL
            SELECT $1, 0, 0::oid, toplevel, {sums} FROM ranked WHERE place > {most} GROUP BY toplevel
            RETURNING 1
        )
        SELECT count(*) FROM stored)",
                texts);
}

std::string new_texts_sql(const StatementSource& source) {
    // The texts lie in one file that is read whole: only when there are new ones. One text for a statement, nested or
    // not.
    return fill(R"(
        WITH wanted AS MATERIALIZED (
            SELECT DISTINCT d.query_id, d.user_id
            FROM citadel.statement_delta d JOIN citadel.statement_counter k USING (query_id, user_id, toplevel)
            WHERE d.at = $1 AND NOT k.text_read
        )
        SELECT s.userid, s.queryid, min(s.query)
        FROM {schema}.pg_stat_statements(EXISTS (SELECT FROM wanted)) s
        JOIN wanted w ON w.query_id = s.queryid AND w.user_id = s.userid
        WHERE s.dbid = {this_database} GROUP BY s.userid, s.queryid)",
                {{"schema", source.schema}, {"this_database", this_database}});
}

std::string table_snapshot_sql() {
    const std::vector<Counter>& counters = table_counters();
    // Scans of its indexes are a sum over those that there are: a dropped one lowers it, and nothing was reset.
    std::vector<Counter> own = counters;
    own.erase(std::remove_if(own.begin(), own.end(), [](const Counter& c) { return c.first == "index_scans"; }),
              own.end());
    std::map<std::string_view, std::string> texts = counter_texts(counters, own);
    texts["counted_schemas"] = counted_schemas;
    texts["most"] = std::to_string(max_measured_tables);
    texts["any_positive"] = join(counters, " OR ", positive);
    return fill(R"(
        WITH seen AS MATERIALIZED (
            SELECT s.relid AS relation, s.schemaname AS schema_name, s.relname AS table_name, {read_counters}
            FROM pg_stat_user_tables s WHERE {counted_schemas}
        ), compared AS MATERIALIZED (
            SELECT c.*, l.relation IS NULL OR {any_lower} AS fresh, l.relation IS NULL AS new, {last_counters}
            FROM seen c LEFT JOIN citadel.table_counter l USING (relation)
        ), changed AS (
            SELECT relation, schema_name, table_name, {differences} FROM compared WHERE NOT $2
        ), kept AS (
            INSERT INTO citadel.table_counter AS k (relation, {counters})
            SELECT relation, {counters} FROM compared WHERE new OR {any_differs}
            ON CONFLICT (relation) DO UPDATE SET {take_counters}
        ), gone AS (
            DELETE FROM citadel.table_counter k WHERE NOT EXISTS (SELECT FROM seen c WHERE c.relation = k.relation)
        ), ranked AS (
            SELECT *, row_number() OVER (ORDER BY rows_inserted + rows_updated + rows_deleted DESC) <= {most}
                AND rows_inserted + rows_updated + rows_deleted > 0 AS measured
            FROM changed WHERE {any_positive}
        ), stored AS (
            INSERT INTO citadel.table_delta (at, relation, schema_name, table_name, {counters},
                table_bytes, index_bytes, live_rows, dead_rows)
            SELECT $1, relation, schema_name, table_name, {counters},
                CASE WHEN measured THEN citadel.relation_bytes(relation) + coalesce((
                    SELECT citadel.relation_bytes(t.oid) + (
                        SELECT sum(citadel.relation_bytes(i.indexrelid)) FROM pg_index i WHERE i.indrelid = t.oid)
                    FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = relation), 0) END,
                CASE WHEN measured THEN coalesce((SELECT sum(citadel.relation_bytes(i.indexrelid)) FROM pg_index i
                                                  WHERE i.indrelid = relation), 0) END,
                CASE WHEN measured THEN pg_stat_get_live_tuples(relation) END,
                CASE WHEN measured THEN pg_stat_get_dead_tuples(relation) END
            FROM ranked RETURNING 1
        )
        SELECT count(*) FROM stored)",
                texts);
}

std::string adopt_index_usage_sql() {
    return fill(R"(
        INSERT INTO citadel.index_counter (index, database, schema_name, index_name, last_counter, scans_total,
            last_used, first_seen)
        SELECT DISTINCT ON (i.oid) i.oid, {this_database}, u.schema_name, u.index_name,
            CASE WHEN u.database = {this_database} THEN u.last_counter ELSE 0 END, u.scans_total, u.last_used,
            u.first_seen
        FROM citadel.index_counter u
        JOIN pg_namespace n ON n.nspname = u.schema_name
        JOIN pg_class i ON i.relnamespace = n.oid AND i.relname = u.index_name AND i.relkind = 'i'
        WHERE u.database <> {this_database}
           OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = u.index AND c.relkind = 'i')
        ORDER BY i.oid, u.last_used DESC NULLS LAST
        ON CONFLICT DO NOTHING)",
                {{"this_database", this_database}});
}

std::string forget_index_usage_sql() {
    return fill(R"(
        DELETE FROM citadel.index_counter u
        WHERE u.database <> {this_database}
           OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = u.index AND c.relkind = 'i'))",
                {{"this_database", this_database}});
}

std::string index_snapshot_sql(bool has_last_scan) {
    return fill(R"(
        WITH seen AS MATERIALIZED (
            SELECT s.indexrelid AS index, s.relid AS relation, s.schemaname AS schema_name,
                s.indexrelname AS index_name, coalesce(s.idx_scan, 0) AS counter,
                coalesce(s.idx_tup_read, 0) AS rows_read, coalesce(s.idx_tup_fetch, 0) AS rows_fetched,
                {last_scan} AS last_scan
            FROM pg_stat_user_indexes s WHERE {counted_schemas}
        ), compared AS MATERIALIZED (
            SELECT c.*, l.index IS NULL AS new, l.last_counter,
                l.schema_name IS DISTINCT FROM c.schema_name OR l.index_name IS DISTINCT FROM c.index_name AS renamed,
                CASE WHEN l.index IS NULL OR c.counter < l.last_counter THEN c.counter
                     ELSE c.counter - l.last_counter END AS scans,
                c.rows_read - CASE WHEN l.index IS NULL OR c.rows_read < l.last_rows_read THEN 0
                                   ELSE l.last_rows_read END AS new_rows_read,
                c.rows_fetched - CASE WHEN l.index IS NULL OR c.rows_fetched < l.last_rows_fetched THEN 0
                                      ELSE l.last_rows_fetched END AS new_rows_fetched
            FROM seen c LEFT JOIN citadel.index_counter l ON l.index = c.index AND l.database = {this_database}
        ), kept AS (
            INSERT INTO citadel.index_counter AS u (index, database, schema_name, index_name, last_counter, scans_total,
                last_used, first_seen, last_rows_read, last_rows_fetched)
            SELECT index, {this_database}, schema_name, index_name, counter, scans,
                CASE WHEN scans > 0 THEN coalesce(last_scan, CASE WHEN NOT (new AND $2) THEN $1 END) END, $1, rows_read,
                rows_fetched
            FROM compared WHERE new OR renamed OR counter <> last_counter
            ON CONFLICT (index, database) DO UPDATE
            SET schema_name = excluded.schema_name, index_name = excluded.index_name,
                last_counter = excluded.last_counter, last_rows_read = excluded.last_rows_read,
                last_rows_fetched = excluded.last_rows_fetched,
                scans_total = u.scans_total + excluded.scans_total,
                last_used = coalesce(excluded.last_used, u.last_used)
        ), stored AS (
            INSERT INTO citadel.index_delta (at, index, relation, scans, rows_read, rows_fetched)
            SELECT $1, index, relation, scans, new_rows_read, new_rows_fetched
            FROM compared WHERE scans > 0 AND NOT $2 RETURNING 1
        )
        SELECT count(*) FROM stored)",
                {{"last_scan", has_last_scan ? "s.last_idx_scan" : "NULL::timestamptz"},
                 {"counted_schemas", counted_schemas},
                 {"this_database", this_database}});
}

} // namespace citadel::history
