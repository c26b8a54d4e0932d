-- Causes from plans: each fires where it should, and says nothing over a healthy plan.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA causes;
CREATE TABLE causes.orders (id bigint PRIMARY KEY, customer bigint, code varchar(20), email text, created timestamptz,
                            qty int) WITH (autovacuum_enabled = off);
CREATE INDEX orders_code ON causes.orders (code);
CREATE INDEX orders_email ON causes.orders (email);
CREATE INDEX orders_created ON causes.orders (created);
CREATE INDEX orders_qty ON causes.orders (qty);
ANALYZE causes.orders;
UPDATE pg_class SET reltuples = 1000000 WHERE oid = 'causes.orders'::regclass;
CREATE TABLE causes."Odd Name" (id int) WITH (autovacuum_enabled = off);
CREATE FUNCTION causes.say(plan jsonb, counted boolean DEFAULT true, query text DEFAULT NULL) RETURNS SETOF text
    LANGUAGE sql AS $$ SELECT unnest(citadel.plan_causes(plan, counted, query)) $$;
-- a sequential scan of causes.orders with that filter
CREATE FUNCTION causes.scan(filter text, kept int DEFAULT 5, removed int DEFAULT 999995) RETURNS jsonb
    LANGUAGE sql AS $$
    SELECT jsonb_build_array(jsonb_build_object('Plan', jsonb_build_object('Node Type', 'Seq Scan', 'Schema', 'causes',
        'Relation Name', 'orders', 'Alias', 'orders', 'Plan Rows', kept, 'Actual Rows', kept, 'Actual Loops', 1,
        'Filter', filter, 'Rows Removed by Filter', removed)))
    $$;

\echo == healthy plans
SELECT causes.say('[{"Plan": {"Node Type": "Index Scan", "Schema": "causes", "Relation Name": "orders", "Index Name": "orders_pkey",
  "Index Cond": "(id = $1)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1}}]');
SELECT causes.say(causes.scan('(customer > $1)', 900000, 100000));
SELECT causes.say(causes.scan('(customer = $1)', 5, 500));
SELECT causes.say(causes.scan('(customer > $1)', 900000, 100000), false);
SELECT causes.say('[{"Plan": {"Node Type": "Nested Loop", "Plan Rows": 20, "Actual Rows": 20, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 20, "Actual Rows": 20, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 20}]}}]');
SELECT causes.say('[{"Plan": {"Node Type": "Sort", "Sort Key": ["a"], "Sort Space Type": "Memory", "Sort Space Used": 25, "Plan Rows": 90, "Actual Rows": 90, "Actual Loops": 1, "Plans": [
  {"Node Type": "Hash", "Parent Relationship": "Outer", "Hash Batches": 1, "Plan Rows": 90, "Actual Rows": 90, "Actual Loops": 1}]}}]');
-- what is stopped early gives less than planned, and that is no wrong estimate; nor is a page of rows OFFSET paging
SELECT causes.say('[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 1000000, "Actual Rows": 10, "Actual Loops": 1}]}}]',
  true, 'SELECT * FROM orders ORDER BY id LIMIT $1');
SELECT causes.say('[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 900},
  "JIT": {"Functions": 3, "Timing": {"Total": 40}}, "Execution Time": 900}]');

\echo == sequential scan that discards most
SELECT causes.say(causes.scan('(customer = $1)'));
SELECT causes.say(causes.scan('(customer = $1)'), false);
-- row counts promised but not there: estimated
SELECT causes.say('{"Plan": {"Node Type": "Seq Scan", "Schema": "causes", "Relation Name": "orders", "Filter": "(customer = $1)", "Plan Rows": 12}}');
-- a parallel scan: estimates are per process, actual rows too
SELECT causes.say('[{"Plan": {"Node Type": "Gather", "Workers Planned": 2, "Plan Rows": 24, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Parallel Aware": true, "Schema": "causes", "Relation Name": "orders", "Filter": "(customer = $1)", "Plan Rows": 10}]}}]', false);
SELECT causes.say('[{"Plan": {"Node Type": "Gather", "Workers Planned": 2, "Plan Rows": 24, "Actual Rows": 24, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Parallel Aware": true, "Schema": "causes", "Relation Name": "orders", "Filter": "(customer = $1)", "Plan Rows": 10,
   "Actual Rows": 8, "Actual Loops": 3, "Rows Removed by Filter": 333325}]}}]');
