-- Stored latency histograms: merged, read and drawn; foreign bytes are refused. Their error bound is a unit test's.
\set ON_ERROR_STOP 0
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;

-- version 1; bucket 50 (about 1 ms) three times, bucket 60 (about 4 ms) once
SELECT citadel.latency_calls('\x0132030901');
SELECT bucket, round(lower_ms::numeric, 3) AS lower_ms, round(upper_ms::numeric, 3) AS upper_ms, calls
FROM citadel.latency_buckets('\x0132030901') WITH ORDINALITY AS b (lower_ms, upper_ms, calls, bucket);
SELECT p, round(citadel.latency_percentile('\x0132030901', p)::numeric, 3) AS ms FROM unnest(ARRAY[0, 0.5, 0.95, 1]) AS p;
SELECT citadel.latency_merge(ARRAY['\x0132030901', NULL, '\x01', '\x013201', '\x013c05']::bytea[]);
SELECT citadel.latency_merge('{}'), citadel.latency_merge(NULL), citadel.latency_percentile('\x01', 0.5) IS NULL AS empty_has_none;
-- two dimensions are elements all the same
SELECT citadel.latency_calls(citadel.latency_merge(ARRAY[['\x0132030901', '\x013201'], ['\x013201', '\x013201']]::bytea[]));

SELECT citadel.latency_merge(ARRAY['\x0132030901', '\x02320309']::bytea[]);
SELECT citadel.latency_percentile('\x', 0.5);
SELECT citadel.latency_percentile('\x0132030901', 1.01);
SELECT citadel.latency_percentile('\x0132030901', 'NaN');
SELECT citadel.latency_calls('\x01320309');
SELECT citadel.latency_buckets('\x01ff0101');

-- many buckets
CREATE TEMP TABLE latency_t AS SELECT citadel.latency_merge(array_agg(('\x01' || lpad(to_hex(b), 2, '0') || 'ff7f')::bytea)) AS h
FROM generate_series(0, 127) AS b;
SELECT citadel.latency_calls(h), length(h) FROM latency_t;
