-- index_build_plan(), explain_recommendation(), recommendation_report(): over rows as the advise job writes them.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
BEGIN;
CREATE SCHEMA plan;
CREATE TABLE plan.part (id int, at int) PARTITION BY RANGE (at);
CREATE TABLE plan.part_1 PARTITION OF plan.part FOR VALUES FROM (0) TO (10);
CREATE TABLE plan.part_2 PARTITION OF plan.part FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (at);
CREATE TABLE plan.part_2a PARTITION OF plan.part_2 FOR VALUES FROM (10) TO (20);
INSERT INTO plan.part SELECT i, i % 20 FROM generate_series(1, 10000) i;
ANALYZE plan.part;
CREATE TABLE plan.plain (a int);
CREATE INDEX plain_old ON plan.plain (a);
INSERT INTO citadel.index_recommendation (id, relation_oid, schema_name, relation_name, definition, access_method, size_bytes, cost_before,
    cost_after, improvement, write_cost, queries_helped, reason, evidence, action, index_oid, confidence, build_seconds)
VALUES (-1, 'plan.part'::regclass, 'plan', 'part', 'CREATE INDEX part_id_idx ON plan.part USING btree (id)', 'btree', 2000000, 100, 50, 0.5, 3, 1,
     'equality on id', '{"statements": [{"query_id": 5, "cost_before": 10, "cost_after": 2, "calls": 3, "planned_with": "known values"}],
     "load_share": 0.4, "alternatives": [{"definition": "CREATE INDEX x ON y (z)", "size_bytes": 1000, "share_of_gain": 0.5}],
     "confidence": {"value": 0.9, "reasons": ["no run of these statements had its rows counted"]}, "lower_bound": 10, "cost_of_all": 40}', 'create', NULL, 0.9, 1.5),
    (-2, 'plan.plain'::regclass, 'plan', 'plain', 'DROP INDEX CONCURRENTLY plan.plain_old', 'btree', 8192, 100, 100, 0, 0, 0,
     'no scan was counted for 30 days', '{"statements": []}', 'drop', 'plan.plain_old'::regclass, 1, NULL),
    (-3, 'plan.plain'::regclass, 'plan', 'plain', 'CREATE INDEX CONCURRENTLY "odd name" ON plan.plain USING btree (a)', 'btree', 8192, 100, 90, 0.1, 0, 1,
     'x', '{"statements": []}', 'replace', 'plan.plain_old'::regclass, 1, NULL),
    (-4, 0, 'plan', 'gone', 'CREATE INDEX CONCURRENTLY gone_idx ON plan.gone USING btree (a)', 'btree', 8192, 100, 90, 0.1, 0, 1,
     'x', '{"statements": []}', 'create', NULL, 1, NULL),
    (-5, 'plan.part'::regclass, 'plan', 'part', 'CREATE INDEX part_expr_idx ON plan.part USING btree ((id % 10)) WHERE (at = 3)', 'btree', 8192, 100, 90, 0.1, 0, 1,
     'x', '{"statements": []}', 'create', NULL, 1, NULL),
    (-6, 'plan.plain'::regclass, 'plan', 'plain', 'CREATE INDEX CONCURRENTLY plain_idx ON plan.plain USING btree (a) WHERE ((a % 10) = 3)', 'btree', 8192, 100, 90, 0.1, 0, 1,
     'x', '{"statements": []}', 'create', NULL, 1, NULL);
SELECT step_no, statement, estimated_seconds > 0 AS takes_time, disk_bytes, note FROM citadel.index_build_plan(-1);
SELECT step_no, statement, disk_bytes FROM citadel.index_build_plan(-2);
SELECT step_no, statement, disk_bytes FROM citadel.index_build_plan(-3);
SELECT count(*) FROM citadel.index_build_plan(-4);
-- An index on an expression wants statistics of its own.
SELECT step_no, statement, estimated_seconds > 0 AS takes_time, note FROM citadel.index_build_plan(-5) WHERE statement LIKE 'ANALYZE%';
SELECT substring(citadel.explain_recommendation(-5), 'When it is built[^\n]*') AS hint, (SELECT count(*) FROM citadel.index_build_plan(-6)) AS steps_without;
SELECT count(*) FROM citadel.index_build_plan(-99);
-- A plan that can be run gives a valid index.
DO $$
DECLARE s record;
BEGIN
    FOR s IN SELECT * FROM citadel.index_build_plan(-1) LOOP
        EXECUTE replace(s.statement, 'CONCURRENTLY ', '');
    END LOOP;
END $$;
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'plan.part'::regclass;
\pset format unaligned
\pset tuples_only on
SELECT citadel.explain_recommendation(-1);
SELECT citadel.explain_recommendation(-99) IS NULL;
SELECT r -> 'action', r -> 'confidence', jsonb_array_length(r -> 'build_plan'), r #> '{evidence,load_share}' FROM citadel.recommendation_report(-1) AS r;
ROLLBACK;