-- the relation is gone since: named as the plan names it
SELECT causes.say('[{"Plan": {"Node Type": "Seq Scan", "Schema": "causes", "Relation Name": "Gone Since", "Filter": "(a = $1)", "Plan Rows": 1,
  "Actual Rows": 1, "Actual Loops": 1, "Rows Removed by Filter": 50000}}]');
-- partitions count as their table
CREATE TABLE causes.event (at int, kind int) PARTITION BY RANGE (at);
CREATE TABLE causes.event_1 PARTITION OF causes.event FOR VALUES FROM (0) TO (10) WITH (autovacuum_enabled = off);
CREATE TABLE causes.event_2 PARTITION OF causes.event FOR VALUES FROM (10) TO (20) WITH (autovacuum_enabled = off);
SELECT causes.say('[{"Plan": {"Node Type": "Append", "Plan Rows": 2, "Actual Rows": 2, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Member", "Schema": "causes", "Relation Name": "event_1", "Filter": "(kind = $1)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Rows Removed by Filter": 600},
  {"Node Type": "Seq Scan", "Parent Relationship": "Member", "Schema": "causes", "Relation Name": "event_2", "Filter": "(kind = $1)", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Rows Removed by Filter": 700}]}}]');

\echo == index scan whose filter discards most
SELECT causes.say('[{"Plan": {"Node Type": "Index Scan", "Schema": "causes", "Relation Name": "orders", "Index Name": "orders_created", "Index Cond": "(created > $1)",
  "Filter": "(customer = $2)", "Plan Rows": 40, "Actual Rows": 40, "Actual Loops": 1, "Rows Removed by Filter": 250000}}]');

\echo == sort and hash on disk
SELECT causes.say('[{"Plan": {"Node Type": "Sort", "Sort Key": ["created DESC", "id"], "Sort Method": "external merge", "Sort Space Type": "Disk", "Sort Space Used": 46080, "Plan Rows": 90, "Actual Rows": 90, "Actual Loops": 1}}]');
SELECT causes.say('[{"Plan": {"Node Type": "Sort", "Sort Key": ["id"], "Sort Space Type": "Disk", "Sort Space Used": 1024, "Plan Rows": 90, "Actual Rows": 90, "Actual Loops": 3,
  "Workers": [{"Worker Number": 0, "Sort Space Type": "Disk", "Sort Space Used": 2048}, {"Worker Number": 1, "Sort Space Type": "Memory", "Sort Space Used": 25}]}}]');
SELECT causes.say('[{"Plan": {"Node Type": "Incremental Sort", "Sort Key": ["a", "b"], "Plan Rows": 90, "Actual Rows": 90, "Actual Loops": 1,
  "Full-sort Groups": {"Group Count": 1, "Sort Space Disk": {"Average Sort Space Used": 512, "Peak Sort Space Used": 1024}}}}]');
SELECT causes.say('[{"Plan": {"Node Type": "Hash", "Hash Batches": 16, "Original Hash Batches": 1, "Plan Rows": 90, "Actual Rows": 90, "Actual Loops": 1}}]');
SELECT causes.say('[{"Plan": {"Node Type": "Aggregate", "Strategy": "Hashed", "HashAgg Batches": 5, "Disk Usage": 20480, "Plan Rows": 90, "Actual Rows": 90, "Actual Loops": 1}}]');

\echo == row estimates: the lowest wrong node is named
SELECT causes.say('[{"Plan": {"Node Type": "Hash Join", "Plan Rows": 10, "Actual Rows": 50000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Schema": "causes", "Relation Name": "orders", "Plan Rows": 10, "Actual Rows": 23000, "Actual Loops": 1},
  {"Node Type": "Hash", "Parent Relationship": "Inner", "Plan Rows": 100, "Actual Rows": 100, "Actual Loops": 1}]}}]');
