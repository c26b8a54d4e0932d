-- query_history and plan_history: how a statement did over time, and with which plans.

CREATE TYPE citadel.query_history_step AS (
    at timestamptz,
    calls bigint,
    errors bigint,
    total_ms double precision,
    mean_ms double precision,
    p50_ms double precision,
    p95_ms double precision,
    p99_ms double precision,
    max_ms double precision,
    rows_per_call double precision,
    cache_hit_ratio double precision,
    temp_bytes bigint,
    plans bigint[],
    error_classes jsonb
);
COMMENT ON TYPE citadel.query_history_step IS 'A row of citadel.query_history().';
COMMENT ON COLUMN citadel.query_history_step.at IS 'Begin of the step.';
COMMENT ON COLUMN citadel.query_history_step.calls IS 'Runs that ended, well or with an error.';
COMMENT ON COLUMN citadel.query_history_step.p95_ms IS
    'Milliseconds that 95 % of the runs of this step did not exceed, within 7 % of the exact value; p50_ms, p99_ms alike.';
COMMENT ON COLUMN citadel.query_history_step.cache_hit_ratio IS
    'Shared buffer hits / (hits + reads), 0..1; NULL when no buffer was touched.';
COMMENT ON COLUMN citadel.query_history_step.temp_bytes IS 'Temporary file bytes read and written.';
COMMENT ON COLUMN citadel.query_history_step.plans IS 'plan_ids that ran, that with the most time first; see citadel.plan_history().';
COMMENT ON COLUMN citadel.query_history_step.error_classes IS 'Errors by class of SQLSTATE; NULL when there were none.';

CREATE FUNCTION citadel.query_history(query_id bigint, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL,
                                      step interval DEFAULT NULL) RETURNS SETOF citadel.query_history_step
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT citadel.raise_error('22023', 'query_id must not be NULL') WHERE query_id IS NULL;

    WITH asked AS MATERIALIZED (
        SELECT w.begins AS from_time, w.ends AS to_time, w.step_length AS step
        FROM citadel.history_window(from_time, to_time, step, NULL) AS w
    ), bucket AS MATERIALIZED (
        SELECT date_bin(a.step, b.at, '2000-01-01 00:00:00+00') AS begins, b.*
        FROM asked AS a, citadel.statement_buckets(query_id, a.from_time, a.to_time, a.step) AS b
    ), plan AS (
        SELECT by_plan.begins, array_agg(by_plan.plan_id ORDER BY by_plan.total_ms DESC, by_plan.plan_id) AS plans
        FROM (SELECT b.begins, b.plan_id, sum(b.total_ms) AS total_ms FROM bucket AS b GROUP BY b.begins, b.plan_id) AS by_plan
        GROUP BY by_plan.begins
    ), summed AS (
        SELECT b.begins, sum(b.calls)::bigint AS calls, sum(b.errors)::bigint AS errors, sum(b.total_ms) AS total_ms,
            max(b.max_ms) AS max_ms, sum(b.rows) AS rows, sum(b.shared_hit) AS hit, sum(b.shared_read) AS read,
            sum(b.temp_blocks) AS temp_blocks, citadel.latency_merge(array_agg(b.latency)) AS latency,
            citadel.merge_error_classes(array_agg(b.error_classes) FILTER (WHERE b.error_classes IS NOT NULL)) AS error_classes
        FROM bucket AS b
        GROUP BY b.begins
    )
    SELECT s.begins, s.calls, s.errors, s.total_ms, s.total_ms / nullif(s.calls, 0), citadel.latency_percentile(s.latency, 0.5),
        citadel.latency_percentile(s.latency, 0.95), citadel.latency_percentile(s.latency, 0.99), s.max_ms,
        (s.rows / nullif(s.calls, 0))::double precision, (s.hit / nullif(s.hit + s.read, 0))::double precision,
        (s.temp_blocks * current_setting('block_size')::bigint)::bigint, p.plans, s.error_classes
    FROM summed AS s JOIN plan AS p ON p.begins = s.begins
    ORDER BY s.begins
    $$;
