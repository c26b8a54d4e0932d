-- analyze_slow_queries() names the open recommendations of a statement, to those who may see the statement.
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
BEGIN;
SELECT plan(4);

CREATE TABLE citadel.sample_all PARTITION OF citadel.sample DEFAULT;
CREATE TABLE citadel.statement_delta_all PARTITION OF citadel.statement_delta DEFAULT;
CREATE ROLE slow_index_owner;
CREATE ROLE slow_index_other;
INSERT INTO citadel.statement (query_id, user_id, query, first_seen, last_seen)
SELECT 901, 'slow_index_owner'::regrole::oid, 'SELECT 901', now(), now();
INSERT INTO citadel.sample (kind, outcome, nested, query_id, user_id, started_at, ended_at, duration_ms)
SELECT 'slow_statement', 'ok', false, 901, 'slow_index_owner'::regrole::oid, now() - interval '5 s', now() - interval '3 s', 2000;
INSERT INTO citadel.index_recommendation (id, relation_oid, schema_name, relation_name, definition, access_method, status, size_bytes,
                                          cost_before, cost_after, improvement, write_cost, queries_helped, reason, evidence)
SELECT id, 0, 's', 't', 'CREATE INDEX ' || id, 'btree', status, 1, 10, 1, 0.9, 0, 1, 'test', '{}'
FROM (VALUES (90001, 'open'), (90002, 'open'), (90003, 'applied'), (90004, 'obsolete')) AS r (id, status);
INSERT INTO citadel.index_recommendation_query (recommendation_id, query_id, user_id, cost_before, cost_after)
SELECT id, 901, 'slow_index_owner'::regrole::oid, 10, 1 FROM generate_series(90001, 90004) AS id;

SELECT results_eq('SELECT recommendations FROM citadel.analyze_slow_queries() WHERE query_id = 901', 'SELECT ''{90001,90002}''::bigint[]',
                  'the open recommendations of the statement');
SET LOCAL ROLE slow_index_owner;
SELECT results_eq('SELECT recommendations FROM citadel.analyze_slow_queries() WHERE query_id = 901', 'SELECT ''{90001,90002}''::bigint[]',
                  'also for the role that ran it');
RESET ROLE;
SET LOCAL ROLE slow_index_other;
SELECT is_empty('SELECT * FROM citadel.analyze_slow_queries() WHERE query_id = 901', 'and for nobody else');
SELECT is_empty('SELECT * FROM citadel.visible_recommendation', 'who does not see the links either');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
