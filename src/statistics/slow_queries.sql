-- analyze_slow_queries: the slow statements of a window, why they are slow, and the indexes that would help.
--
-- No SECURITY DEFINER: it reads views that show each caller what he may see (src/history/history.sql), so everybody may
-- call it. Members of pg_read_all_stats see all statements, others those of roles whose privileges they have; for these
-- load_share is the share of what they see.

CREATE TYPE citadel.slow_query AS (
    query_id bigint,
    query text,
    calls bigint,
    total_ms double precision,
    mean_ms double precision,
    p95_ms double precision,
    max_ms double precision,
    load_share double precision,
    rows_per_call double precision,
    cache_hit_ratio double precision,
    temp_bytes bigint,
    first_seen timestamptz,
    last_seen timestamptz,
    causes text[],
    recommendations bigint[],
    p50_ms double precision,
    p99_ms double precision
);
COMMENT ON TYPE citadel.slow_query IS 'A row of citadel.analyze_slow_queries().';
COMMENT ON COLUMN citadel.slow_query.query IS
    'Text without literals; NULL when it is not stored: of utility statements it never is.';
COMMENT ON COLUMN citadel.slow_query.p95_ms IS
    'Milliseconds that 95 % of the runs in the window did not exceed, within 7 % of the exact value; p50_ms, p99_ms alike. NULL '
    'when none was counted (citadel_opt.statement_history; the minute that still runs is not stored yet).';
COMMENT ON COLUMN citadel.slow_query.max_ms IS
    'Longest captured run; without captured runs the largest mean of a one-minute snapshot, which the longest run reaches '
    'or passes.';
COMMENT ON COLUMN citadel.slow_query.load_share IS
    'Share (0..1) of the execution time of all statements in the window, nested ones not counted twice.';
COMMENT ON COLUMN citadel.slow_query.cache_hit_ratio IS
    'Shared buffer hits / (hits + reads), 0..1; NULL when no buffer was touched.';
COMMENT ON COLUMN citadel.slow_query.temp_bytes IS 'Temporary file bytes read and written in the window.';
COMMENT ON COLUMN citadel.slow_query.causes IS 'A sentence each, with figures, the most telling first.';
COMMENT ON COLUMN citadel.slow_query.recommendations IS
    'ids in citadel.index_recommendation, still open, that would make this statement faster.';

CREATE VIEW citadel.statement_snapshot_time WITH (security_barrier) AS
    SELECT last_at FROM citadel.snapshot_state WHERE source = 'statements';
REVOKE ALL ON citadel.statement_snapshot_time FROM PUBLIC;
GRANT SELECT ON citadel.statement_snapshot_time TO PUBLIC;
COMMENT ON VIEW citadel.statement_snapshot_time IS
    'When pg_stat_statements was last read into the history; what ended later is known from samples alone.';

