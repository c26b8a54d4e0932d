-- The figures of the last day, for eyes and dashboards: statements, tables, indexes.

CREATE VIEW citadel.query_performance WITH (security_barrier) AS
    SELECT query_id, s.query, coalesce(d.calls, r.calls) AS calls, coalesce(d.total_ms, r.total_ms) AS total_ms,
        coalesce(d.mean_ms, r.total_ms / nullif(r.calls, 0)::float8) AS mean_ms,
        CASE WHEN d.calls IS NOT NULL THEN d.load_share ELSE r.total_ms / nullif(sum(r.total_ms) OVER (), 0) END AS load_share,
        d.rows_per_call, d.cache_hit_ratio, d.temp_bytes, d.wal_bytes, d.io_ms, d.jit_ms, d.planning_ms,
        coalesce(d.first_seen, r.first_seen) AS first_seen, coalesce(d.last_seen, r.last_seen) AS last_seen,
        citadel.latency_percentile(r.latency, 0.5) AS p50_ms, citadel.latency_percentile(r.latency, 0.95) AS p95_ms,
        citadel.latency_percentile(r.latency, 0.99) AS p99_ms, r.errors, r.max_ms, r.plans
    FROM (
        SELECT v.query_id,
            sum(v.calls)::bigint AS calls,
            sum(v.total_ms) AS total_ms,
            sum(v.total_ms) / nullif(sum(v.calls), 0)::float8 AS mean_ms,
            sum(v.total_ms) FILTER (WHERE v.toplevel)
                / nullif(sum(sum(v.total_ms) FILTER (WHERE v.toplevel)) OVER (), 0) AS load_share,
            sum(v.rows) / nullif(sum(v.calls), 0)::float8 AS rows_per_call,
            sum(v.shared_hit) / nullif(sum(v.shared_hit) + sum(v.shared_read), 0)::float8 AS cache_hit_ratio,
            (sum(v.temp_blocks) * pg_catalog.current_setting('block_size')::bigint)::bigint AS temp_bytes,
            sum(v.wal_bytes)::bigint AS wal_bytes,
            sum(v.io_ms) AS io_ms,
            sum(v.jit_ms) AS jit_ms,
            sum(v.plan_ms) AS planning_ms,
            min(v.at) AS first_seen,
            max(v.at) AS last_seen
        FROM citadel.visible_statement_delta AS v
        WHERE v.at > citadel.history_clock() - interval '1 day'
        GROUP BY v.query_id
    ) AS d
    FULL JOIN citadel.statement_totals(citadel.history_clock() - interval '1 day', citadel.history_clock() + interval '1 day') AS r
        USING (query_id)
    LEFT JOIN LATERAL (
        SELECT t.query FROM citadel.visible_statement AS t WHERE t.query_id = d.query_id OR (d.query_id IS NULL AND t.query_id = r.query_id)
        ORDER BY t.last_seen DESC LIMIT 1
    ) AS s ON true;
REVOKE ALL ON citadel.query_performance FROM PUBLIC;
GRANT SELECT ON citadel.query_performance TO PUBLIC;
COMMENT ON VIEW citadel.query_performance IS
    'Statements of the last day, from snapshots of pg_stat_statements (so statistics resets do not matter) and from the runs that '
    'were counted (percentiles, errors, plans), as far as the caller may see them. What only one of the two knows is NULL. Query 0 is the rest that has no row of its own. Times in milliseconds; ORDER BY total_ms DESC.';
COMMENT ON COLUMN citadel.query_performance.query IS
    'Text without literals; NULL when it is not stored: of utility statements it never is.';
COMMENT ON COLUMN citadel.query_performance.load_share IS
    'Share (0..1) of the execution time of all statements that clients sent; NULL for what only ran inside functions.';
COMMENT ON COLUMN citadel.query_performance.cache_hit_ratio IS
    'Shared buffer hits / (hits + reads), 0..1; NULL when no buffer was touched.';
