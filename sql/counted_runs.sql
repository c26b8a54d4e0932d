-- What the fast path counts of each statement, as shared memory holds it: this session reads that itself.
\set ON_ERROR_STOP 0
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
SELECT citadel.debug_hold_capture();
CREATE TABLE counted_t AS SELECT g AS id, g % 10 AS k FROM generate_series(1, 1000) g;
CREATE INDEX counted_k ON counted_t (k);
ANALYZE counted_t;
CREATE TABLE counted_p (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE counted_p1 PARTITION OF counted_p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE counted_p2 PARTITION OF counted_p FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE FUNCTION counted_inner(int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM counted_t WHERE k = $1);
END $$;
-- Statements are told apart by the text that capture remembers of slow ones, which all of them are here. A minute may have ended in between: then a statement has
-- two entries, which are summed here.
CREATE TEMP TABLE counted_taken (LIKE citadel.counted_run);
CREATE FUNCTION counted()
RETURNS TABLE (query text, toplevel bool, plans bigint, calls numeric, errors numeric, "rows" numeric, histogram numeric, error_classes jsonb)
LANGUAGE sql AS $$
    SELECT s.query, r.toplevel, count(DISTINCT r.plan_id), sum(r.calls), sum(r.errors), sum(r.rows), sum(citadel.latency_calls(r.latency)),
        citadel.merge_error_classes(array_agg(r.error_classes) FILTER (WHERE r.error_classes IS NOT NULL))
    FROM counted_taken AS r JOIN citadel.captured_statements() AS s ON s.query_id = r.query_id AND s.plan_id IS NULL
    WHERE s.query ~ 'counted_(t|p|inner)' AND s.query !~ 'counted_taken'
    GROUP BY 1, 2 ORDER BY 1, 2
$$;
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
TRUNCATE counted_taken;
SET citadel_opt.slow_query_threshold = 0;

-- every run; constants do not matter
SELECT count(*) FROM counted_t WHERE id = 1;
SELECT count(*) FROM counted_t WHERE id = 2;
PREPARE counted_q(int) AS SELECT id FROM counted_t WHERE id <= $1;
EXECUTE counted_q(2);
EXECUTE counted_q(3);
-- partitions fold into one plan, however many are left
SELECT count(*) FROM counted_p;
SELECT * FROM counted_p WHERE at = '2026-01-07';
SELECT * FROM counted_p WHERE at = '2026-02-07';
-- cursors and COPY are their query, EXPLAIN is not the application's
BEGIN \; DECLARE c CURSOR FOR SELECT k FROM counted_t;
FETCH 2 FROM c;
FETCH 3 FROM c;
COMMIT;
COPY (SELECT id, k FROM counted_t WHERE id <= 2) TO STDOUT;
EXPLAIN (ANALYZE) SELECT k, id FROM counted_t WHERE id = 4 \g /dev/null
-- errors by class, cancel and timeout among them
SELECT 1 / (id - 500) FROM counted_t;
SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(10), k FROM counted_t;
SET statement_timeout = 500;
SELECT pg_sleep(10), 1 FROM counted_t;
RESET statement_timeout;
SELECT ('x' || id)::int FROM counted_t;
-- nested ones only when asked for
SELECT counted_inner(5);
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
SELECT * FROM counted();
TRUNCATE counted_taken;
SET citadel_opt.capture_nested = on;
SELECT counted_inner(5);
SELECT counted_inner(6);
RESET citadel_opt.capture_nested;
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
SELECT * FROM counted();
TRUNCATE counted_taken;

-- CREATE TABLE AS is its query; what event triggers and the planner run meanwhile is nested
CREATE FUNCTION counted_event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM max(id) AS by_trigger FROM counted_t; END $$;
CREATE FUNCTION counted_constant() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT min(id) AS by_planner FROM counted_t); END $$;
CREATE EVENT TRIGGER counted_event ON ddl_command_end WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION counted_event();
CREATE TABLE counted_made AS SELECT id, k AS made FROM counted_t WHERE id = counted_constant();
DROP EVENT TRIGGER counted_event;
CREATE TABLE counted_made2 AS EXECUTE counted_q(4);
DROP TABLE counted_made, counted_made2;
DROP FUNCTION counted_event, counted_constant;
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
SELECT query, toplevel, calls, rows FROM counted();
TRUNCATE counted_taken;

