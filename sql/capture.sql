-- What capture sees of one session: this session reads the buffer itself.
\set ON_ERROR_STOP 0
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
SELECT citadel.debug_hold_capture();

CREATE TABLE capture_t AS SELECT g AS id, g % 10 AS k, 'name ' || g AS name FROM generate_series(1, 1000) g;
ANALYZE capture_t;
CREATE FUNCTION capture_inner(int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM capture_t WHERE k = $1);
END $$;
-- The slow statements of capture_t since the last call, oldest first.
CREATE FUNCTION capture_seen()
RETURNS TABLE (kind text, outcome text, sqlstate text, nested bool, "rows" bigint, repeats int, query text)
LANGUAGE sql AS $$
    SELECT d.kind, d.outcome, d.sqlstate, d.nested, d.rows, d.repeats, s.query
    FROM citadel.debug_drain_capture() d
    JOIN citadel.captured_statements() s ON s.query_id = d.query_id AND s.plan_id IS NULL
    WHERE s.query ~ 'capture_(t|ref|inner)' AND s.query !~ 'capture_seen' ORDER BY d.ended_at, d.started_at
$$;
SELECT count(*) >= 0 AS drained FROM citadel.debug_drain_capture();
SET citadel_opt.slow_query_threshold = 0;

-- literals, numbered after the binds
SELECT count(*) FROM capture_t WHERE name = 'name 42' AND k IN (1, 2, -3);
PREPARE capture_p(int) AS SELECT name FROM capture_t WHERE id = $1 AND k < 100;
EXECUTE capture_p(7);
-- several statements in one string: each its own text
SELECT 1 AS one FROM capture_t LIMIT 1 \; SELECT 'two' AS two FROM capture_t LIMIT 2;
-- COPY, CREATE TABLE AS and a cursor are their query; EXPLAIN is not the application's
COPY (SELECT id FROM capture_t WHERE id <= 2) TO STDOUT;
CREATE TEMP TABLE capture_copy AS SELECT * FROM capture_t WHERE k = 3;
EXPLAIN (ANALYZE) SELECT * FROM capture_t WHERE k = 4 \g /dev/null
BEGIN \; DECLARE c CURSOR FOR SELECT id FROM capture_t WHERE k > 5;
FETCH 3 FROM c;
FETCH 3 FROM c;
COMMIT;
SELECT * FROM capture_seen();

-- a slow cursor that is rolled back is reported too; one that is held ran at commit
BEGIN;
DECLARE c CURSOR FOR SELECT k FROM capture_t WHERE k > 6;
FETCH 2 FROM c;
ROLLBACK;
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT name FROM capture_t WHERE k > 7;
COMMIT;
FETCH 1 FROM h;
CLOSE h;
SELECT * FROM capture_seen();