COMMENT ON COLUMN citadel.query_performance.temp_bytes IS 'Temporary file bytes read and written.';
COMMENT ON COLUMN citadel.query_performance.io_ms IS 'Time spent reading and writing blocks; 0 while track_io_timing is off.';
COMMENT ON COLUMN citadel.query_performance.p95_ms IS
    'Milliseconds that 95 % of the runs did not exceed, within 7 % of the exact value; p50_ms, p99_ms alike. NULL when none was '
    'counted (citadel_opt.statement_history).';
COMMENT ON COLUMN citadel.query_performance.errors IS 'Runs that ended with an error, a cancel or a timeout.';
COMMENT ON COLUMN citadel.query_performance.max_ms IS 'Longest run.';
COMMENT ON COLUMN citadel.query_performance.plans IS 'How many plans it ran with; see citadel.plan_history().';
COMMENT ON COLUMN citadel.query_performance.planning_ms IS 'Time spent planning; 0 while pg_stat_statements.track_planning is off.';

CREATE VIEW citadel.table_performance AS
    SELECT d.relation, d.schema_name, d.table_name,
        sum(d.seq_scans)::bigint AS seq_scans,
        sum(d.seq_rows_read)::bigint AS seq_rows_read,
        sum(d.index_scans)::bigint AS index_scans,
        sum(d.index_scans) / nullif(sum(d.index_scans) + sum(d.seq_scans), 0)::float8 AS index_scan_ratio,
        sum(d.rows_inserted)::bigint AS rows_inserted,
        sum(d.rows_updated)::bigint AS rows_updated,
        sum(d.rows_deleted)::bigint AS rows_deleted,
        sum(d.rows_hot_updated) / nullif(sum(d.rows_updated), 0)::float8 AS hot_update_ratio,
        min(d.at) AS first_seen,
        max(d.at) AS last_seen
    FROM citadel.table_delta AS d
    WHERE d.at > citadel.history_clock() - interval '1 day'
    GROUP BY d.relation, d.schema_name, d.table_name;
REVOKE ALL ON citadel.table_performance FROM PUBLIC;
GRANT SELECT ON citadel.table_performance TO pg_monitor;
COMMENT ON VIEW citadel.table_performance IS
    'How each table was read and written in the last day, from snapshots of the server''s counters; partitions each on their '
    'own. Ratios 0..1, NULL when there is nothing to divide by. A table that was renamed has a row for each name.';
COMMENT ON COLUMN citadel.table_performance.relation IS 'OID of the table, which may be gone by now.';

CREATE VIEW citadel.index_usage AS
    SELECT c.index, c.schema_name, i.indrelid::regclass AS relation, c.index_name,
        coalesce(d.scans, 0)::bigint AS scans_last_day,
        c.scans_total, c.last_used, c.first_seen,
        citadel.relation_bytes(c.index) AS size_bytes,
        i.indisunique AS is_unique
    FROM citadel.index_counter AS c
    JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.index
    LEFT JOIN (
        SELECT v.index, sum(v.scans) AS scans
        FROM citadel.index_delta AS v
        WHERE v.at > citadel.history_clock() - interval '1 day'
        GROUP BY v.index
    ) AS d ON d.index = c.index
    WHERE c.database = (SELECT b.oid FROM pg_catalog.pg_database AS b WHERE b.datname = pg_catalog.current_database());
REVOKE ALL ON citadel.index_usage FROM PUBLIC;
GRANT SELECT ON citadel.index_usage TO pg_monitor;
COMMENT ON VIEW citadel.index_usage IS
    'Scans of each user index in the last day and since it was first seen, and when it was last used (to the minute; NULL: '
    'not since first_seen). Statistics resets do not change it. Partitions'' indexes each on their own.';
COMMENT ON COLUMN citadel.index_usage.size_bytes IS 'Bytes on disk.';
