-- query_history, plan_history and the percentiles of the other reports, over buckets made up for the purpose: of days long
-- past, where hours and days are what is kept, and of the last minutes.
\set ON_ERROR_STOP 0
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
SET timezone = 'UTC';
CREATE ROLE history_own;
CREATE ROLE history_other;

-- The scheduler of this database is kept away: it would sum up and drop what follows.
BEGIN;
-- In the order in which the scheduler locks them.
LOCK TABLE citadel.sample, citadel.statement_delta, citadel.table_delta, citadel.index_delta, citadel.statement_minute, citadel.statement_hour,
    citadel.table_hour, citadel.index_hour IN ACCESS EXCLUSIVE MODE;
CREATE TABLE citadel.statement_hour_past PARTITION OF citadel.statement_hour FOR VALUES FROM ('2020-01-01') TO ('2020-03-01');
CREATE TABLE citadel.statement_minute_past PARTITION OF citadel.statement_minute FOR VALUES FROM ('2020-01-01') TO ('2020-03-01');
DELETE FROM citadel.bucket_state;
INSERT INTO citadel.bucket_state VALUES ('hour', '2020-02-10'), ('day', '2020-02-10');
-- Every hour of 20 days 60 runs of 1 ms with plan 1; from the 15th on with plan 2 and 4 ms, one in 20 of 1 s and failing.
CREATE TEMP TABLE made AS
SELECT t AS at, CASE WHEN t < '2020-01-15' THEN 1 ELSE 2 END::bigint AS plan_id, 60::bigint AS calls,
    CASE WHEN t < '2020-01-15' THEN 0 ELSE 3 END::bigint AS errors,
    CASE WHEN t < '2020-01-15' THEN 60.0 ELSE 57 * 4.0 + 3000 END AS total_ms,
    CASE WHEN t < '2020-01-15' THEN 1.0 ELSE 1000 END AS max_ms, 120::bigint AS rows, 30::bigint AS hit, 10::bigint AS read, 1::bigint AS temp,
    CASE WHEN t < '2020-01-15' THEN '\x01323c'::bytea ELSE '\x013c392703' END AS latency,
    CASE WHEN t < '2020-01-15' THEN NULL ELSE '{"57": 3}'::jsonb END AS error_classes
FROM generate_series('2020-01-01'::timestamptz, '2020-01-20 23:00', '1 hour') AS t;
INSERT INTO citadel.statement_hour SELECT at, -77, plan_id, calls, errors, total_ms, max_ms, rows, hit, read, temp, 'history_own'::regrole, true, latency, error_classes FROM made;
INSERT INTO citadel.statement_day SELECT date_trunc('day', at), -77, plan_id, sum(calls), sum(errors), sum(total_ms), max(max_ms), sum(rows), sum(hit), sum(read),
    sum(temp), 'history_own'::regrole, true, citadel.latency_merge(array_agg(latency)), citadel.merge_error_classes(array_agg(error_classes) FILTER (WHERE error_classes IS NOT NULL))
FROM made GROUP BY 1, 3;
-- Another user's runs of the same statement, and another statement.
INSERT INTO citadel.statement_day VALUES ('2020-01-05', -77, 9, 1000, 0, 1000, 1, 0, 0, 0, 0, 'history_other'::regrole, true, '\x0132e807', NULL),
    ('2020-01-05', -78, 9, 1000, 0, 1000, 1, 0, 0, 0, 0, 'history_own'::regrole, true, '\x0132e807', NULL);
INSERT INTO citadel.plan VALUES (-77, 'history_own'::regrole, 2, '{"Plan": {"Node Type": "Seq Scan"}}', false, '2020-01-15');

-- days, hours: no history of minutes is kept for so long
SELECT at, calls, errors, total_ms, round(mean_ms::numeric, 2) AS mean_ms, round(p50_ms::numeric, 2) AS p50, round(p95_ms::numeric, 2) AS p95,
    round(p99_ms::numeric) AS p99, max_ms, rows_per_call, cache_hit_ratio, temp_bytes, plans, error_classes