SELECT causes.say('[{"Plan": {"Node Type": "Index Scan", "Schema": "causes", "Relation Name": "orders", "Plan Rows": 500000, "Actual Rows": 3, "Actual Loops": 1}}]');
-- an estimate cannot be judged without row counts
SELECT causes.say('[{"Plan": {"Node Type": "Index Scan", "Schema": "causes", "Relation Name": "orders", "Plan Rows": 500000}}]', false);

\echo == nested loops
SELECT causes.say('[{"Plan": {"Node Type": "Nested Loop", "Plan Rows": 50000, "Actual Rows": 50000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 50000, "Actual Rows": 50000, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "Odd Name", "Schema": "causes", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 50000}]}}]');
SELECT causes.say('[{"Plan": {"Node Type": "Nested Loop", "Plan Rows": 50000, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 50000},
  {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 1}]}}]', false);
SELECT causes.say('[{"Plan": {"Node Type": "Nested Loop", "Plan Rows": 30, "Actual Rows": 30, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 30, "Actual Rows": 30, "Actual Loops": 1},
  {"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Relation Name": "Odd Name", "Schema": "causes", "Plan Rows": 9000, "Actual Rows": 9000, "Actual Loops": 30}]}}]');
SELECT causes.say('[{"Plan": {"Node Type": "Nested Loop", "Join Filter": "(a.x < b.y)", "Rows Removed by Join Filter": 4000000, "Plan Rows": 30, "Actual Rows": 30, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 2000, "Actual Rows": 2000, "Actual Loops": 1},
  {"Node Type": "Materialize", "Parent Relationship": "Inner", "Plan Rows": 2000, "Actual Rows": 2000, "Actual Loops": 2000}]}}]');

\echo == an index that a function, a cast or arithmetic puts out of reach
SELECT c FROM unnest(ARRAY['(lower(email) = $1)', '(lower(orders.email) = $1)', '(date_trunc(''day''::text, created) = $1)',
                           '((created)::date = $1)', '((qty + 1) = $1)', '(lower((code)::text) = $1)',
                           '((qty)::numeric = $1)', '(COALESCE(qty, 0) = $1)']) f, causes.say(causes.scan(f)) c
WHERE c LIKE 'index %';
\echo == and what does not: a varchar compared as text, a row comparison, another column, no wrapping
SELECT c FROM unnest(ARRAY['((code)::text = $1)', '(ROW(qty, id) > ROW($1, $2))', '(lower(customer) = $1)',
                           '((my_email)::date = $1)', '(lower("email ") = $1)', '(qty > $1)', '((qty > $1) AND (customer = ANY ($2)))'])
     f, causes.say(causes.scan(f)) c
WHERE c LIKE 'index %';

\echo == OFFSET paging
SELECT causes.say('[{"Plan": {"Node Type": "Limit", "Plan Rows": 20, "Actual Rows": 20, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 90000, "Actual Rows": 80020, "Actual Loops": 1}]}}]',
  true, 'SELECT * FROM orders ORDER BY id LIMIT $1 OFFSET $2');
SELECT causes.say('[{"Plan": {"Node Type": "Limit", "Plan Rows": 20, "Startup Cost": 800.0, "Total Cost": 800.2, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 90000, "Startup Cost": 0.0, "Total Cost": 900.0}]}}]',
  false, 'SELECT * FROM orders ORDER BY id LIMIT $1 OFFSET $2');
-- a small one
SELECT causes.say('[{"Plan": {"Node Type": "Limit", "Plan Rows": 20, "Actual Rows": 20, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 50, "Actual Rows": 40, "Actual Loops": 1}]}}]',
  true, 'SELECT * FROM orders ORDER BY id LIMIT $1 OFFSET $2');

\echo == sort for a LIMIT
SELECT causes.say('[{"Plan": {"Node Type": "Limit", "Plan Rows": 20, "Actual Rows": 20, "Actual Loops": 1, "Plans": [
  {"Node Type": "Sort", "Parent Relationship": "Outer", "Sort Key": ["created DESC", "id"], "Plan Rows": 90000, "Actual Rows": 20, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 90000, "Actual Rows": 80020, "Actual Loops": 1}]}]}}]',
  true, 'SELECT * FROM orders ORDER BY created DESC, id LIMIT $1');
