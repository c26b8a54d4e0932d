#include "history/relation_sql.hpp"

namespace citadel::history {

namespace {

const std::string this_database = "(SELECT oid FROM pg_database WHERE datname = current_database())";
const std::string user_schemas = "n.nspname NOT IN ('citadel', 'pg_catalog', 'information_schema', 'pg_toast') AND "
                                 "n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'";

// Sizes that are measured after a bucket has ended are those at its end when they are measured soon.
const std::string soon = "interval '10 minutes'";

std::string table_of(RelationKind kind, const char* step) {
    return std::string(kind == RelationKind::table ? "citadel.table_" : "citadel.index_") + step;
}

} // namespace

std::string adopt_relations_sql() {
    // What was made anew in this database takes its latest minutes along.
    const auto move_minutes = [](const std::string& name, const std::string& table, const std::string& column) {
        return name + " AS (UPDATE citadel." + table + " d SET " + column +
               " = f.oid FROM found f WHERE f.here AND d." + column +
               " = f.old AND d.at >= $1 - interval '2 days' AND d.at < $1)";
    };
    return "WITH found AS MATERIALIZED (SELECT DISTINCT ON (c.oid) c.oid, o.relation AS old, o.relation_id, "
           "o.database = " +
           this_database +
           " AS here FROM citadel.watched_relation o JOIN pg_namespace n ON n.nspname = o.schema_name JOIN pg_class c "
           "ON c.relnamespace = n.oid AND c.relname = o.relation_name AND (c.relkind IN ('i', 'I')) = (o.kind = "
           "'index') WHERE o.gone_at = 'infinity' AND (o.database <> " +
           this_database +
           " OR NOT EXISTS (SELECT FROM pg_class p WHERE p.oid = o.relation)) AND NOT EXISTS (SELECT FROM "
           "citadel.watched_relation p WHERE p.relation = c.oid AND p.database = " +
           this_database + " AND p.gone_at = 'infinity') ORDER BY c.oid, o.relation_id), " +
           move_minutes("tables", "table_delta", "relation") + ", " + move_minutes("indexes", "index_delta", "index") +
           " UPDATE citadel.watched_relation w SET relation = f.oid, database = " + this_database +
           ", ancestors = '{}', attached_until = 'infinity', oid_since = CASE WHEN f.here THEN w.oid_since ELSE $1 END "
           "FROM found f WHERE w.relation_id = f.relation_id";
}

std::string forget_relations_sql() {
    return "UPDATE citadel.watched_relation w SET gone_at = least(w.gone_at, $1), relation = CASE WHEN w.database = " +
           this_database + " THEN w.relation ELSE 0::oid END, database = " + this_database + " WHERE w.database <> " +
           this_database +
           " OR (w.gone_at = 'infinity' AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = w.relation))";
}

std::string measure_relations_sql() {
    // Ancestors are kept when a partition is detached: until then it was part of them.
    return "WITH index_size AS MATERIALIZED (SELECT i.indexrelid, i.indrelid, citadel.relation_bytes(i.indexrelid) AS "
           "bytes FROM pg_index i), "
           "relation AS MATERIALIZED (SELECT c.oid, c.relname::text AS name, n.nspname::text AS schema_name, "
           "c.relowner, "
           "c.relkind, c.reltoastrelid, c.reltuples, CASE WHEN c.relispartition THEN ARRAY(SELECT a.oid::oid FROM "
           "pg_partition_ancestors(c.oid) WITH ORDINALITY AS a (oid, place) WHERE a.place > 1 ORDER BY a.place) ELSE "
           "'{}' END AS ancestors FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN "
           "('r', 'p', 'm', 'i', 'I') AND c.relpersistence <> 't' AND " +
           user_schemas +
           "), seen AS MATERIALIZED (SELECT r.oid, 'table' AS kind, r.schema_name, r.name, NULL::oid AS indexed, "
           "NULL::text AS indexed_name, r.relowner, r.ancestors, citadel.relation_bytes(r.oid) + "
           "coalesce(citadel.relation_bytes(nullif(r.reltoastrelid, 0)), 0) + coalesce(o.bytes, 0) AS table_bytes, "
           "CASE WHEN r.relkind <> 'p' "
           "THEN coalesce(x.bytes, 0) END AS index_bytes, CASE WHEN r.relkind <> 'p' THEN "
           "coalesce(nullif(pg_stat_get_live_tuples(r.oid), 0), greatest(r.reltuples, 0)::bigint) END AS live_rows, "
           "CASE "
           "WHEN r.relkind <> 'p' THEN pg_stat_get_dead_tuples(r.oid) END AS dead_rows FROM relation r LEFT JOIN "
           "(SELECT "
           "s.indrelid, sum(s.bytes)::bigint AS bytes FROM index_size s GROUP BY s.indrelid) x ON x.indrelid = r.oid "
           "LEFT JOIN index_size o ON o.indrelid = r.reltoastrelid AND r.reltoastrelid <> 0 WHERE r.relkind IN ('r', "
           "'p', 'm') UNION ALL SELECT r.oid, 'index', r.schema_name, r.name, s.indrelid, "
           "t.relname::text, r.relowner, r.ancestors, s.bytes, NULL, NULL, NULL FROM relation r JOIN index_size s ON "
           "s.indexrelid = r.oid JOIN pg_class t ON t.oid = s.indrelid WHERE r.relkind IN ('i', 'I')) "
           "INSERT INTO citadel.watched_relation AS w (relation, database, kind, schema_name, relation_name, "
           "indexed_relation, indexed_name, owner, ancestors, table_bytes, index_bytes, live_rows, dead_rows, "
           "first_seen, oid_since, changed_at) SELECT s.oid, " +
           this_database +
           ", s.kind, s.schema_name, s.name, s.indexed, s.indexed_name, s.relowner, s.ancestors, s.table_bytes, "
           "s.index_bytes, s.live_rows, s.dead_rows, $1, coalesce((SELECT i.installed_at FROM citadel.installation i), "
           "'-infinity'), $1 FROM seen s ON CONFLICT (relation, database) WHERE gone_at = 'infinity' DO UPDATE SET "
           "schema_name = excluded.schema_name, relation_name = excluded.relation_name, indexed_relation = "
           "excluded.indexed_relation, indexed_name = excluded.indexed_name, owner = excluded.owner, ancestors = CASE "
           "WHEN excluded.ancestors = '{}' THEN w.ancestors ELSE excluded.ancestors END, attached_until = CASE WHEN "
           "excluded.ancestors <> '{}' OR w.ancestors = '{}' THEN 'infinity' ELSE least(w.attached_until, $1) END, "
           "changed_at = CASE WHEN (w.table_bytes, w.index_bytes, w.live_rows, w.dead_rows) IS DISTINCT FROM "
           "(excluded.table_bytes, excluded.index_bytes, excluded.live_rows, excluded.dead_rows) THEN $1 ELSE "
           "w.changed_at END, table_bytes = excluded.table_bytes, index_bytes = excluded.index_bytes, live_rows = "
           "excluded.live_rows, dead_rows = excluded.dead_rows WHERE (w.schema_name, w.relation_name, "
           "w.indexed_relation, w.indexed_name, w.owner, w.table_bytes, w.index_bytes, w.live_rows, w.dead_rows) IS "
           "DISTINCT FROM (excluded.schema_name, excluded.relation_name, excluded.indexed_relation, "
           "excluded.indexed_name, excluded.owner, excluded.table_bytes, excluded.index_bytes, excluded.live_rows, "
           "excluded.dead_rows) OR CASE WHEN excluded.ancestors = '{}' THEN w.ancestors <> '{}' AND w.attached_until = "
           "'infinity' ELSE w.ancestors <> excluded.ancestors OR w.attached_until <> 'infinity' END";
}

std::string clear_relations_sql(RelationKind kind, Step step) {
    return "DELETE FROM " + table_of(kind, step_name(step)) + " WHERE at = $1";
}

std::string sum_up_relations_sql(RelationKind kind, Step step) {
    const bool tables = kind == RelationKind::table;
    const std::string end = "$1 + interval '1 " + std::string(step_name(step)) + "'";
    const std::string measured = "w.changed_at >= $1 AND w.changed_at < " + end + " + " + soon;
    // Minutes from before a restore have OIDs that mean something else here.
    const std::string minutes =
        std::string(" FROM ") +
        (tables ? "citadel.table_delta d JOIN citadel.watched_relation w ON w.relation = d.relation"
                : "citadel.index_delta d JOIN citadel.watched_relation w ON w.relation = d.index") +
        " AND d.at >= w.oid_since AND d.at < w.gone_at WHERE w.database = " + this_database +
        " AND d.at >= $1 AND d.at < " + end + " GROUP BY w.relation_id) INSERT INTO " +
        table_of(kind, step_name(step)) + " SELECT $1, w.relation_id";
    const std::string chosen = std::string(" FROM citadel.watched_relation w LEFT JOIN minute m ON m.relation_id = "
                                           "w.relation_id WHERE w.kind = ") +
                               (tables ? "'table'" : "'index'") +
                               " AND w.gone_at > $1 AND (m.relation_id IS NOT NULL OR " + measured + ") ORDER BY ";
    std::string sums, columns;
    const auto add = [&](const std::string& column) {
        sums += ", sum(d." + column + ")::bigint AS " + column;
        columns += ", coalesce(m." + column + ", 0)";
    };
    if (!tables) {
        for (const char* column : {"scans", "rows_read", "rows_fetched"})
            add(column);
        return "WITH minute AS MATERIALIZED (SELECT w.relation_id" + sums + minutes + columns + ", CASE WHEN " +
               measured + " THEN w.table_bytes END" + chosen + "m.scans DESC NULLS LAST LIMIT $2";
    }
    for (const char* column : {"seq_scans", "seq_rows_read", "index_scans", "rows_inserted", "rows_updated",
                               "rows_hot_updated", "rows_deleted"})
        add(column);
    const std::string now_or = ", CASE WHEN " + measured + " THEN w.";
    for (const std::string column : {"table_bytes", "index_bytes", "live_rows", "dead_rows"}) {
        sums.append(", (array_agg(d.")
            .append(column)
            .append(" ORDER BY d.at DESC) FILTER (WHERE d.table_bytes IS NOT ");
        sums.append("NULL))[1] AS ").append(column);
        columns.append(now_or).append(column).append(" ELSE m.").append(column).append(" END");
    }
    return "WITH minute AS MATERIALIZED (SELECT w.relation_id" + sums + minutes + columns + chosen +
           "m.rows_inserted + m.rows_updated + m.rows_deleted + m.seq_scans + m.index_scans DESC NULLS LAST LIMIT $2";
}

std::string relation_buckets_due_sql(Step step) {
    const std::string name = step_name(step);
    const auto begins = [&name](const char* table) {
        return "SELECT DISTINCT date_trunc('" + name + "', at, 'UTC') AS at FROM citadel." + table +
               " WHERE at >= $1 AND at < $2";
    };
    return "SELECT (extract(epoch FROM b.at) * 1000000)::bigint - 946684800000000 FROM (" + begins("table_delta") +
           " UNION " + begins("index_delta") + " UNION SELECT $2 - interval '1 " + name +
           "' WHERE $2 > $1) AS b "
           "ORDER BY 1";
}

std::string relation_sizes_sql() {
    const auto latest = [](RelationKind kind, const char* step, const std::string& since) {
        const bool table = kind == RelationKind::table;
        const std::string size = table ? "b.table_bytes" : "b.size_bytes";
        const std::string length = "interval '1 " + std::string(step) + "'";
        return "(SELECT b.at + " + length + " AS at, " + size + " AS table_bytes, " +
               (table ? "b.index_bytes, b.live_rows, b.dead_rows"
                      : "NULL::bigint AS index_bytes, NULL::bigint AS live_rows, NULL::bigint AS dead_rows") +
               " FROM " + table_of(kind, step) + " b WHERE w.kind = " + (table ? "'table'" : "'index'") +
               " AND b.relation_id = w.relation_id AND " + since + "b.at <= r.moment - " + length + " AND " + size +
               " IS NOT NULL ORDER BY b.at DESC LIMIT 1) UNION ALL ";
    };
    // Only what has not been summed up to days is to be found in hours alone.
    const std::string not_in_days =
        "b.at >= least(date_trunc('day', r.moment, 'UTC'), (SELECT coalesce(max(s.done_until), '-infinity') FROM "
        "citadel.relation_state s WHERE s.step = 'day')) AND ";
    std::string sizes;
    for (const RelationKind kind : {RelationKind::table, RelationKind::index})
        sizes += latest(kind, "day", "") + latest(kind, "hour", not_in_days);
    return "SELECT r.place, k.table_bytes, k.index_bytes, k.live_rows, k.dead_rows FROM unnest($1, $2) WITH ORDINALITY "
           "AS r (relation_id, moment, place) JOIN citadel.watched_relation w USING (relation_id) CROSS JOIN LATERAL "
           "(SELECT a.* FROM (" +
           sizes +
           "SELECT w.changed_at, w.table_bytes, w.index_bytes, w.live_rows, w.dead_rows WHERE w.changed_at < r.moment "
           "AND w.table_bytes IS NOT NULL) AS a ORDER BY a.at DESC LIMIT 1) AS k WHERE pg_has_role($3, "
           "'pg_read_all_stats', 'USAGE') OR pg_has_role($3, w.owner, 'USAGE')";
}

} // namespace citadel::history