FROM citadel.query_history(-77, '2020-01-13', '2020-01-17', '1 day');
SELECT at, calls, plans FROM citadel.query_history(-77, '2020-01-14 22:00', '2020-01-15 02:00', '1 hour');
SELECT at, calls, plans FROM citadel.query_history(-77, '2020-01-14 22:20', '2020-01-15 02:00', '90 minutes');
SELECT count(*), sum(calls) FROM citadel.query_history(-77, '2020-01-01', '2020-02-01');
SELECT count(*), min(at), sum(calls) FROM citadel.query_history(-77, '2020-01-01', '2020-02-01', '7 days');
-- one sum: days in the middle, hours at the edges
SELECT * FROM citadel.window_parts('2020-01-03 05:30', '2020-01-08 07:00');
SELECT count(*), sum(calls) FROM citadel.statement_buckets(-77, '2020-01-03 05:30', '2020-01-08 07:00') WHERE user_id = 'history_own'::regrole;
SELECT query_id, calls, errors, round(citadel.latency_percentile(latency, 0.99)::numeric) AS p99 FROM citadel.statement_totals('2020-01-01', '2020-02-01') ORDER BY 1;
-- plans
SELECT plan_id, first_seen, last_seen, calls, errors, round(time_share::numeric, 3) AS time_share, round(mean_ms::numeric, 2) AS mean_ms,
    round(p50_ms::numeric, 2) AS p50, round(p99_ms::numeric) AS p99, rows_per_call, plan
FROM citadel.plan_history(-77);
SELECT plan_id, calls FROM citadel.plan_history(-77, '2020-01-14', '2020-01-16');
-- minutes: as far as they have not been summed up
SELECT date_trunc('minute', citadel.history_clock()) AS minute \gset
CREATE TABLE citadel.statement_minute_now PARTITION OF citadel.statement_minute DEFAULT;
INSERT INTO citadel.statement_minute
SELECT :'minute'::timestamptz - n * interval '1 minute', -79, 1, n, 0, n, 1, n, 0, 0, 0, 'history_own'::regrole, true, '\x013201', NULL FROM generate_series(0, 9) AS n;
SELECT count(*), sum(calls), bool_and(step.at = date_trunc('minute', step.at)) FROM citadel.query_history(-79, :'minute'::timestamptz - interval '5 minutes') AS step;
SELECT sum(calls) FROM citadel.query_history(-79, :'minute'::timestamptz - interval '9 minutes', :'minute'::timestamptz - interval '4 minutes');
SELECT count(*), sum(calls) FROM citadel.statement_buckets(-79, :'minute'::timestamptz - interval '9 minutes', 'infinity');

-- query_performance shows what pg_stat_statements does not know, too
INSERT INTO citadel.statement VALUES (-79, 'history_own'::regrole, 'SELECT counted', NULL, false, now(), now());
SELECT query, calls, total_ms, p95_ms < 1.1 AS fast, errors, max_ms, plans, load_share > 0 AS loads, wal_bytes FROM citadel.query_performance WHERE query_id = -79;

-- everybody his own
SET ROLE history_own;
SELECT count(*), sum(calls) FROM citadel.query_history(-77, '2020-01-05', '2020-01-06', '1 day');
SELECT plan_id FROM citadel.plan_history(-77);
SELECT query_id, calls FROM citadel.statement_totals('2020-01-01', '2020-02-01') ORDER BY 1;
RESET ROLE;
SET ROLE history_other;
SELECT plan_id, plan FROM citadel.plan_history(-77);
RESET ROLE;
ROLLBACK;

-- what was asked for wrongly
SELECT citadel.query_history(NULL);
SELECT citadel.query_history(1, step => '59 seconds');
SELECT citadel.query_history(1, step => '1 month');
SELECT citadel.query_history(1, now(), now() - interval '1 hour');
SELECT citadel.query_history(1, '-infinity');
SELECT citadel.plan_history(NULL);
SELECT count(*) FROM citadel.query_history(1), citadel.plan_history(1);
DROP ROLE history_own, history_other;
