-- What every statement did, in buckets of a minute, an hour and a day.
--
-- The scheduler stores minutes from what the fast path of capture counted, and sums them up to hours and days. Of each
-- bucket the statements with the most time have rows of their own, the others share one: query_id, plan_id and user_id 0.
-- A bucket may hold several rows of one statement (stored on request, or because some runs were reported late): their
-- sum counts.

CREATE TABLE citadel.statement_minute (
    at timestamptz NOT NULL,
    query_id bigint NOT NULL,
    plan_id bigint NOT NULL,
    calls bigint NOT NULL,
    errors bigint NOT NULL,
    total_ms double precision NOT NULL,
    max_ms double precision NOT NULL,
    rows bigint NOT NULL,
    shared_hit bigint NOT NULL,
    shared_read bigint NOT NULL,
    temp_blocks bigint NOT NULL,
    user_id oid NOT NULL,
    toplevel boolean NOT NULL,
    latency bytea NOT NULL,
    error_classes jsonb
) PARTITION BY RANGE (at);
REVOKE ALL ON citadel.statement_minute FROM PUBLIC;
GRANT SELECT ON citadel.statement_minute TO pg_monitor;
COMMENT ON TABLE citadel.statement_minute IS
    'What every statement did in each minute, by plan and user. The citadel_opt.history_statements with the most time have '
    'rows of their own; query_id 0 is the rest. Partitioned by UTC day, dropped after citadel_opt.minute_retention.';
COMMENT ON COLUMN citadel.statement_minute.at IS 'Begin of the minute in which the runs ended.';
COMMENT ON COLUMN citadel.statement_minute.plan_id IS
    'Identity of the plan: without constants, the same for any set of partitions. 0: unknown.';
COMMENT ON COLUMN citadel.statement_minute.calls IS 'Runs that ended, well or with an error.';
COMMENT ON COLUMN citadel.statement_minute.errors IS 'Those that ended with an error, a cancel or a timeout while they ran.';
COMMENT ON COLUMN citadel.statement_minute.shared_hit IS 'Blocks found in shared buffers.';
COMMENT ON COLUMN citadel.statement_minute.shared_read IS 'Blocks that had to be read.';
COMMENT ON COLUMN citadel.statement_minute.temp_blocks IS 'Temporary blocks read and written.';
COMMENT ON COLUMN citadel.statement_minute.toplevel IS 'false: ran inside a function (citadel_opt.capture_nested).';
COMMENT ON COLUMN citadel.statement_minute.latency IS 'Histogram of the latencies; see citadel.latency_percentile().';
COMMENT ON COLUMN citadel.statement_minute.error_classes IS
    'Errors by class of SQLSTATE (23: constraints, 57: cancelled ...); "other": further classes.';

CREATE TABLE citadel.statement_hour (LIKE citadel.statement_minute INCLUDING ALL) PARTITION BY RANGE (at);
REVOKE ALL ON citadel.statement_hour FROM PUBLIC;
GRANT SELECT ON citadel.statement_hour TO pg_monitor;
COMMENT ON TABLE citadel.statement_hour IS
    'statement_minute summed up by hours (UTC). Five times as many statements have rows of their own. Dropped after '
    'citadel_opt.hour_retention.';

CREATE TABLE citadel.statement_day (LIKE citadel.statement_minute INCLUDING ALL);
CREATE INDEX statement_day_at ON citadel.statement_day (at);
REVOKE ALL ON citadel.statement_day FROM PUBLIC;
GRANT SELECT ON citadel.statement_day TO pg_monitor;
COMMENT ON TABLE citadel.statement_day IS
    'statement_hour summed up by days (UTC). Deleted after citadel_opt.day_retention.';

CREATE TABLE citadel.bucket_state (
    step text PRIMARY KEY CHECK (step IN ('hour', 'day')),
    done_until timestamptz NOT NULL
);
REVOKE ALL ON citadel.bucket_state FROM PUBLIC;
GRANT SELECT ON citadel.bucket_state TO pg_monitor;
COMMENT ON TABLE citadel.bucket_state IS 'How far minutes have been summed up to hours, and hours to days.';
COMMENT ON COLUMN citadel.bucket_state.done_until IS
    'Hours, or days, that end by then are complete. Goes back when the clock does, or when runs are stored late: then they are '
    'summed up anew.';

CREATE FUNCTION citadel.merge_error_classes(classes jsonb[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT jsonb_object_agg(error_class, errors)
    FROM (SELECT e.key AS error_class, sum(e.value::bigint) AS errors
          FROM unnest(classes) AS c (by_class), jsonb_each_text(c.by_class) AS e
          GROUP BY e.key) AS summed
    $$;
REVOKE ALL ON FUNCTION citadel.merge_error_classes(jsonb[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.merge_error_classes(jsonb[]) TO PUBLIC;
COMMENT ON FUNCTION citadel.merge_error_classes(jsonb[]) IS 'Errors by class, added up; NULL when there are none.';

CREATE VIEW citadel.visible_statement_minute WITH (security_barrier) AS
    SELECT * FROM citadel.statement_minute
    WHERE pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') OR pg_catalog.pg_has_role(user_id, 'USAGE');
CREATE VIEW citadel.visible_statement_hour WITH (security_barrier) AS
    SELECT * FROM citadel.statement_hour
    WHERE pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') OR pg_catalog.pg_has_role(user_id, 'USAGE');
CREATE VIEW citadel.visible_statement_day WITH (security_barrier) AS
    SELECT * FROM citadel.statement_day
    WHERE pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') OR pg_catalog.pg_has_role(user_id, 'USAGE');
CREATE VIEW citadel.visible_bucket_state WITH (security_barrier) AS
    SELECT step, done_until FROM citadel.bucket_state;
REVOKE ALL ON citadel.visible_statement_minute, citadel.visible_statement_hour, citadel.visible_statement_day,
    citadel.visible_bucket_state FROM PUBLIC;
GRANT SELECT ON citadel.visible_statement_minute, citadel.visible_statement_hour, citadel.visible_statement_day,
    citadel.visible_bucket_state TO PUBLIC;
COMMENT ON VIEW citadel.visible_statement_minute IS 'citadel.statement_minute, as far as the current user may see it.';
COMMENT ON VIEW citadel.visible_statement_hour IS 'citadel.statement_hour, as far as the current user may see it.';
COMMENT ON VIEW citadel.visible_statement_day IS 'citadel.statement_day, as far as the current user may see it.';
COMMENT ON VIEW citadel.visible_bucket_state IS 'citadel.bucket_state, for everybody.';

SELECT pg_catalog.pg_extension_config_dump('citadel.statement_day', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.bucket_state', '');