REVOKE ALL ON FUNCTION citadel.query_history(bigint, timestamptz, timestamptz, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.query_history(bigint, timestamptz, timestamptz, interval) TO PUBLIC;
COMMENT ON FUNCTION citadel.query_history(bigint, timestamptz, timestamptz, interval) IS
    'What a statement did from from_time (NULL: a day before to_time) to to_time (NULL: now), in steps (NULL: a minute up to 3 '
    'hours, 10 minutes up to 2 days, an hour up to 14 days, else a day; aligned to UTC), as far as the caller may see it. Steps in '
    'which it did not run have no row; what is older than citadel_opt.minute_retention is known by the hour, later by the day. '
    'Times in milliseconds. Raises 22023 for a query_id that is NULL, a step under a minute or with months, and an empty or infinite window.';

CREATE TYPE citadel.plan_history_row AS (
    plan_id bigint,
    first_seen timestamptz,
    last_seen timestamptz,
    calls bigint,
    errors bigint,
    total_ms double precision,
    time_share double precision,
    mean_ms double precision,
    p50_ms double precision,
    p95_ms double precision,
    p99_ms double precision,
    max_ms double precision,
    rows_per_call double precision,
    cache_hit_ratio double precision,
    plan jsonb
);
COMMENT ON TYPE citadel.plan_history_row IS 'A row of citadel.plan_history().';
COMMENT ON COLUMN citadel.plan_history_row.plan_id IS 'Identity of the plan; 0: unknown.';
COMMENT ON COLUMN citadel.plan_history_row.first_seen IS
    'Begin of the first bucket in which it ran: a minute, or an hour or a day when nothing finer is kept.';
COMMENT ON COLUMN citadel.plan_history_row.last_seen IS 'End of the last bucket in which it ran.';
COMMENT ON COLUMN citadel.plan_history_row.time_share IS 'Share (0..1) of the statement''s time.';
COMMENT ON COLUMN citadel.plan_history_row.cache_hit_ratio IS
    'Shared buffer hits / (hits + reads), 0..1; NULL when no buffer was touched.';
COMMENT ON COLUMN citadel.plan_history_row.plan IS
    'EXPLAIN (FORMAT JSON) without constants; NULL when none of its runs was slow enough to be captured.';

CREATE FUNCTION citadel.plan_history(query_id bigint, from_time timestamptz DEFAULT NULL, to_time timestamptz DEFAULT NULL)
    RETURNS SETOF citadel.plan_history_row
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT citadel.raise_error('22023', 'query_id must not be NULL') WHERE query_id IS NULL;

    WITH summed AS (
        SELECT b.plan_id, min(b.at) AS first_seen, max(b.until) AS last_seen, sum(b.calls) AS calls, sum(b.errors) AS errors,
            sum(b.total_ms) AS total_ms, max(b.max_ms) AS max_ms, sum(b.rows) AS rows, sum(b.shared_hit) AS hit,
            sum(b.shared_read) AS read, citadel.latency_merge(array_agg(b.latency)) AS latency
        FROM citadel.statement_buckets(query_id, coalesce(from_time, '2000-01-01'), coalesce(to_time, citadel.history_clock()),
            interval '1 minute') AS b
        GROUP BY b.plan_id
    )
    SELECT s.plan_id, s.first_seen, s.last_seen, s.calls::bigint, s.errors::bigint, s.total_ms,
        s.total_ms / nullif(sum(s.total_ms) OVER (), 0), (s.total_ms / nullif(s.calls, 0))::double precision,
        citadel.latency_percentile(s.latency, 0.5), citadel.latency_percentile(s.latency, 0.95),
        citadel.latency_percentile(s.latency, 0.99), s.max_ms, (s.rows / nullif(s.calls, 0))::double precision,
        (s.hit / nullif(s.hit + s.read, 0))::double precision,
        (SELECT p.plan FROM citadel.visible_plan AS p
         WHERE p.query_id = plan_history.query_id AND p.plan_id = s.plan_id
         ORDER BY p.has_row_counts DESC, p.captured_at DESC LIMIT 1)
    FROM summed AS s
    ORDER BY s.first_seen, s.plan_id
    $$;
REVOKE ALL ON FUNCTION citadel.plan_history(bigint, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.plan_history(bigint, timestamptz, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION citadel.plan_history(bigint, timestamptz, timestamptz) IS
    'Each plan of a statement in a window (NULL: everything that is kept), when it ran and how it did, as far as the caller may '
    'see it, in the order in which they first ran. Times in milliseconds. Raises 22023 for a query_id that is NULL.';
