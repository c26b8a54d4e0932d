-- analyze_slow_queries over history written by hand: its figures, who sees what, bad input.
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- What is not right is refused.
SELECT * FROM citadel.analyze_slow_queries(NULL);
SELECT * FROM citadel.analyze_slow_queries('0 seconds');
SELECT * FROM citadel.analyze_slow_queries('-1 day');
SELECT * FROM citadel.analyze_slow_queries(max_rows => NULL);
SELECT * FROM citadel.analyze_slow_queries(max_rows => 0);
SELECT * FROM citadel.analyze_slow_queries(max_rows => -3);
SELECT * FROM citadel.analyze_slow_queries(min_mean_ms => -1);
SELECT * FROM citadel.analyze_slow_queries(min_mean_ms => 'NaN');

-- An extension of its own in one transaction: no worker sees it, so nothing is there but what this test writes.
\set ON_ERROR_ROLLBACK on
BEGIN;
DROP EXTENSION citadel_opt;
CREATE EXTENSION citadel_opt;
SET timezone = 'UTC';
-- Nothing there yet: no rows, no error.
SELECT count(*) FROM citadel.analyze_slow_queries();
CREATE ROLE slow_app;
CREATE ROLE slow_other;
CREATE ROLE slow_monitor;
GRANT pg_monitor TO slow_monitor;
CREATE TABLE citadel.sample_now PARTITION OF citadel.sample DEFAULT;
CREATE TABLE citadel.statement_delta_now PARTITION OF citadel.statement_delta DEFAULT;
INSERT INTO citadel.snapshot_state (source, last_at) VALUES ('statements', now() - interval '30 seconds');

INSERT INTO citadel.statement (query_id, user_id, query, first_seen, last_seen)
SELECT q, u::regrole, 'SELECT ' || q, now() - interval '3 days', now()
FROM (VALUES (1, 'slow_app'), (2, 'slow_app'), (3, 'slow_other'), (4, 'slow_app'), (5, 'slow_app')) AS v (q, u);
-- at, query_id, user, calls, total_ms, rows, hit, read, temp
INSERT INTO citadel.statement_delta (at, query_id, user_id, toplevel, calls, total_ms, plan_ms, rows, shared_hit,
                                     shared_read, temp_blocks, wal_bytes, io_ms, jit_ms)
SELECT now() - age, q, u::regrole, true, calls, total, 0, calls * 2, hit, read, temp, 0, 0, 0
FROM (VALUES (interval '2 minutes', 1, 'slow_app', 8, 16000, 75, 25, 3), -- 2 s mean
             ('1 minute', 1, 'slow_app', 2, 4000, 0, 0, 0),
             ('1 minute', 2, 'slow_app', 10000, 6000, 10, 0, 0),         -- much load, each fast
             ('2 days', 4, 'slow_app', 5, 50000, 1, 1, 0)) AS v (age, q, u, calls, total, hit, read, temp);
-- kind, outcome, query_id, user, ended ago, duration, waits, repeats
INSERT INTO citadel.sample (kind, outcome, nested, query_id, plan_id, user_id, started_at, ended_at, duration_ms, rows,
                            shared_hit, shared_read, temp_read, temp_written, jit_ms, waits, repeats)
SELECT kind, outcome, false, q, 7, u::regrole, now() - age - duration * interval '1 ms', now() - age, duration, 1, 1, 1, 0, 0,
       0, waits::jsonb, repeats
FROM (VALUES ('slow_statement', 'ok', 1, 'slow_app', interval '90 seconds', 3500, NULL, NULL::int), -- counted by the snapshot
             ('slow_statement', 'ok', 1, 'slow_app', '5 seconds', 1200, NULL, NULL),                -- not yet
             ('slow_statement', 'ok', 3, 'slow_other', '3 seconds', 2500, '{"Lock": 12, "cpu": 3}', NULL),
             ('slow_statement', 'timeout', 3, 'slow_other', '40 seconds', 5000, NULL, NULL),
             ('repeated_in_transaction', 'ok', 5, 'slow_app', '50 seconds', 80, NULL, 400)) AS v (kind, outcome, q, u, age, duration, waits, repeats);
INSERT INTO citadel.plan SELECT 3, 'slow_other'::regrole, 7, '[{"Plan": {"Node Type": "Result", "Plan Rows": 1}}]', false, now();

-- 2 is fast, so only a mean of one's own shows it; 4 lies before the window; 5 was found by its repeats
SELECT query_id, query, calls, total_ms, mean_ms, p95_ms, max_ms, round(load_share::numeric, 3) AS load_share, rows_per_call,
       round(cache_hit_ratio::numeric, 3) AS hits, temp_bytes, causes, recommendations