-- Figures of one window. What pg_stat_statements counted comes from the deltas. Samples add what it has not counted:
-- runs that ended after the last snapshot, runs that were cancelled or failed (it sees finished ones alone), and
-- statements of which it has nothing at all in the window.
CREATE FUNCTION citadel.statement_figures(from_time timestamptz, OUT query_id bigint, OUT user_ids oid[], OUT calls bigint,
        OUT total_ms double precision, OUT max_ms double precision, OUT rows numeric, OUT hit numeric, OUT read numeric,
        OUT temp_blocks numeric, OUT first_seen timestamptz, OUT last_seen timestamptz, OUT sampled bigint,
        OUT load_share double precision) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    WITH delta AS (
        SELECT d.query_id, array_agg(DISTINCT d.user_id) AS user_ids, sum(d.calls) AS calls, sum(d.total_ms) AS total_ms,
               max(d.total_ms / nullif(d.calls, 0)) AS max_mean_ms, sum(d.rows) AS rows, sum(d.shared_hit) AS hit,
               sum(d.shared_read) AS read, sum(d.temp_blocks) AS temp_blocks, min(d.at) AS first_seen,
               max(d.at) AS last_seen, coalesce(sum(d.total_ms) FILTER (WHERE d.toplevel), 0) AS top_ms
        FROM citadel.visible_statement_delta d
        WHERE d.at > from_time
        GROUP BY d.query_id
    ), sampled AS (
        SELECT s.*, s.kind = 'slow_statement'
                    AND (s.ended_at > coalesce((SELECT t.last_at FROM citadel.statement_snapshot_time t), '-infinity')
                         OR s.outcome <> 'ok' OR d.query_id IS NULL) AS uncounted
        FROM citadel.visible_sample s LEFT JOIN delta d ON d.query_id = s.query_id
        WHERE s.ended_at > from_time
    ), sample AS (
        SELECT s.query_id, array_agg(DISTINCT s.user_id) AS user_ids, count(*) AS sampled,
               max(s.duration_ms) FILTER (WHERE s.kind = 'slow_statement') AS max_ms,
               count(*) FILTER (WHERE s.uncounted) AS calls, sum(s.duration_ms) FILTER (WHERE s.uncounted) AS total_ms,
               sum(s.rows) FILTER (WHERE s.uncounted) AS rows, sum(s.shared_hit) FILTER (WHERE s.uncounted) AS hit,
               sum(s.shared_read) FILTER (WHERE s.uncounted) AS read,
               sum(s.temp_read + s.temp_written) FILTER (WHERE s.uncounted) AS temp_blocks,
               min(s.started_at) AS first_seen, max(s.ended_at) AS last_seen,
               coalesce(sum(s.duration_ms) FILTER (WHERE s.uncounted AND NOT s.nested), 0) AS top_ms
        FROM sampled s
        GROUP BY s.query_id
    ), figures AS (
        SELECT query_id, array_cat(d.user_ids, s.user_ids) AS user_ids,
               coalesce(d.calls, 0) + coalesce(s.calls, 0) AS calls,
               coalesce(d.total_ms, 0) + coalesce(s.total_ms, 0) AS total_ms, coalesce(s.max_ms, d.max_mean_ms) AS max_ms,
               coalesce(d.rows, 0) + coalesce(s.rows, 0) AS rows, coalesce(d.hit, 0) + coalesce(s.hit, 0) AS hit,
               coalesce(d.read, 0) + coalesce(s.read, 0) AS read,
               coalesce(d.temp_blocks, 0) + coalesce(s.temp_blocks, 0) AS temp_blocks,
               least(d.first_seen, s.first_seen) AS first_seen, greatest(d.last_seen, s.last_seen) AS last_seen,
               coalesce(s.sampled, 0) AS sampled,
               sum(coalesce(d.top_ms, 0) + coalesce(s.top_ms, 0)) OVER () AS load_ms
        FROM delta d FULL JOIN sample s USING (query_id)
    )
    SELECT query_id, user_ids, calls::bigint, total_ms, max_ms, rows, hit, read, temp_blocks, first_seen, last_seen, sampled,
           least(1, total_ms / nullif(load_ms, 0))
    FROM figures
    WHERE query_id <> 0
    $$;