SELECT causes.say('[{"Plan": {"Node Type": "Limit", "Plan Rows": 20, "Plans": [
  {"Node Type": "Sort", "Parent Relationship": "Outer", "Sort Key": ["created DESC", "id"], "Plan Rows": 90000, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 90000}]}]}}]',
  false, 'SELECT * FROM orders ORDER BY created DESC, id LIMIT $1');
-- most of the rows are wanted
SELECT causes.say('[{"Plan": {"Node Type": "Limit", "Plan Rows": 2000, "Actual Rows": 2000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Sort", "Parent Relationship": "Outer", "Sort Key": ["id"], "Plan Rows": 2500, "Actual Rows": 2000, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 2500, "Actual Rows": 2500, "Actual Loops": 1}]}]}}]',
  true, 'SELECT * FROM orders ORDER BY id LIMIT $1');
-- a set-returning function has no statistics
SELECT causes.say('[{"Plan": {"Node Type": "Function Scan", "Schema": "causes", "Function Name": "pages", "Plan Rows": 1000, "Actual Rows": 8, "Actual Loops": 1}}]');

\echo == JIT
SELECT causes.say('[{"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Actual Total Time": 900},
  "JIT": {"Functions": 300, "Timing": {"Generation": 10, "Inlining": 100, "Optimization": 400, "Emission": 190, "Total": 700}}, "Execution Time": 1400}]');

\echo == statistics
CREATE TABLE causes.never (id int) WITH (autovacuum_enabled = off);
INSERT INTO causes.never SELECT generate_series(1, 10);
CREATE TABLE causes.stale (id int) WITH (autovacuum_enabled = off);
INSERT INTO causes.stale SELECT generate_series(1, 1000);
SELECT pg_stat_force_next_flush();
ANALYZE causes.stale;
INSERT INTO causes.stale SELECT generate_series(1, 3000);
CREATE TABLE causes.fresh (id int) WITH (autovacuum_enabled = off);
INSERT INTO causes.fresh SELECT generate_series(1, 3000);
SELECT pg_stat_force_next_flush();
ANALYZE causes.fresh;
SELECT pg_stat_force_next_flush();
SELECT regexp_replace(c, 'on \d{4}-\d\d-\d\d', 'on (date)') FROM unnest(ARRAY['never', 'stale', 'fresh']) r, causes.say(jsonb_build_object('Node Type', 'Index Scan',
    'Schema', 'causes', 'Relation Name', r, 'Plan Rows', 1, 'Actual Rows', 1, 'Actual Loops', 1)) c;

\echo == no plan at all
SELECT citadel.plan_causes(NULL), citadel.plan_causes('null'), citadel.plan_causes('[]'), citadel.plan_causes('"text"'),
       citadel.plan_causes('{"Plan": {}}', true);

\echo == samples
SELECT unnest(citadel.sample_causes(10, 10000, 4000, 51200, '{"Lock": 30, "cpu": 50, "IO": 20}', 2, 1, 0, 400));
SELECT citadel.sample_causes(10, 10000, 40, 0, '{"cpu": 50, "IO": 5}', 0, 0, 0, NULL);
SELECT citadel.sample_causes(0, NULL, NULL, NULL, NULL, 0, 0, 0, NULL);
SELECT citadel.sample_causes(1, 1500, NULL, NULL, '{"Lock": 2}', 0, 0, 0, NULL);
-- a run that took no time, as its plan says
SELECT citadel.cause_jit('[{"Plan": {"Actual Total Time": 0.000}, "JIT": {"Timing": {"Total": 25.1}}}]');

\echo == inside functions
SELECT causes.say('[{"Plan": {"Node Type": "Function Scan", "Schema": "causes", "Function Name": "say", "Alias": "say", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1}}]');
-- not when it also reads a table, nor for the server's own functions
SELECT causes.say('[{"Plan": {"Node Type": "Nested Loop", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Function Scan", "Parent Relationship": "Outer", "Schema": "causes", "Function Name": "say", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "orders", "Schema": "causes", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 10}]}}]');
SELECT causes.say('[{"Plan": {"Node Type": "Function Scan", "Schema": "pg_catalog", "Function Name": "generate_series", "Plan Rows": 10, "Actual Rows": 10, "Actual Loops": 1}}]');

SET client_min_messages = warning;
DROP SCHEMA causes CASCADE;