FROM citadel.analyze_slow_queries() \gx
SELECT query_id, calls, mean_ms FROM citadel.analyze_slow_queries(min_mean_ms => 0);
SELECT query_id, calls, mean_ms FROM citadel.analyze_slow_queries(min_mean_ms => 2100);
SELECT query_id, calls, total_ms FROM citadel.analyze_slow_queries('3 days', max_rows => 2);
SELECT query_id, calls FROM citadel.analyze_slow_queries('35 seconds');
-- The threshold is the caller's; -1 means that none is slow by its mean.
SET citadel_opt.slow_query_threshold = -1;
SELECT query_id FROM citadel.analyze_slow_queries('2 minutes', max_rows => 9);
RESET citadel_opt.slow_query_threshold;

-- Open recommendations stand beside the statements they help, for those who see the statement.
INSERT INTO citadel.index_recommendation (id, relation_oid, schema_name, relation_name, definition, access_method, status,
    size_bytes, cost_before, cost_after, improvement, write_cost, queries_helped, reason, evidence)
SELECT id, 0, 's', 't', 'CREATE INDEX', 'btree', status, 1, 2, 1, 0.5, 0, 1, 'test', '{}'
FROM (VALUES (9001, 'open'), (9002, 'open'), (9003, 'applied')) AS r (id, status);
INSERT INTO citadel.index_recommendation_query
SELECT r, query_id, user_id, 2, 1
FROM (SELECT DISTINCT ON (query_id) query_id, user_id FROM citadel.statement ORDER BY query_id, user_id) s,
     unnest(ARRAY[9001, 9002, 9003]) r
WHERE query_id IN (1, 3);
SELECT query_id, recommendations FROM citadel.analyze_slow_queries(min_mean_ms => 0) ORDER BY 1;
SET ROLE slow_app;
SELECT query_id, recommendations FROM citadel.analyze_slow_queries(min_mean_ms => 0) ORDER BY 1;
SELECT count(*) FROM citadel.index_recommendation_query;
RESET ROLE;

-- One's own statements, and load_share of these; a monitoring role sees all; what lies beneath is out of reach.
SET ROLE slow_app;
SELECT query_id, query, calls, round(load_share::numeric, 3) AS load_share FROM citadel.analyze_slow_queries(min_mean_ms => 0);
SELECT count(*) FROM citadel.sample;
SELECT count(*) FROM citadel.statement;
SELECT count(*) FROM citadel.plan;
SELECT count(*) FROM citadel.parameter_set;
SELECT count(*) FROM citadel.sample_now;
SELECT citadel.collect();
-- A function of one's own cannot look at rows that the view holds back.
RESET ROLE;
CREATE SCHEMA slow_app AUTHORIZATION slow_app;
SET ROLE slow_app;
CREATE FUNCTION slow_app.peek(bigint) RETURNS boolean LANGUAGE plpgsql COST 0.000001 AS
    $$ BEGIN RAISE NOTICE 'peeked at %', $1; RETURN true; END $$;
SET client_min_messages = notice;
SELECT count(*) FROM citadel.visible_statement WHERE slow_app.peek(query_id) AND query_id = 3;
SELECT count(*) FROM citadel.visible_sample WHERE slow_app.peek(query_id) AND query_id = 3;
SET client_min_messages = warning;
RESET ROLE;
SET ROLE slow_other;
SELECT query_id, round(load_share::numeric, 3) AS load_share FROM citadel.analyze_slow_queries(min_mean_ms => 0);
RESET ROLE;
SET ROLE slow_monitor;
SELECT query_id FROM citadel.analyze_slow_queries(min_mean_ms => 0) ORDER BY 1;
RESET ROLE;
-- A member sees what its role may see.
CREATE ROLE slow_member IN ROLE slow_other;
SET ROLE slow_member;
SELECT query_id FROM citadel.analyze_slow_queries(min_mean_ms => 0);
RESET ROLE;

-- Whatever the caller's search_path is, and whatever lies in it.
CREATE SCHEMA trap;
CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '-infinity'::timestamptz $$;
CREATE FUNCTION trap.pg_has_role(name, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE VIEW trap.pg_settings AS SELECT 1 AS nothing;
SET search_path = trap, pg_catalog;
SELECT query_id FROM citadel.analyze_slow_queries();
SET search_path = '';
SELECT query_id FROM citadel.analyze_slow_queries();
RESET search_path;

-- A role that is gone: its statements stay, for those who see all.
DROP OWNED BY slow_app;
DROP ROLE slow_member;
DROP ROLE slow_other;
SELECT query_id, query FROM citadel.analyze_slow_queries() ORDER BY 1;
SET ROLE slow_app;
SELECT query_id FROM citadel.analyze_slow_queries() ORDER BY 1;
RESET ROLE;

-- DROP EXTENSION takes the partitions along.
DROP EXTENSION citadel_opt;
SELECT count(*) FROM pg_namespace WHERE nspname = 'citadel';
ROLLBACK;
