#include "history/relation_sql.hpp"

#include "text/fill.hpp"

namespace citadel::history {

namespace {

const std::string this_database = "(SELECT oid FROM pg_database WHERE datname = current_database())";

std::string table_of(RelationKind kind, const char* step) {
    return std::string(kind == RelationKind::table ? "citadel.table_" : "citadel.index_") + step;
}

} // namespace

std::string adopt_relations_sql() {
    // What was made anew in this database takes its latest minutes along.
    return fill(R"(
        WITH found AS MATERIALIZED (
            SELECT DISTINCT ON (c.oid) c.oid, o.relation AS old, o.relation_id, o.database = {this_database} AS here
            FROM citadel.watched_relation o
            JOIN pg_namespace n ON n.nspname = o.schema_name
            JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = o.relation_name
                AND (c.relkind IN ('i', 'I')) = (o.kind = 'index')
            WHERE o.gone_at = 'infinity'
              AND (o.database <> {this_database} OR NOT EXISTS (SELECT FROM pg_class p WHERE p.oid = o.relation))
              AND NOT EXISTS (SELECT FROM citadel.watched_relation p
                              WHERE p.relation = c.oid AND p.database = {this_database} AND p.gone_at = 'infinity')
            ORDER BY c.oid, o.relation_id
        ), tables AS (
            UPDATE citadel.table_delta d SET relation = f.oid FROM found f
            WHERE f.here AND d.relation = f.old AND d.at >= $1 - interval '2 days' AND d.at < $1
        ), indexes AS (
            UPDATE citadel.index_delta d SET index = f.oid FROM found f
            WHERE f.here AND d.index = f.old AND d.at >= $1 - interval '2 days' AND d.at < $1
        )
        UPDATE citadel.watched_relation w
        SET relation = f.oid, database = {this_database}, ancestors = '{}', attached_until = 'infinity',
            oid_since = CASE WHEN f.here THEN w.oid_since ELSE $1 END
        FROM found f WHERE w.relation_id = f.relation_id)",
                {{"this_database", this_database}});
}

std::string forget_relations_sql() {
    return fill(R"(
        UPDATE citadel.watched_relation w
        SET gone_at = least(w.gone_at, $1), database = {this_database},
            relation = CASE WHEN w.database = {this_database} THEN w.relation ELSE 0::oid END
        WHERE w.database <> {this_database}
           OR (w.gone_at = 'infinity' AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = w.relation)))",
                {{"this_database", this_database}});
}

std::string measure_relations_sql() {
    // Ancestors are kept when a partition is detached: until then it was part of them.
    return fill(R"(
        WITH index_size AS MATERIALIZED (
            SELECT i.indexrelid, i.indrelid, citadel.relation_bytes(i.indexrelid) AS bytes FROM pg_index i
        ), relation AS MATERIALIZED (
            SELECT c.oid, c.relname::text AS name, n.nspname::text AS schema_name, c.relowner, c.relkind,
                c.reltoastrelid, c.reltuples, CASE WHEN c.relispartition
                    THEN ARRAY(SELECT a.oid::oid FROM pg_partition_ancestors(c.oid) WITH ORDINALITY AS a (oid, place)
                               WHERE a.place > 1 ORDER BY a.place)
                    ELSE '{}' END AS ancestors
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I') AND c.relpersistence <> 't'
              AND n.nspname NOT IN ('citadel', 'pg_catalog', 'information_schema', 'pg_toast')
              AND n.nspname NOT LIKE 'pg\_temp\_%' AND n.nspname NOT LIKE 'pg\_toast\_temp\_%'
        ), seen AS MATERIALIZED (
            SELECT r.oid, 'table' AS kind, r.schema_name, r.name, NULL::oid AS indexed, NULL::text AS indexed_name,
                r.relowner, r.ancestors, citadel.relation_bytes(r.oid) +
                    coalesce(citadel.relation_bytes(nullif(r.reltoastrelid, 0)), 0) +
                    coalesce(o.bytes, 0) AS table_bytes,
                CASE WHEN r.relkind <> 'p' THEN coalesce(x.bytes, 0) END AS index_bytes,
                CASE WHEN r.relkind <> 'p' THEN coalesce(nullif(pg_stat_get_live_tuples(r.oid), 0),
                                                         greatest(r.reltuples, 0)::bigint) END AS live_rows,
                CASE WHEN r.relkind <> 'p' THEN pg_stat_get_dead_tuples(r.oid) END AS dead_rows
            FROM relation r
            LEFT JOIN (SELECT s.indrelid, sum(s.bytes)::bigint AS bytes FROM index_size s GROUP BY s.indrelid) x
                ON x.indrelid = r.oid
            LEFT JOIN index_size o ON o.indrelid = r.reltoastrelid AND r.reltoastrelid <> 0
            WHERE r.relkind IN ('r', 'p', 'm')
            UNION ALL
            SELECT r.oid, 'index', r.schema_name, r.name, s.indrelid, t.relname::text, r.relowner, r.ancestors, s.bytes,
                NULL, NULL, NULL
            FROM relation r JOIN index_size s ON s.indexrelid = r.oid JOIN pg_class t ON t.oid = s.indrelid
            WHERE r.relkind IN ('i', 'I')
        )
        INSERT INTO citadel.watched_relation AS w (relation, database, kind, schema_name, relation_name,
            indexed_relation, indexed_name, owner, ancestors, table_bytes, index_bytes, live_rows, dead_rows,
            first_seen, oid_since, changed_at)
        SELECT s.oid, {this_database}, s.kind, s.schema_name, s.name, s.indexed, s.indexed_name, s.relowner,
            s.ancestors, s.table_bytes, s.index_bytes, s.live_rows, s.dead_rows, $1,
            coalesce((SELECT i.installed_at FROM citadel.installation i), '-infinity'), $1
        FROM seen s
        ON CONFLICT (relation, database) WHERE gone_at = 'infinity' DO UPDATE
        SET schema_name = excluded.schema_name, relation_name = excluded.relation_name,
            indexed_relation = excluded.indexed_relation, indexed_name = excluded.indexed_name, owner = excluded.owner,
            ancestors = CASE WHEN excluded.ancestors = '{}' THEN w.ancestors ELSE excluded.ancestors END,
            attached_until = CASE WHEN excluded.ancestors <> '{}' OR w.ancestors = '{}' THEN 'infinity'
                                  ELSE least(w.attached_until, $1) END,
            changed_at = CASE WHEN (w.table_bytes, w.index_bytes, w.live_rows, w.dead_rows) IS DISTINCT FROM
                (excluded.table_bytes, excluded.index_bytes, excluded.live_rows, excluded.dead_rows) THEN $1
                ELSE w.changed_at END,
            table_bytes = excluded.table_bytes, index_bytes = excluded.index_bytes, live_rows = excluded.live_rows,
            dead_rows = excluded.dead_rows
        WHERE (w.schema_name, w.relation_name, w.indexed_relation, w.indexed_name, w.owner,
               w.table_bytes, w.index_bytes, w.live_rows, w.dead_rows) IS DISTINCT FROM
              (excluded.schema_name, excluded.relation_name, excluded.indexed_relation, excluded.indexed_name,
               excluded.owner, excluded.table_bytes, excluded.index_bytes, excluded.live_rows, excluded.dead_rows)
           OR CASE WHEN excluded.ancestors = '{}' THEN w.ancestors <> '{}' AND w.attached_until = 'infinity'
                   ELSE w.ancestors <> excluded.ancestors OR w.attached_until <> 'infinity' END)",
                {{"this_database", this_database}});
}