-- another plan of the same statement is another row, and the first one again when it comes back
SELECT count(*) AS n FROM counted_t WHERE k = 3;
SET enable_bitmapscan = off \; SET enable_indexscan = off \; SET enable_indexonlyscan = off;
SELECT count(*) AS n FROM counted_t WHERE k = 4;
RESET enable_bitmapscan \; RESET enable_indexscan \; RESET enable_indexonlyscan;
SELECT count(*) AS n FROM counted_t WHERE k = 5;
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
SELECT query, plans, calls, histogram FROM counted();
SELECT count(*) AS positive FROM counted_taken WHERE plan_id <= 0;
TRUNCATE counted_taken;
-- the identity noted when a plan was made is the one worked out from it: samples, which work it out, agree
SELECT count(*) FROM citadel.debug_drain_capture() WHERE query_id = 0;
SELECT count(*) AS m FROM counted_t WHERE k = 5;
EXECUTE counted_q(5);
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
SELECT count(*) AS samples, count(r.plan_id) AS agree
FROM (SELECT DISTINCT d.query_id, d.plan_id FROM citadel.debug_drain_capture() AS d JOIN citadel.captured_statements() AS s
          ON s.query_id = d.query_id AND s.plan_id IS NULL
      WHERE s.query ~ 'counted_t ') AS d
LEFT JOIN counted_taken AS r USING (query_id, plan_id);
TRUNCATE counted_taken;

-- errors that end a statement before it runs, or after, belong to no run: they are counted together, with query_id 0
CREATE TABLE counted_d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE ROLE counted_role;
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
TRUNCATE counted_taken;
SELEC 1;
SELECT * FROM counted_nowhere;
SELECT 1 / 0 FROM counted_t;
DROP TABLE counted_nowhere;
SET ROLE counted_role;
SELECT count(*) FROM counted_t;
RESET ROLE;
INSERT INTO counted_d VALUES (1), (1);
BEGIN;
INSERT INTO counted_d VALUES (2), (2);
COMMIT;
BEGIN;
SELEC 2;
SELECT 3;
ROLLBACK;
-- after one of a run that was rolled back to a savepoint
BEGIN;
SAVEPOINT s;
SELECT 1 / (id - 500) FROM counted_t;
ROLLBACK TO s;
SELEC 4;
ROLLBACK TO s;
SELECT * FROM counted_nowhere;
ROLLBACK;
-- with its run; caught; a warning
SELECT 1 / (id - 500) FROM counted_t;
DO $$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END $$;
COMMIT;
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
SELECT query_id = 0 AS of_no_run, sum(calls) FILTER (WHERE errors > 0) AS calls, sum(errors) AS errors,
    citadel.merge_error_classes(array_agg(error_classes) FILTER (WHERE error_classes IS NOT NULL)) AS error_classes,
    sum(citadel.latency_calls(latency)) FILTER (WHERE query_id = 0) AS histogram
FROM counted_taken GROUP BY 1 ORDER BY 1;
TRUNCATE counted_taken;
DROP TABLE counted_d;
DROP ROLE counted_role;

-- a cursor that was rolled back has run, too
BEGIN;
DECLARE c CURSOR FOR SELECT k + 1 FROM counted_t;
FETCH 2 FROM c;
ROLLBACK;
-- many statements at once: the local table overflows into shared memory, and nothing is lost
\o /dev/null
\set ECHO none
SELECT format('SELECT id AS c%s FROM counted_t LIMIT 1', g) FROM generate_series(1, 200) g \gexec
SELECT format('SELECT %s FROM counted_t LIMIT 1', repeat('id, ', g) || 'k') FROM generate_series(1, 200) g \gexec
\set ECHO all
\o
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
SELECT query, calls, rows FROM counted() WHERE query LIKE 'SELECT k + %';
SELECT count(*) >= 200 AS statements, sum(calls) FROM counted() WHERE query LIKE 'SELECT id%LIMIT%';
TRUNCATE counted_taken;
-- fast ones with their plan and rows, and those of a savepoint, the memory of which the next one has
SET citadel_opt.slow_query_threshold = '1h';
BEGIN;
DECLARE c CURSOR FOR SELECT k + 1 FROM counted_t;
FETCH 1 FROM c;
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
SAVEPOINT s;
DECLARE c CURSOR FOR SELECT k + 1 FROM counted_t;
FETCH 3 FROM c;
ROLLBACK TO s;
DECLARE c CURSOR FOR SELECT k + 1 FROM counted_t;
FETCH 4 FROM c;
ROLLBACK;
SET citadel_opt.slow_query_threshold = 0;
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
SELECT query, calls, rows FROM counted() WHERE query LIKE 'SELECT k + %';
SELECT count(*) AS without_plan FROM counted_taken WHERE query_id <> 0 AND plan_id = 0;
TRUNCATE counted_taken;

