-- metrics: views that metrics() and deploy/prometheus/postgres_exporter.yaml read.
--
-- A text column is a label, a numeric column a metric citadel_VIEW_COLUMN: a counter when its name ends in _total. Units
-- are Prometheus's base units (seconds, bytes, ratios). Rows are bounded: citadel_opt.metrics_top, and one for the rest.

CREATE FUNCTION citadel.metrics_top() RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$ SELECT coalesce(current_setting('citadel_opt.metrics_top', true)::integer, 20) $$;
REVOKE ALL ON FUNCTION citadel.metrics_top() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.metrics_top() TO pg_monitor;
COMMENT ON FUNCTION citadel.metrics_top() IS 'Internal: citadel_opt.metrics_top, also where the library is not loaded';

CREATE VIEW citadel.metric_figure AS
    SELECT v.figure, v.subject, v.value
    FROM citadel.figure_value AS v
    WHERE v.position <= (SELECT citadel.metrics_top());
COMMENT ON VIEW citadel.metric_figure IS 'Figures as last read, those subjects that matter most; see citadel.figure_definitions()';
COMMENT ON COLUMN citadel.metric_figure.figure IS 'Name of the figure';
COMMENT ON COLUMN citadel.metric_figure.subject IS 'What it was measured of';
COMMENT ON COLUMN citadel.metric_figure.value IS 'Figures that alert rules judge, each in its own unit (citadel.figure_definitions)';

CREATE VIEW citadel.metric_alert AS
    SELECT CASE WHEN a.place <= (SELECT citadel.metrics_top()) THEN a.rule ELSE 'other' END AS rule, a.severity,
        sum(a.open)::bigint AS open, sum(a.acknowledged)::bigint AS acknowledged
    FROM (
        SELECT a.rule, a.severity, count(*) FILTER (WHERE a.state = 'open') AS open,
            count(*) FILTER (WHERE a.state = 'acknowledged') AS acknowledged,
            dense_rank() OVER (ORDER BY a.rule) AS place
        FROM citadel.alert AS a
        WHERE a.state <> 'resolved'
        GROUP BY a.rule, a.severity
        UNION ALL
        SELECT '', s.severity, 0, 0, 0 FROM (VALUES ('critical'), ('warning'), ('info')) AS s (severity)
    ) AS a
    GROUP BY 1, 2;
COMMENT ON VIEW citadel.metric_alert IS 'Alerts that are not over; rule is empty in a row of zeros for each severity, so that the metric is always there';
COMMENT ON COLUMN citadel.metric_alert.rule IS 'The rule';
COMMENT ON COLUMN citadel.metric_alert.severity IS 'info, warning or critical';
COMMENT ON COLUMN citadel.metric_alert.open IS 'Open alerts that nobody has acknowledged';
COMMENT ON COLUMN citadel.metric_alert.acknowledged IS 'Open alerts that somebody knows of';

CREATE VIEW citadel.metric_statement AS
    WITH ranked AS (
        SELECT s.*, row_number() OVER (ORDER BY s.total_ms DESC, s.query_id, s.user_id) <= (SELECT citadel.metrics_top()) AS own
        FROM (
            SELECT c.query_id, c.user_id, sum(c.calls) AS calls, sum(c.total_ms) AS total_ms, sum(c.rows) AS rows,
                sum(c.shared_hit) AS shared_hit, sum(c.shared_read) AS shared_read, sum(c.temp_blocks) AS temp_blocks,
                sum(c.wal_bytes) AS wal_bytes
            FROM citadel.statement_counter AS c
            WHERE c.toplevel
            GROUP BY c.query_id, c.user_id
        ) AS s
    )
    SELECT CASE WHEN r.own THEN r.query_id::text ELSE 'other' END AS query_id,
        CASE WHEN r.own THEN coalesce(pg_get_userbyid(r.user_id)::text, '') ELSE '' END AS role,
        sum(r.calls)::float8 AS calls_total,
        sum(r.total_ms) / 1000 AS seconds_total,
        sum(r.rows)::float8 AS rows_total,
        sum(r.shared_hit)::float8 AS blocks_hit_total,
        sum(r.shared_read)::float8 AS blocks_read_total,
        sum(r.temp_blocks)::float8 AS temp_blocks_total,
        sum(r.wal_bytes)::float8 AS wal_bytes_total
    FROM ranked AS r
    GROUP BY 1, 2;