std::string clear_relations_sql(RelationKind kind, Step step) {
    return "DELETE FROM " + table_of(kind, step_name(step)) + " WHERE at = $1";
}

std::string sum_up_relations_sql(RelationKind kind, Step step) {
    const std::string end = "$1 + interval '" + std::string(step_length(step)) + "'";
    // Sizes that are measured after a bucket has ended are those at its end when they are measured soon.
    const std::string measured = "w.changed_at >= $1 AND w.changed_at < " + end + " + interval '10 minutes'";
    const std::map<std::string_view, std::string> texts = {{"this_database", this_database},
                                                           {"end", end},
                                                           {"measured", measured},
                                                           {"sized", "WHERE d.table_bytes IS NOT NULL"},
                                                           {"bucket", table_of(kind, step_name(step))}};
    if (kind == RelationKind::index)
        return fill(R"(
        WITH minute AS MATERIALIZED (
            SELECT w.relation_id, sum(d.scans)::bigint AS scans, sum(d.rows_read)::bigint AS rows_read,
                sum(d.rows_fetched)::bigint AS rows_fetched
            FROM citadel.index_delta d
            JOIN citadel.watched_relation w ON w.relation = d.index AND d.at >= w.oid_since AND d.at < w.gone_at
            WHERE w.database = {this_database} AND d.at >= $1 AND d.at < {end}
            GROUP BY w.relation_id
        )
        INSERT INTO {bucket}
        SELECT $1, w.relation_id, coalesce(m.scans, 0), coalesce(m.rows_read, 0), coalesce(m.rows_fetched, 0),
            CASE WHEN {measured} THEN w.table_bytes END
        FROM citadel.watched_relation w LEFT JOIN minute m ON m.relation_id = w.relation_id
        WHERE w.kind = 'index' AND w.gone_at > $1 AND (m.relation_id IS NOT NULL OR {measured})
        ORDER BY m.scans DESC NULLS LAST LIMIT $2)",
                    texts);
    // Minutes from before a restore have OIDs that mean something else here.
    return fill(R"(
        WITH minute AS MATERIALIZED (
            SELECT w.relation_id, sum(d.seq_scans)::bigint AS seq_scans, sum(d.seq_rows_read)::bigint AS seq_rows_read,
                sum(d.index_scans)::bigint AS index_scans, sum(d.rows_inserted)::bigint AS rows_inserted,
                sum(d.rows_updated)::bigint AS rows_updated, sum(d.rows_hot_updated)::bigint AS rows_hot_updated,
                sum(d.rows_deleted)::bigint AS rows_deleted,
                (array_agg(d.table_bytes ORDER BY d.at DESC) FILTER ({sized}))[1] AS table_bytes,
                (array_agg(d.index_bytes ORDER BY d.at DESC) FILTER ({sized}))[1] AS index_bytes,
                (array_agg(d.live_rows ORDER BY d.at DESC) FILTER ({sized}))[1] AS live_rows,
                (array_agg(d.dead_rows ORDER BY d.at DESC) FILTER ({sized}))[1] AS dead_rows
            FROM citadel.table_delta d
            JOIN citadel.watched_relation w ON w.relation = d.relation AND d.at >= w.oid_since AND d.at < w.gone_at
            WHERE w.database = {this_database} AND d.at >= $1 AND d.at < {end}
            GROUP BY w.relation_id
        )
        INSERT INTO {bucket}
        SELECT $1, w.relation_id, coalesce(m.seq_scans, 0), coalesce(m.seq_rows_read, 0), coalesce(m.index_scans, 0),
            coalesce(m.rows_inserted, 0), coalesce(m.rows_updated, 0), coalesce(m.rows_hot_updated, 0),
            coalesce(m.rows_deleted, 0),
            CASE WHEN {measured} THEN w.table_bytes ELSE m.table_bytes END,
            CASE WHEN {measured} THEN w.index_bytes ELSE m.index_bytes END,
            CASE WHEN {measured} THEN w.live_rows ELSE m.live_rows END,
            CASE WHEN {measured} THEN w.dead_rows ELSE m.dead_rows END
        FROM citadel.watched_relation w LEFT JOIN minute m ON m.relation_id = w.relation_id
        WHERE w.kind = 'table' AND w.gone_at > $1 AND (m.relation_id IS NOT NULL OR {measured})
        ORDER BY m.rows_inserted + m.rows_updated + m.rows_deleted + m.seq_scans + m.index_scans DESC NULLS LAST
        LIMIT $2)",
                texts);
}