-- each in the minute of its own end, also inside a block that began in another one, behind others in one string, and a cursor that ran in other statements
CREATE TEMP TABLE counted_clock (before timestamptz, after timestamptz);
CREATE FUNCTION counted_minute(pattern text, OUT not_before boolean, OUT not_after boolean) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
    SELECT bool_and(r.minute >= date_trunc('minute', c.before)), bool_and(r.minute <= c.after) INTO not_before, not_after
    FROM counted_taken AS r JOIN citadel.captured_statements() AS s ON s.query_id = r.query_id AND s.plan_id IS NULL, counted_clock AS c
    WHERE s.query ~ pattern;
    TRUNCATE counted_clock;
END $$;
CREATE FUNCTION counted_end_of_minute() RETURNS void LANGUAGE sql AS $$
    SELECT set_config('citadel_opt.debug_clock_offset', (59000 - (extract(epoch FROM clock_timestamp()) * 1000)::bigint % 60000)::text, false)
$$;
SET citadel_opt.capture_nested = on;
SELECT counted_end_of_minute();
DO $$
BEGIN
    PERFORM pg_sleep(1.5);
    INSERT INTO counted_clock SELECT citadel.history_clock();
    PERFORM count(*) AS in_block FROM counted_t;
    UPDATE counted_clock SET after = citadel.history_clock();
END $$;
RESET citadel_opt.capture_nested;
SELECT * FROM counted_minute('^SELECT.* AS in_block');
SELECT counted_end_of_minute();
SELECT pg_sleep(1.5) \; INSERT INTO counted_clock SELECT citadel.history_clock() \; SELECT count(*), max(k) AS in_string FROM counted_t;
UPDATE counted_clock SET after = citadel.history_clock();
SELECT * FROM counted_minute('^SELECT.* AS in_string');
BEGIN;
DECLARE c CURSOR FOR SELECT pg_sleep(1.5), id AS in_cursor FROM counted_t;
FETCH 1 FROM c;
SELECT counted_end_of_minute();
INSERT INTO counted_clock SELECT citadel.history_clock();
CLOSE c;
UPDATE counted_clock SET after = citadel.history_clock();
COMMIT;
SELECT * FROM counted_minute('^SELECT.* AS in_cursor');
RESET citadel_opt.debug_clock_offset;
TRUNCATE counted_taken;
DROP FUNCTION counted_minute, counted_end_of_minute;
-- off means off
SET citadel_opt.statement_history = off;
SELECT count(*) FROM counted_t WHERE id = 1;
RESET citadel_opt.statement_history;
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
SELECT * FROM counted();
SELECT delta_capacity > delta_entries AS room, deltas_evicted, deltas_discarded FROM citadel.capture_counters();
-- without samples it goes on; their text is known from before
TRUNCATE counted_taken;
SET citadel_opt.slow_query_threshold = -1;
SELECT count(*) FROM counted_t WHERE id = 1;
RESET citadel_opt.slow_query_threshold;
INSERT INTO counted_taken SELECT * FROM citadel.debug_take_runs();
SELECT query, calls FROM counted();

SELECT citadel.debug_release_capture();
-- another extension took all the timeouts that extensions may have: the session lives, and counts
CREATE FUNCTION counted_use_timeouts() RETURNS void AS '$libdir/citadel_test', 'citadel_test_use_timeouts' LANGUAGE C;
\c -
SELECT counted_use_timeouts();
SELECT citadel.debug_hold_capture();
SELECT count(*) FROM counted_t WHERE id = 3;
SELECT sum(calls) > 0 AS counted FROM citadel.debug_take_runs();
SELECT citadel.debug_release_capture();
DROP FUNCTION counted_use_timeouts;
DROP TABLE counted_t, counted_p;
DROP FUNCTION counted_inner, counted;