COMMENT ON VIEW citadel.metric_statement IS
'The statements with the most time, and the rest as other, as pg_stat_statements counted them up to the last snapshot (a minute)';
COMMENT ON COLUMN citadel.metric_statement.query_id IS 'As in pg_stat_statements and citadel.query_performance, which has the text; other: all that have no row';
COMMENT ON COLUMN citadel.metric_statement.role IS 'Role that ran it';
COMMENT ON COLUMN citadel.metric_statement.calls_total IS 'Runs that clients asked for';
COMMENT ON COLUMN citadel.metric_statement.seconds_total IS 'Execution time, without planning';
COMMENT ON COLUMN citadel.metric_statement.rows_total IS 'Rows returned or changed';
COMMENT ON COLUMN citadel.metric_statement.blocks_hit_total IS 'Shared blocks found in the cache';
COMMENT ON COLUMN citadel.metric_statement.blocks_read_total IS 'Shared blocks read';
COMMENT ON COLUMN citadel.metric_statement.temp_blocks_total IS 'Temporary blocks read and written';
COMMENT ON COLUMN citadel.metric_statement.wal_bytes_total IS 'WAL written';

CREATE VIEW citadel.metric_table AS
    WITH ranked AS (
        SELECT c.oid, c.relnamespace, c.relname, c.relpages,
            row_number() OVER (ORDER BY c.relpages DESC, c.oid) <= (SELECT citadel.metrics_top()) AS own
        FROM pg_catalog.pg_class AS c
        WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
            AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    )
    SELECT n.nspname::text AS schema, r.relname::text AS table,
        citadel.relation_bytes(r.oid)::float8 AS bytes,
        pg_stat_get_live_tuples(r.oid)::float8 AS live_rows,
        pg_stat_get_dead_tuples(r.oid)::float8 AS dead_rows,
        pg_stat_get_mod_since_analyze(r.oid)::float8 AS rows_modified_since_analyze,
        pg_stat_get_numscans(r.oid)::float8 AS sequential_scans_total
    FROM ranked AS r
    JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
    WHERE r.own
    UNION ALL
    SELECT 'other', 'other', sum(r.relpages)::float8 * current_setting('block_size')::float8, NULL, NULL, NULL, NULL
    FROM ranked AS r
    WHERE NOT r.own
    HAVING count(*) > 0;
COMMENT ON VIEW citadel.metric_table IS
'The largest tables and partitions, and the rest as other, whose bytes are as of their last VACUUM or ANALYZE';
COMMENT ON COLUMN citadel.metric_table.schema IS 'Schema';
COMMENT ON COLUMN citadel.metric_table.table IS 'Table';
COMMENT ON COLUMN citadel.metric_table.bytes IS 'Bytes on disk, without indexes and TOAST';
COMMENT ON COLUMN citadel.metric_table.live_rows IS 'Live rows, as the server counts them';
COMMENT ON COLUMN citadel.metric_table.dead_rows IS 'Dead rows that VACUUM will remove';
COMMENT ON COLUMN citadel.metric_table.rows_modified_since_analyze IS 'Rows inserted, updated or deleted since the last ANALYZE';
COMMENT ON COLUMN citadel.metric_table.sequential_scans_total IS 'Sequential scans';

CREATE VIEW citadel.metric_database AS
    SELECT (SELECT s.bytes::float8 FROM citadel.database_size AS s ORDER BY s.at DESC LIMIT 1) AS size_bytes,
        d.numbackends::float8 AS backends,
        d.xact_commit::float8 AS commits_total,
        d.xact_rollback::float8 AS rollbacks_total,
        d.deadlocks::float8 AS deadlocks_total,
        d.temp_bytes::float8 AS temp_bytes_total
    FROM pg_catalog.pg_stat_database AS d
    WHERE d.datname = current_database();
COMMENT ON VIEW citadel.metric_database IS 'The database as a whole';
COMMENT ON COLUMN citadel.metric_database.size_bytes IS 'Bytes of all its files, measured every hour';
COMMENT ON COLUMN citadel.metric_database.backends IS 'Processes connected to it';
COMMENT ON COLUMN citadel.metric_database.commits_total IS 'Committed transactions';
COMMENT ON COLUMN citadel.metric_database.rollbacks_total IS 'Transactions that were rolled back';
COMMENT ON COLUMN citadel.metric_database.deadlocks_total IS 'Deadlocks';
COMMENT ON COLUMN citadel.metric_database.temp_bytes_total IS 'Bytes written to temporary files';

CREATE VIEW citadel.metric_job AS
    SELECT j.job_name, j.enabled::integer AS enabled, j.failures_in_a_row,
        extract(epoch FROM j.last_success)::float8 AS last_success_timestamp_seconds,
        extract(epoch FROM j.last_finish - j.last_start)::float8 AS last_run_seconds
    FROM citadel.job AS j;