REVOKE ALL ON FUNCTION citadel.statement_figures(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.statement_figures(timestamptz) TO PUBLIC;
COMMENT ON FUNCTION citadel.statement_figures(timestamptz) IS
    'What each statement that the caller may see did since that time: calls, milliseconds, blocks. sampled: captured runs.';

CREATE FUNCTION citadel.statement_causes(statement_id bigint, from_time timestamptz) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    WITH sample AS MATERIALIZED (
        SELECT * FROM citadel.visible_sample s WHERE s.query_id = statement_id AND s.ended_at > from_time
    ), slow AS (
        SELECT count(*) AS runs, sum(duration_ms) AS duration_ms, sum(jit_ms) AS jit_ms, sum(temp_written)::bigint AS temp_written,
               count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
               count(*) FILTER (WHERE outcome = 'timeout') AS timeouts, count(*) FILTER (WHERE outcome = 'error') AS errors
        FROM sample WHERE kind = 'slow_statement'
    ), wait AS (
        SELECT jsonb_object_agg(class, n) AS waits
        FROM (SELECT w.key AS class, sum(w.value::bigint) AS n
              FROM sample s, jsonb_each_text(CASE jsonb_typeof(s.waits) WHEN 'object' THEN s.waits ELSE '{}' END) w
              GROUP BY w.key) AS by_class
    ), repeated AS (
        SELECT max(repeats) AS most FROM sample WHERE kind = 'repeated_in_transaction'
    ), chosen_plan AS (      -- the one that took the most time in the window, else the newest
        SELECT p.plan, p.has_row_counts, t.query, t.search_path
        FROM citadel.visible_plan p
        LEFT JOIN citadel.visible_statement t ON t.query_id = p.query_id AND t.user_id = p.user_id
        LEFT JOIN LATERAL (SELECT sum(s.duration_ms) AS ms FROM sample s
                           WHERE s.plan_id = p.plan_id AND s.user_id = p.user_id) AS used ON true
        WHERE p.query_id = statement_id
        ORDER BY used.ms DESC NULLS LAST, p.has_row_counts DESC, p.captured_at DESC
        LIMIT 1
    ), from_plan AS (
        SELECT coalesce((SELECT citadel.plan_causes(plan, has_row_counts, query, search_path) FROM chosen_plan), '{}') AS causes
    ), from_samples AS (
        SELECT citadel.sample_causes(runs, duration_ms, jit_ms, temp_written, waits, cancelled, timeouts, errors, most) AS causes
        FROM slow, wait, repeated
    ), found AS (
        SELECT coalesce(array_agg(cause ORDER BY importance, position), '{}') AS causes
        FROM (
            SELECT 2 AS importance, c.position, c.cause
            FROM from_plan, unnest(from_plan.causes) WITH ORDINALITY AS c (cause, position)
            UNION ALL           -- repeats and locks are no matter of the plan
            SELECT CASE WHEN c.cause LIKE '%(N+1)%' OR c.cause LIKE 'waits % for locks %' THEN 1 ELSE 3 END, c.position, c.cause
            FROM from_plan, from_samples, unnest(from_samples.causes) WITH ORDINALITY AS c (cause, position)
            WHERE NOT EXISTS (  -- what the plan already said in detail is not said again
                SELECT FROM unnest(from_plan.causes) p
                WHERE c.cause LIKE 'writes % of temporary files%' AND p LIKE '% spills%'
                   OR c.cause LIKE 'JIT %' AND p LIKE 'JIT %')
        ) AS one
    )
    SELECT CASE WHEN EXISTS (SELECT FROM chosen_plan)
                THEN CASE WHEN causes = '{}' THEN ARRAY['none found in its plan and samples'] ELSE causes END
                ELSE causes || ARRAY['no plan was captured in its runs so far, so nothing is known of its scans and joins'] END
    FROM found
    $$;
REVOKE ALL ON FUNCTION citadel.statement_causes(bigint, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.statement_causes(bigint, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION citadel.statement_causes(bigint, timestamptz) IS
    'Why that statement was slow since that time, as far as the caller may see it. Never empty: says when nothing was '
    'found, or when there was no plan to look at.';

CREATE VIEW citadel.visible_recommendation WITH (security_barrier) AS
    SELECT q.recommendation_id, q.query_id, q.user_id, q.cost_before, q.cost_after
    FROM citadel.index_recommendation_query q
    JOIN citadel.index_recommendation r ON r.id = q.recommendation_id AND r.status = 'open'
    WHERE pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') OR pg_catalog.pg_has_role(q.user_id, 'USAGE');
REVOKE ALL ON citadel.visible_recommendation FROM PUBLIC;
GRANT SELECT ON citadel.visible_recommendation TO PUBLIC;
COMMENT ON VIEW citadel.visible_recommendation IS
    'Which open index recommendations help which statement, as far as the current user may see the statement.';

CREATE FUNCTION citadel.analyze_slow_queries(since interval DEFAULT '1 day', min_mean_ms double precision DEFAULT NULL,
                                             max_rows integer DEFAULT 20) RETURNS SETOF citadel.slow_query
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT citadel.raise_error('22023', 'since must be a positive interval', 'since is ' || coalesce(since::text, 'NULL') || '.')
    WHERE since IS NULL OR since <= interval '0'
    UNION ALL
    SELECT citadel.raise_error('22023', 'since must be at most 1000 years', 'since is ' || since || '.')
    WHERE since > interval '1000 years'
    UNION ALL
    SELECT citadel.raise_error('22023', 'max_rows must be a positive number',
                               'max_rows is ' || coalesce(max_rows::text, 'NULL') || '.')
    WHERE max_rows IS NULL OR max_rows <= 0
    UNION ALL
    SELECT citadel.raise_error('22023', 'min_mean_ms must be NULL, zero or positive', 'min_mean_ms is ' || min_mean_ms || '.')
    WHERE min_mean_ms < 0 OR min_mean_ms = 'NaN';

    SELECT f.query_id, text.query, f.calls, f.total_ms, f.total_ms / nullif(f.calls, 0),
           citadel.latency_percentile(runs.latency, 0.95), f.max_ms,
           f.load_share, (f.rows / nullif(f.calls, 0))::double precision,
           (f.hit / nullif(f.hit + f.read, 0))::double precision,
           (f.temp_blocks * current_setting('block_size')::bigint)::bigint, least(text.first_seen, f.first_seen), f.last_seen,
           citadel.statement_causes(f.query_id, bounds.from_time),
           ARRAY(SELECT DISTINCT r.recommendation_id FROM citadel.visible_recommendation r
                 WHERE r.query_id = f.query_id ORDER BY 1),
           citadel.latency_percentile(runs.latency, 0.5), citadel.latency_percentile(runs.latency, 0.99)
    FROM (SELECT citadel.history_clock() - since AS from_time,
                 (SELECT s.setting::double precision FROM pg_settings s
                  WHERE s.name = 'citadel_opt.slow_query_threshold') AS threshold_ms) AS bounds,
         LATERAL (SELECT * FROM citadel.statement_figures(bounds.from_time) AS figures
                  WHERE CASE WHEN min_mean_ms IS NOT NULL
                             THEN figures.calls > 0 AND figures.total_ms >= min_mean_ms * figures.calls
                             ELSE figures.sampled > 0
                                  OR bounds.threshold_ms >= 0
                                     AND figures.total_ms >= bounds.threshold_ms * figures.calls END
                  ORDER BY figures.total_ms DESC, figures.query_id
                  LIMIT max_rows) AS f
         LEFT JOIN LATERAL (SELECT min(t.query) AS query, min(t.first_seen) AS first_seen
                            FROM citadel.visible_statement t WHERE t.query_id = f.query_id) AS text ON true
         CROSS JOIN LATERAL (SELECT citadel.latency_merge(array_agg(b.latency)) AS latency
                             FROM citadel.statement_buckets(f.query_id, bounds.from_time, citadel.history_clock()) b) AS runs
    ORDER BY f.total_ms DESC, f.query_id
    $$;
REVOKE ALL ON FUNCTION citadel.analyze_slow_queries(interval, double precision, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.analyze_slow_queries(interval, double precision, integer) TO PUBLIC;
COMMENT ON FUNCTION citadel.analyze_slow_queries(interval, double precision, integer) IS
    'Statements by total time since that long ago, with causes and recommendations. min_mean_ms: only those with at least '
    'that mean; NULL: those with captured runs or a mean of at least slow_query_threshold. max_rows: at most so many. '
    'Times in milliseconds. Raises 22023 for a since that is NULL or not positive, a negative min_mean_ms, or max_rows '
    'that is NULL or below 1.';