-- nested statements only when asked for
SELECT capture_inner(5);
DO 'BEGIN PERFORM count(*) FROM capture_t; END';
SELECT * FROM capture_seen();
-- what a deferred trigger does at commit is nested too
ALTER TABLE capture_t ADD PRIMARY KEY (id);
CREATE TABLE capture_ref (id int REFERENCES capture_t DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO capture_ref VALUES (1);
COMMIT;
SELECT * FROM capture_seen();
DROP TABLE capture_ref;
ALTER TABLE capture_t DROP CONSTRAINT capture_t_pkey;
SET citadel_opt.capture_nested = on;
SELECT capture_inner(5);
SELECT * FROM capture_seen();
RESET citadel_opt.capture_nested;

-- errors, cancellation and timeouts are captured and marked
SELECT 1 / (id - 500) FROM capture_t;
SELECT count(*), pg_cancel_backend(pg_backend_pid()), pg_sleep(10) FROM capture_t;
SET statement_timeout = 500;
SELECT count(*), pg_sleep(10 + count(*)) FROM capture_t;
RESET statement_timeout;
DO $$ BEGIN PERFORM 1 / (id - 500) FROM capture_t; EXCEPTION WHEN division_by_zero THEN NULL; END $$;
SELECT * FROM capture_seen();
-- the plan of a failed statement is written down at the start of its next run
SELECT count(*) FROM citadel.captured_statements() WHERE plan::text LIKE '%pg_sleep%';
SELECT 1 / (id - 500) FROM capture_t;
SELECT count(*) FROM capture_seen();

-- parameters: literals and binds, for the statement's own user and superusers alone
SELECT query, parameters FROM citadel.captured_statements() WHERE query ~ 'FROM capture_t WHERE (name|id) = ' ORDER BY 1;
-- plans: without constants
SELECT DISTINCT plan -> 'Plan' ->> 'Filter' AS filter FROM citadel.captured_statements()
WHERE plan -> 'Plan' ->> 'Relation Name' = 'capture_t' AND plan -> 'Plan' ? 'Filter' ORDER BY 1;
SELECT count(*) FROM citadel.captured_statements() WHERE plan::text ~ '''|[<=>] [0-9]';
SET citadel_opt.sample_parameters = 'off';
SELECT max(name) FROM capture_t WHERE name <> 'secret';
SELECT query, parameters FROM citadel.captured_statements() WHERE query LIKE 'SELECT max(name)%';
RESET citadel_opt.sample_parameters;

-- a second run counts the rows of its plan nodes
SELECT min(name) FROM capture_t WHERE k = 8;
SELECT min(name) FROM capture_t WHERE k = 9;
-- (100.00 since 18)
SELECT (plan #>> '{Plan,Plans,0,Actual Rows}')::numeric::int AS rows, plan #>> '{Plan,Plans,0,Rows Removed by Filter}' AS removed
FROM citadel.captured_statements() WHERE has_row_counts AND plan #>> '{Plan,Plans,0,Filter}' = '(capture_t.k = ?)';

-- the same statement many times in one transaction
TRUNCATE capture_t;
SELECT count(*) FROM capture_seen();
SET citadel_opt.slow_query_threshold = '1min';
\o /dev/null
\set ECHO none
BEGIN;
SELECT format('SELECT name FROM capture_t WHERE id = %s', g) FROM generate_series(1, 60) g \gexec
COMMIT;
\set ECHO all
\o
SELECT * FROM capture_seen();

-- off means off
SET citadel_opt.slow_query_threshold = -1;
SELECT count(*) FROM capture_t;
SET citadel_opt.slow_query_threshold = 0;
SET citadel_opt.sample_rate = 0;
SELECT count(*) FROM capture_t;
RESET citadel_opt.sample_rate;
SET citadel_opt.slow_query_threshold = -1;
SELECT * FROM capture_seen();

-- who may look
RESET citadel_opt.slow_query_threshold;
SELECT captured > 0 AS captured, dropped_full, hook_errors, buffer_size_bytes > buffer_used_bytes AS fits
FROM citadel.capture_counters();
CREATE ROLE capture_nobody;
CREATE ROLE capture_monitor IN ROLE pg_monitor;
SET ROLE capture_nobody;
SELECT citadel.capture_counters();
SELECT citadel.captured_statements();
SELECT citadel.debug_drain_capture();
SET citadel_opt.slow_query_threshold = 0;
SET ROLE capture_monitor;
SELECT count(*) > 0 AS statements, count(parameters) AS parameters FROM citadel.captured_statements();
SELECT captured > 0 AS captured FROM citadel.capture_counters();
SELECT citadel.debug_hold_capture();
RESET ROLE;
SET citadel_opt.no_such_setting = 1;
SELECT citadel.debug_release_capture();
SELECT count(*) FROM citadel.debug_drain_capture();

DROP ROLE capture_nobody, capture_monitor;
DROP FUNCTION capture_seen(), capture_inner(int);
DROP TABLE capture_t;