COMMENT ON VIEW citadel.metric_job IS 'The jobs of this database';
COMMENT ON COLUMN citadel.metric_job.job_name IS 'Name of the job; job is a label of Prometheus''s own';
COMMENT ON COLUMN citadel.metric_job.enabled IS '1: started by schedule';
COMMENT ON COLUMN citadel.metric_job.failures_in_a_row IS 'Runs that failed since the last success';
COMMENT ON COLUMN citadel.metric_job.last_success_timestamp_seconds IS 'End of the last run that succeeded, Unix time';
COMMENT ON COLUMN citadel.metric_job.last_run_seconds IS 'How long the last run took';

CREATE VIEW citadel.metric_capture AS
    SELECT c.captured AS samples_total, c.dropped_full AS dropped_samples_total,
        c.dropped_memory + c.dropped_busy AS dropped_texts_total, c.hook_errors AS errors_total,
        c.buffer_used_bytes, c.buffer_size_bytes
    FROM (SELECT WHERE citadel.preloaded()) AS p CROSS JOIN LATERAL citadel.capture_counters() AS c;
COMMENT ON VIEW citadel.metric_capture IS 'What capture did in all databases since the server started; empty without preload';
COMMENT ON COLUMN citadel.metric_capture.samples_total IS 'Slow statements captured';
COMMENT ON COLUMN citadel.metric_capture.dropped_samples_total IS 'Slow statements lost because the buffer was full';
COMMENT ON COLUMN citadel.metric_capture.dropped_texts_total IS 'Texts, plans and parameter sets that were not kept';
COMMENT ON COLUMN citadel.metric_capture.errors_total IS 'Errors of capture itself, swallowed';
COMMENT ON COLUMN citadel.metric_capture.buffer_used_bytes IS 'Shared memory in use for samples and texts';
COMMENT ON COLUMN citadel.metric_capture.buffer_size_bytes IS 'Shared memory of capture in all';

CREATE VIEW citadel.metric_overhead AS
    SELECT o.share AS ratio, o.max_share AS max_ratio, o.level, o.changes AS changes_total,
        o.own_ms / 1000 AS hook_seconds_total, o.busy_ms / 1000 AS statement_seconds_total
    FROM (SELECT WHERE citadel.preloaded()) AS p CROSS JOIN LATERAL citadel.overhead() AS o;
COMMENT ON VIEW citadel.metric_overhead IS 'What capture takes of the time of statements in all databases; empty without preload';
COMMENT ON COLUMN citadel.metric_overhead.ratio IS 'Time in hooks / time in which sessions were busy with statements, last ten seconds';
COMMENT ON COLUMN citadel.metric_overhead.max_ratio IS 'Above it work is left out (citadel_opt.max_overhead)';
COMMENT ON COLUMN citadel.metric_overhead.level IS 'How far work is left out, 0 (nothing) to 5';
COMMENT ON COLUMN citadel.metric_overhead.changes_total IS 'Changes of that level';
COMMENT ON COLUMN citadel.metric_overhead.hook_seconds_total IS 'Time in hooks, extrapolated from timed runs';
COMMENT ON COLUMN citadel.metric_overhead.statement_seconds_total IS 'Time in which sessions were busy with statements, likewise';

CREATE VIEW citadel.metric_advisor AS
    SELECT (SELECT count(*)::float8 FROM citadel.index_recommendation AS r WHERE r.status = 'open') AS open_recommendations,
        (SELECT count(*)::float8 FROM citadel.advice AS a WHERE a.status = 'open') AS open_advice;
COMMENT ON VIEW citadel.metric_advisor IS 'What the index advisor has to say';
COMMENT ON COLUMN citadel.metric_advisor.open_recommendations IS 'Indexes recommended to build or to drop';
COMMENT ON COLUMN citadel.metric_advisor.open_advice IS 'Advice that is no index';

REVOKE ALL ON citadel.metric_figure, citadel.metric_alert, citadel.metric_statement, citadel.metric_table,
    citadel.metric_database, citadel.metric_job, citadel.metric_capture, citadel.metric_overhead, citadel.metric_advisor FROM PUBLIC;
GRANT SELECT ON citadel.metric_figure, citadel.metric_alert, citadel.metric_statement, citadel.metric_table,
    citadel.metric_database, citadel.metric_job, citadel.metric_capture, citadel.metric_overhead, citadel.metric_advisor TO pg_monitor;

CREATE FUNCTION citadel.metrics() RETURNS text
    AS 'MODULE_PATHNAME', 'citadel_metrics'
    LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET jit = off;
REVOKE ALL ON FUNCTION citadel.metrics() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.metrics() TO pg_monitor;
COMMENT ON FUNCTION citadel.metrics() IS
'All views citadel.metric_... in Prometheus''s text format, with the label database. One that cannot be read, as some on a standby, is left out and counted by citadel_metrics_failed';
