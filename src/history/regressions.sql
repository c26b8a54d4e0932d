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
    cause text NOT NULL CHECK (cause IN ('plan', 'blocks', 'cache', 'unknown')),
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
    'As it was found: plan: most runs have another plan than before. blocks: the same plan touches more blocks a run (more data, '
    'bloat, other parameters). cache: as many, but more of them read. unknown: none of these.';
COMMENT ON COLUMN citadel.regression.evidence IS
    'The figures behind the cause, of three hours before and of the minutes since: plan_before, plan_after, calls, blocks and reads '
    'a run.';
SELECT pg_catalog.pg_extension_config_dump('citadel.regression', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.regression_id_seq', '');

CREATE FUNCTION citadel.regression_evidence(statement_id bigint, since timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    WITH run AS MATERIALIZED (
        SELECT m.at < since AS before, m.plan_id, sum(m.calls) AS calls, sum(m.shared_hit + m.shared_read) AS blocks,
            sum(m.shared_read) AS reads
        FROM citadel.statement_minute AS m
        WHERE m.query_id = statement_id AND m.at >= since - interval '3 hours' AND m.toplevel
        GROUP BY 1, 2
    ), figure AS (
        SELECT (SELECT r.plan_id FROM run AS r WHERE r.before ORDER BY r.calls DESC, r.plan_id LIMIT 1) AS plan_before,
            (SELECT r.plan_id FROM run AS r WHERE NOT r.before ORDER BY r.calls DESC, r.plan_id LIMIT 1) AS plan_after,
            sum(calls) FILTER (WHERE before) AS calls_before, sum(calls) FILTER (WHERE NOT before) AS calls_after,
            sum(blocks) FILTER (WHERE before) / nullif(sum(calls) FILTER (WHERE before), 0)::float8 AS blocks_before,
            sum(blocks) FILTER (WHERE NOT before) / nullif(sum(calls) FILTER (WHERE NOT before), 0)::float8 AS blocks_after,
            sum(reads) FILTER (WHERE before) / nullif(sum(calls) FILTER (WHERE before), 0)::float8 AS reads_before,
            sum(reads) FILTER (WHERE NOT before) / nullif(sum(calls) FILTER (WHERE NOT before), 0)::float8 AS reads_after
        FROM run
    )
    SELECT jsonb_build_object('cause', CASE WHEN plan_before <> plan_after THEN 'plan'
            WHEN blocks_after >= 1.5 * greatest(blocks_before, 1) THEN 'blocks'
            WHEN reads_after >= 2 * greatest(reads_before, 1) THEN 'cache' ELSE 'unknown' END,
        'plan_before', plan_before, 'plan_after', plan_after, 'calls_before', calls_before, 'calls_after', calls_after,
        'blocks_per_run_before', blocks_before, 'blocks_per_run_after', blocks_after,
        'reads_per_run_before', reads_before, 'reads_per_run_after', reads_after)
    FROM figure
    $$;
REVOKE ALL ON FUNCTION citadel.regression_evidence(bigint, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION citadel.regression_evidence(bigint, timestamptz) IS
    'What changed in a statement at that time: the cause and evidence of a row of citadel.regression.';
