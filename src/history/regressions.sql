-- Statements that have become slower: found by the scheduler when it stores a minute (src/history/regression.hpp).

CREATE TABLE citadel.regression (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    query_id bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'over', 'accepted', 'gone')),
    since timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    closed_at timestamptz,
    usual_ms double precision NOT NULL,
    ms double precision NOT NULL,
    worst_ms double precision NOT NULL,
    cause text NOT NULL CHECK (cause IN ('index', 'setting', 'ddl', 'statistics', 'data', 'bloat', 'waiting', 'cache', 'parameters',
        'plan', 'blocks', 'unknown')),
    why text NOT NULL,
    evidence jsonb NOT NULL
);
CREATE INDEX regression_open ON citadel.regression (query_id) WHERE state = 'open';
REVOKE ALL ON citadel.regression FROM PUBLIC;
GRANT SELECT ON citadel.regression TO pg_monitor;
COMMENT ON TABLE citadel.regression IS
    'Statements that have become slower than they were, by half or more, as far as the spread of their minutes tells it from '
    'chance. Closed ones are deleted after citadel_opt.history_retention.';
COMMENT ON COLUMN citadel.regression.state IS
    'open; over: as fast as before for five minutes in which it ran enough; accepted: slow for a day, which is what is usual now; '
    'gone: has not run for a day.';
COMMENT ON COLUMN citadel.regression.since IS 'First minute in which it was slower.';
COMMENT ON COLUMN citadel.regression.last_seen IS 'Last minute in which it ran enough to be judged.';
COMMENT ON COLUMN citadel.regression.usual_ms IS 'Geometric mean of its latencies before.';
COMMENT ON COLUMN citadel.regression.ms IS 'Geometric mean at last_seen.';
COMMENT ON COLUMN citadel.regression.worst_ms IS 'The largest one so far.';
COMMENT ON COLUMN citadel.regression.cause IS
    'The main one, looked for in the first five minutes: index: one that the plan before used is gone or invalid. setting: one was '
    'changed. ddl: on a table of the plan. statistics: changed, stale or missing. data: a table grew. bloat. waiting: for locks, I/O '
    'and others. cache: as many blocks, more of them read. parameters: other values, because nothing else changed. plan, blocks: '
    'another plan, more blocks, of unknown tables. unknown: none of these.';
COMMENT ON COLUMN citadel.regression.why IS 'The cause in a sentence, with its figures.';
COMMENT ON COLUMN citadel.regression.evidence IS
    'causes: all that apply, the main one first, each with why. The figures behind them, of three hours before and of the minutes '
    'since: plan_before, plan_after (see plan_history), calls, blocks, reads, temporary blocks and rows a run; tables, indexes_before, '
    'ddl, settings, waits.';
SELECT pg_catalog.pg_extension_config_dump('citadel.regression', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.regression_id_seq', '');

CREATE FUNCTION citadel.regression_evidence(statement_id bigint, since timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    WITH run AS MATERIALIZED (
        SELECT m.at < since AS before, m.plan_id, sum(m.calls) AS calls, sum(m.total_ms) AS ms,
            sum(m.shared_hit + m.shared_read) AS blocks, sum(m.shared_read) AS reads, sum(m.temp_blocks) AS temp, sum(m.rows) AS rows
        FROM citadel.statement_minute AS m
        WHERE m.query_id = statement_id AND m.at >= since - interval '3 hours' AND m.toplevel
        GROUP BY 1, 2
    ), total AS (
        SELECT r.before, sum(r.calls)::float8 AS calls, sum(r.ms) AS ms, sum(r.blocks)::float8 AS blocks, sum(r.reads)::float8 AS reads,
            sum(r.temp)::float8 AS temp, sum(r.rows)::float8 AS rows
        FROM run AS r GROUP BY r.before
    ), share AS (
        -- of the time: one run in ten with a bad plan is most of it
        SELECT r.plan_id, coalesce(sum(r.ms / nullif(t.ms, 0)) FILTER (WHERE r.before), 0) AS before,
            coalesce(sum(r.ms / nullif(t.ms, 0)) FILTER (WHERE NOT r.before), 0) AS after
        FROM run AS r JOIN total AS t ON t.before = r.before
        GROUP BY r.plan_id
    ), risen AS (
        SELECT s.* FROM share AS s ORDER BY s.after - s.before DESC, s.plan_id LIMIT 1
    ), plan AS (
        SELECT CASE WHEN r.other THEN r.plan_id ELSE p.most_after END AS after,
            CASE WHEN r.other THEN p.other_before ELSE p.most_after END AS before, r.share_before, r.share_after
        FROM (SELECT risen.plan_id, risen.before AS share_before, risen.after AS share_after,
                risen.after >= risen.before + 0.3 AND risen.before < 0.5 AS other FROM risen) AS r,
            LATERAL (SELECT (SELECT s.plan_id FROM share AS s ORDER BY s.after DESC, s.plan_id LIMIT 1) AS most_after,
                coalesce((SELECT s.plan_id FROM share AS s WHERE s.plan_id <> r.plan_id AND s.before > 0
                    ORDER BY s.before DESC, s.plan_id LIMIT 1), r.plan_id) AS other_before) AS p
    )
    SELECT jsonb_build_object('plan_before', p.before, 'plan_after', p.after, 'plan_after_time_share_before', p.share_before,
        'plan_after_time_share', p.share_after, 'calls_before', b.calls, 'calls_after', a.calls,
        'blocks_per_run_before', b.blocks / nullif(b.calls, 0), 'blocks_per_run_after', a.blocks / nullif(a.calls, 0),
        'reads_per_run_before', b.reads / nullif(b.calls, 0), 'reads_per_run_after', a.reads / nullif(a.calls, 0),
        'temp_blocks_per_run_before', b.temp / nullif(b.calls, 0), 'temp_blocks_per_run_after', a.temp / nullif(a.calls, 0),
        'rows_per_run_before', b.rows / nullif(b.calls, 0), 'rows_per_run_after', a.rows / nullif(a.calls, 0))
    FROM (SELECT 1) AS one LEFT JOIN plan AS p ON true LEFT JOIN total AS b ON b.before LEFT JOIN total AS a ON NOT a.before
    $$;
REVOKE ALL ON FUNCTION citadel.regression_evidence(bigint, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION citadel.regression_evidence(bigint, timestamptz) IS
    'What changed in a statement at that time: the figures of its runs in the evidence of a row of citadel.regression.';
