-- get_table_statistics(): sizes, use and health of tables, partitioned tables added up to one row.

CREATE FUNCTION citadel.get_table_statistics(relation regclass DEFAULT NULL) RETURNS SETOF citadel.table_statistics
    LANGUAGE sql VOLATILE ROWS 1000
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $$
    WITH RECURSIVE root AS MATERIALIZED (
        SELECT c.oid, c.relkind, c.relispartition, c.relpersistence, c.reltuples
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE $1 IS NULL AND c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
            AND n.nspname <> 'information_schema' AND (n.nspname !~ '^pg_' OR n.oid = pg_my_temp_schema())
        UNION ALL
        SELECT c.oid, c.relkind, c.relispartition, c.relpersistence, c.reltuples
        FROM pg_class AS c
        WHERE c.oid = citadel.checked_table($1) AND $1 IS NOT NULL
    ), tree AS (
        SELECT r.oid AS root, r.oid, r.relkind, false AS detaching
        FROM root AS r
        UNION ALL
        SELECT t.root, i.inhrelid, c.relkind, t.detaching OR i.inhdetachpending
        FROM tree AS t
        JOIN pg_inherits AS i ON i.inhparent = t.oid
        JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE t.relkind = 'p'
    ), bloat AS MATERIALIZED (
        SELECT b.leaf, b.bloat_bytes FROM citadel.heap_bloat($1) AS b
    ), leaf AS MATERIALIZED (
        SELECT t.root, t.oid, t.detaching, c.relpages, c.reltuples, c.relallvisible, c.relfrozenxid, c.relminmxid,
            c.reltoastrelid, b.bloat_bytes, s.option_off,
            current_setting('block_size')::bigint AS block_size,
            citadel.relation_bytes(t.oid, true) AS main_bytes,
            citadel.relation_bytes(t.oid) AS table_bytes,
            citadel.relation_bytes(nullif(c.reltoastrelid, 0)) AS toast_bytes,
            pg_stat_get_live_tuples(t.oid) AS live,
            pg_stat_get_dead_tuples(t.oid) AS dead,
            pg_stat_get_numscans(t.oid) AS seq_scans,
            pg_stat_get_tuples_returned(t.oid) AS seq_rows,
            pg_stat_get_tuples_inserted(t.oid) AS inserted,
            pg_stat_get_tuples_updated(t.oid) AS updated,
            pg_stat_get_tuples_hot_updated(t.oid) AS hot_updated,
            pg_stat_get_tuples_deleted(t.oid) AS deleted,
            pg_stat_get_mod_since_analyze(t.oid) AS modified,
            greatest(pg_stat_get_last_vacuum_time(t.oid), pg_stat_get_last_autovacuum_time(t.oid)) AS last_vacuum,
            greatest(pg_stat_get_last_analyze_time(t.oid), pg_stat_get_last_autoanalyze_time(t.oid)) AS last_analyze,
            pg_stat_get_blocks_fetched(t.oid)
                + CASE WHEN c.reltoastrelid <> 0 THEN pg_stat_get_blocks_fetched(c.reltoastrelid) ELSE 0 END AS fetched,
            pg_stat_get_blocks_hit(t.oid)
                + CASE WHEN c.reltoastrelid <> 0 THEN pg_stat_get_blocks_hit(c.reltoastrelid) ELSE 0 END AS hit
        FROM tree AS t
        JOIN pg_class AS c ON c.oid = t.oid
        LEFT JOIN bloat AS b ON b.leaf = t.oid
        CROSS JOIN LATERAL (
            SELECT CASE WHEN c.reloptions IS NOT NULL THEN (
                SELECT NOT o.option_value::boolean FROM pg_options_to_table(c.reloptions) AS o
                WHERE o.option_name = 'autovacuum_enabled') END AS option_off
        ) AS s
        WHERE c.relkind IN ('r', 'm')
    ), index AS (
        SELECT i.indrelid AS oid, sum(pg_stat_get_numscans(i.indexrelid)) AS scans,
            sum(pg_stat_get_blocks_fetched(i.indexrelid)) AS fetched, sum(pg_stat_get_blocks_hit(i.indexrelid)) AS hit,
            sum(citadel.relation_bytes(i.indexrelid)) AS bytes
        FROM leaf
        JOIN pg_index AS i ON i.indrelid = leaf.oid
        GROUP BY i.indrelid
    ), figures AS (
        SELECT l.root,
            bool_or(l.detaching) AS detaching,
            bool_or(l.option_off) AS autovacuum_off,
            sum(l.main_bytes) AS main_bytes, sum(l.table_bytes) AS table_bytes,
            sum(l.toast_bytes + coalesce(citadel.relation_bytes(y.indexrelid), 0)) AS toast_bytes,
            sum(i.bytes) AS index_bytes,
            sum(CASE WHEN l.main_bytes = 0 THEN 0
                WHEN l.reltuples >= 0 AND l.relpages > 0 THEN l.reltuples::float8 / l.relpages
                    * (l.main_bytes / l.block_size)
                WHEN l.live > 0 THEN l.live END) AS rows,
            sum(l.live) AS live, sum(l.dead) AS dead,
            sum(l.seq_scans) AS seq_scans, sum(l.seq_rows) AS seq_rows, coalesce(sum(i.scans), 0) AS index_scans,
            sum(l.inserted) AS inserted, sum(l.updated) AS updated, sum(l.hot_updated) AS hot_updated,
            sum(l.deleted) AS deleted, sum(l.modified) AS modified,
            sum(l.fetched) + coalesce(sum(i.fetched), 0) AS fetched, sum(l.hit) + coalesce(sum(i.hit), 0) AS hit,
            CASE WHEN NOT bool_or(l.bloat_bytes IS NULL AND (l.main_bytes > 0 OR l.reltuples < 0))
                THEN sum(l.bloat_bytes) END AS bloat_bytes,
            min(l.last_vacuum) AS last_vacuum, min(l.last_analyze) AS last_analyze,
            count(*) FILTER (WHERE l.reltuples < 0 AND (l.live > 0 OR l.main_bytes > 0)) AS never_analysed,
            count(*) FILTER (WHERE l.last_vacuum IS NULL AND l.relallvisible = 0 AND l.main_bytes > 8388608) AS never_vacuumed,
            max(greatest(age(l.relfrozenxid), age(x.relfrozenxid))) AS xid_age,
            max(mxid_age(l.relminmxid)) AS multixact_age
        FROM leaf AS l
        LEFT JOIN index AS i ON i.oid = l.oid
        LEFT JOIN pg_class AS x ON x.oid = l.reltoastrelid
        LEFT JOIN pg_index AS y ON y.indrelid = l.reltoastrelid AND l.reltoastrelid <> 0
        GROUP BY l.root
    ), leaves AS (
        SELECT t.root, count(*) AS partitions FROM tree AS t WHERE t.relkind <> 'p' GROUP BY t.root
    ), named AS (
        SELECT r.*, r.oid::regclass::text AS name,
            EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = r.oid AND i.indisprimary)
            OR r.relkind = 'p' AND EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhparent = r.oid)
               AND NOT EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhparent = r.oid     -- each partition has its own
                               AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = h.inhrelid AND i.indisprimary))
                AS has_primary_key,
            f.*, v.partitions, f.table_bytes + coalesce(f.toast_bytes, 0) + coalesce(f.index_bytes, 0) AS total_bytes,
            f.dead / nullif(f.live + f.dead, 0)::float8 AS dead_ratio,
            f.index_scans / nullif(f.index_scans + f.seq_scans, 0)::float8 AS index_scan_ratio,
            f.hot_updated / nullif(f.updated, 0)::float8 AS hot_update_ratio,
            least(1, f.hit / nullif(f.fetched, 0)::float8) AS cache_hit_ratio
        FROM root AS r
        LEFT JOIN leaves AS v ON v.root = r.oid
        LEFT JOIN figures AS f ON f.root = r.oid
    )
    SELECT n.oid::regclass,
        CASE WHEN n.relkind = 'p' THEN 'partitioned table' WHEN n.relkind = 'm' THEN 'materialized view'
            WHEN n.relispartition THEN 'partition' ELSE 'table' END,
        CASE WHEN n.relkind = 'p' THEN coalesce(n.partitions, 0)::integer END,
        CASE WHEN n.root IS NULL THEN 0 ELSE n.rows END::bigint,
        coalesce(n.total_bytes, 0)::bigint, coalesce(n.table_bytes, 0)::bigint,
        coalesce(n.index_bytes, 0)::bigint, coalesce(n.toast_bytes, 0)::bigint,
        coalesce(n.dead, 0)::bigint, n.dead_ratio, n.bloat_bytes::bigint,
        coalesce(n.seq_scans, 0)::bigint, coalesce(n.index_scans, 0)::bigint, n.index_scan_ratio,
        coalesce(n.inserted, 0)::bigint, coalesce(n.updated, 0)::bigint, coalesce(n.deleted, 0)::bigint,
        n.hot_update_ratio, n.cache_hit_ratio, n.last_vacuum, n.last_analyze, coalesce(n.modified, 0)::bigint, n.xid_age,
        array_remove(ARRAY[
            CASE WHEN n.xid_age > 1000000000 OR n.multixact_age > 1000000000
                THEN format('transaction ids run out: %s old, the server stops accepting writes near 2.1 billion; run '
                    'VACUUM FREEZE %s now', greatest(n.xid_age, n.multixact_age), n.name)
                WHEN n.xid_age > current_setting('autovacuum_freeze_max_age')::bigint
                    OR n.multixact_age > current_setting('autovacuum_multixact_freeze_max_age')::bigint
                THEN format('old transaction ids: %s, past the age at which autovacuum is forced; run VACUUM %s and see what '
                    'holds it back (long transactions, replication slots, prepared transactions)',
                    greatest(n.xid_age, n.multixact_age), n.name) END,
            CASE WHEN n.autovacuum_off THEN format('autovacuum is switched off for %s: dead rows stay and statistics age; '
                'ALTER TABLE ... RESET (autovacuum_enabled)', n.name) END,
            CASE WHEN n.dead_ratio > 0.2 AND n.dead > 1000
                THEN format('%s %% of the rows are dead (%s): run VACUUM %s; if that comes back, lower '
                    'autovacuum_vacuum_scale_factor for it', round((100 * n.dead_ratio)::numeric), n.dead, n.name) END,
            CASE WHEN n.never_vacuumed > 0
                THEN format('never vacuumed%s: index-only scans read the table as well; run VACUUM %s',
                    CASE WHEN n.relkind = 'p' THEN format(' (%s partitions)', n.never_vacuumed) END, n.name) END,
            CASE WHEN n.never_analysed > 0
                THEN format('never analysed%s: the planner guesses; run ANALYZE %s',
                    CASE WHEN n.relkind = 'p' THEN format(' (%s partitions)', n.never_analysed) END, n.name)
                WHEN n.relkind = 'p' AND n.reltuples < 0 AND n.rows > 0
                THEN format('the partitioned table has no statistics of its own (autovacuum analyses only the partitions); '
                    'run ANALYZE %s', n.name)
                WHEN n.modified > greatest(1000, 0.2 * coalesce(n.rows, 0))
                THEN format('stale statistics: %s rows were changed since the last ANALYZE; run ANALYZE %s',
                    n.modified, n.name) END,
            CASE WHEN n.bloat_bytes > 10485760 AND n.bloat_bytes > 0.3 * n.main_bytes
                THEN format('bloat: about %s of %s are dead or empty (estimate); VACUUM makes the space usable again, VACUUM '
                    'FULL (locks the table) or pg_repack returns it', pg_size_pretty(n.bloat_bytes::bigint),
                    pg_size_pretty(n.main_bytes)) END,
            CASE WHEN n.updated > 1000 AND n.hot_update_ratio < 0.5
                THEN format('only %s %% of the updates are HOT, the others write every index: set a fillfactor of 80 to 90 '
                    'if the updated columns are not indexed, else ask whether those indexes are needed',
                    round((100 * n.hot_update_ratio)::numeric)) END,
            CASE WHEN n.seq_scans > 100 AND n.index_scan_ratio < 0.5 AND n.main_bytes > 8388608
                    AND n.seq_rows > 10000 * n.seq_scans
                THEN format('%s of %s scans read the table from end to end (%s rows each): see recommend_indexes() and '
                    'analyze_slow_queries()', n.seq_scans, n.seq_scans + n.index_scans,
                    round(n.seq_rows / n.seq_scans)) END,
            CASE WHEN NOT n.has_primary_key AND n.relkind IN ('r', 'p') AND n.relpersistence <> 't' AND NOT n.relispartition
                THEN 'no primary key: rows cannot be told apart, and logical replication cannot update or delete them' END,
            CASE WHEN n.detaching THEN 'a partition is half detached, its rows are hidden: run ALTER TABLE ... DETACH '
                'PARTITION ... FINALIZE' END
        ], NULL)
    FROM named AS n
    WHERE n.relkind = 'p' OR n.table_bytes IS NOT NULL
    ORDER BY n.total_bytes DESC NULLS LAST, n.oid
    $$;
COMMENT ON FUNCTION citadel.get_table_statistics(regclass) IS
    'Size, use, bloat and advice for one table, or (NULL) for all user tables; partitioned tables as one row that adds up '
    'their partitions. Bytes, ratios 0..1. Errors: 42809 for what is not a table, 42P01 for an unknown OID.';
REVOKE ALL ON FUNCTION citadel.get_table_statistics(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.get_table_statistics(regclass) TO pg_monitor;