std::string relation_buckets_due_sql(Step step) {
    return fill(R"(
        SELECT (extract(epoch FROM b.at) * 1000000)::bigint - 946684800000000
        FROM (SELECT DISTINCT date_trunc('{step}', at, 'UTC') AS at FROM citadel.table_delta WHERE at >= $1 AND at < $2
              UNION
              SELECT DISTINCT date_trunc('{step}', at, 'UTC') FROM citadel.index_delta WHERE at >= $1 AND at < $2
              UNION
              SELECT $2 - interval '{length}' WHERE $2 > $1) AS b
        ORDER BY 1)",
                {{"step", step_name(step)}, {"length", step_length(step)}});
}

std::string relation_sizes_sql() {
    const auto latest = [](RelationKind kind, Step step, const std::string& since) {
        const bool table = kind == RelationKind::table;
        return fill(
            R"(
                (SELECT b.at + interval '{length}' AS at, {size} AS table_bytes, {others}
                 FROM {bucket} b
                 WHERE w.kind = '{kind}' AND b.relation_id = w.relation_id AND {since}
                   AND b.at <= r.moment - interval '{length}' AND {size} IS NOT NULL
                 ORDER BY b.at DESC LIMIT 1)
                UNION ALL)",
            {{"kind", table ? "table" : "index"},
             {"size", table ? "b.table_bytes" : "b.size_bytes"},
             {"others", table ? "b.index_bytes, b.live_rows, b.dead_rows"
                              : "NULL::bigint AS index_bytes, NULL::bigint AS live_rows, NULL::bigint AS dead_rows"},
             {"bucket", table_of(kind, step_name(step))},
             {"length", step_length(step)},
             {"since", since}});
    };
    // Only what has not been summed up to days is to be found in hours alone.
    const std::string not_in_days =
        "b.at >= least(date_trunc('day', r.moment, 'UTC'), (SELECT coalesce(max(s.done_until), '-infinity') "
        "FROM citadel.relation_state s WHERE s.step = 'day'))";
    std::string sizes;
    for (const RelationKind kind : {RelationKind::table, RelationKind::index})
        sizes += latest(kind, Step::day, "true") + latest(kind, Step::hour, not_in_days);
    return fill(R"(
        SELECT r.place, k.table_bytes, k.index_bytes, k.live_rows, k.dead_rows
        FROM unnest($1, $2) WITH ORDINALITY AS r (relation_id, moment, place)
        JOIN citadel.watched_relation w USING (relation_id)
        CROSS JOIN LATERAL (
            SELECT a.* FROM ({sizes}
                SELECT w.changed_at, w.table_bytes, w.index_bytes, w.live_rows, w.dead_rows
                WHERE w.changed_at < r.moment AND w.table_bytes IS NOT NULL) AS a
            ORDER BY a.at DESC LIMIT 1) AS k
        WHERE pg_has_role($3, 'pg_read_all_stats', 'USAGE') OR pg_has_role($3, w.owner, 'USAGE'))",
                {{"sizes", sizes}});
}

} // namespace citadel::history
