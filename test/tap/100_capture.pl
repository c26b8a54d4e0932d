# Capture over several sessions: parallel query, settings by role and database, several databases, waits, a full buffer.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

# No scheduler here: the test reads the buffer itself.
my $db = 'citadel_ai';
my $node = citadel_node('capture', config => <<'END');
citadel_opt.databases = 'none_of_them'
citadel_opt.capture_buffer_size = 1MB
END

# The role of reader lasts as long as its session.
my $reader = $node->background_psql($db, on_error_stop => 1);
sub drained { my ($sql) = @_; return $reader->query_safe($sql); }
sub counter { my ($name) = @_; return $node->safe_psql($db, "SELECT $name FROM citadel.capture_counters()"); }

# Nobody reads: nothing is kept.
$node->safe_psql($db, 'SET citadel_opt.slow_query_threshold = 0; SELECT 1');
is(counter('captured'), '0', 'a database that nobody reads is not captured');
is(drained('SELECT citadel.debug_hold_capture()'), 't', 'became the reader');
is($node->safe_psql($db, 'SELECT citadel.debug_hold_capture()'), 'f', 'there is one reader at a time');

# --- parallel query: the leader alone, with its workers' buffers
$node->safe_psql($db, <<'END');
CREATE TABLE big AS SELECT g AS id, repeat('x', 200) AS filler FROM generate_series(1, 60000) g;
ANALYZE big;
END
$node->safe_psql($db, <<'END');
SET citadel_opt.slow_query_threshold = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET max_parallel_workers_per_gather = 2;
SELECT count(*) AS parallel FROM big WHERE filler LIKE '%y';
END
my $pages = $node->safe_psql($db, "SELECT pg_relation_size('big') / 8192");
my $seen = drained(<<'END');
SELECT count(*), sum(d.rows), sum(d.shared_hit + d.shared_read)
FROM citadel.debug_drain_capture() d JOIN citadel.captured_statements() s USING (query_id)
WHERE s.query LIKE '%AS parallel%'
END
my ($count, $rows, $buffers) = split /\|/, $seen;
is("$count|$rows", '1|1', 'a parallel statement counts once');
cmp_ok($buffers, '>=', $pages, "with its workers' buffers");
is($node->safe_psql($db, <<'END'), '1', 'its plan is the parallel one');
SELECT count(*) FROM citadel.captured_statements()
WHERE plan::text LIKE '%filler%' AND plan::text LIKE '%Gather%' AND plan::text LIKE '%"Parallel Aware": true%'
END

# --- the threshold of a role and of a database
$node->safe_psql($db, <<'END');
CREATE ROLE impatient LOGIN;
GRANT SELECT ON big TO impatient;
ALTER ROLE impatient SET citadel_opt.slow_query_threshold = '5ms';
END
$node->safe_psql($db, 'SELECT pg_sleep(0.02), 1 AS by_role', extra_params => [ '-U', 'impatient' ]);
$node->safe_psql($db, 'SELECT pg_sleep(0.02), 1 AS by_nobody');
is(drained(<<'END'), 'impatient', 'the threshold of a role');
SELECT d.user_id::regrole FROM citadel.debug_drain_capture() d JOIN citadel.captured_statements() s USING (query_id)
WHERE s.query LIKE '%AS by_%'
END
is($node->safe_psql($db, q{SELECT parameters FROM citadel.captured_statements() WHERE query LIKE '%by_role'}),
	'{"0.02, 1"}', 'superusers see the literals');
$node->safe_psql('postgres', "ALTER DATABASE $db SET citadel_opt.slow_query_threshold = '5ms'");
$node->safe_psql($db, 'SELECT pg_sleep(0.02), 1 AS by_database');
is(drained(q{SELECT count(*) FROM citadel.debug_drain_capture() d JOIN citadel.captured_statements() s USING (query_id)
	WHERE s.query LIKE '%AS by_database'}), '1', 'the threshold of a database');
$node->safe_psql('postgres', "ALTER DATABASE $db RESET citadel_opt.slow_query_threshold");

# --- kill switches, by reload
foreach my $switch ('enabled', 'capture')
{
	$node->append_conf('postgresql.conf', "citadel_opt.$switch = off");
	$node->reload;
	$node->poll_query_until($db, "SELECT current_setting('citadel_opt.$switch') = 'off'");
	$node->safe_psql($db, "SET citadel_opt.slow_query_threshold = 0; SELECT 1 AS switched_$switch");
	$node->append_conf('postgresql.conf', "citadel_opt.$switch = on");
	$node->reload;
	$node->poll_query_until($db, "SELECT current_setting('citadel_opt.$switch') = 'on'");
	is($node->safe_psql($db, "SELECT count(*) FROM citadel.captured_statements() WHERE query LIKE '%switched_$switch'"),
		'0', "citadel_opt.$switch = off captures nothing");
}

# --- binds through the extended protocol
$node->safe_psql($db, "SET citadel_opt.slow_query_threshold = 0; SELECT \$1::int + 1, \$2 AS bound, 'lit' \\bind 5 \"it's\" \\g")
  if $node->pg_version >= 16;
$node->safe_psql($db, <<'END');
SET citadel_opt.slow_query_threshold = 0;
PREPARE bound(int, text, timestamptz, int[]) AS SELECT 'lit', $2 AS bound FROM big WHERE id = $1 AND now() > $3 AND id = ANY ($4);
SET DateStyle = 'SQL, DMY';
SET plan_cache_mode = force_generic_plan;
EXECUTE bound(5, 'it''s', '2026-02-01 10:00 UTC', NULL);
END
is($node->safe_psql($db, q{SELECT parameters FROM citadel.captured_statements() WHERE query LIKE '%AS bound FROM%'}),
	q({"'lit', '5', 'it''s', '2026-02-01 10:00:00+00', NULL"}), 'bind values, in a form that no setting changes')
  or diag($node->safe_psql($db, 'SHOW timezone'));

# --- waits: what a slow statement waits for
my $blocker = $node->background_psql($db, on_error_stop => 1);
$blocker->query_safe('BEGIN; LOCK TABLE big');
my $waiter = $node->background_psql($db, on_error_stop => 1);
$waiter->query_safe(q{SET citadel_opt.slow_query_threshold = '100ms'; CREATE FUNCTION wait_for_it() RETURNS bigint
	LANGUAGE plpgsql AS $$ BEGIN LOCK TABLE big IN ACCESS SHARE MODE; RETURN (SELECT count(*) FROM big); END $$});
is($node->safe_psql($db, 'SELECT citadel.debug_sample_waits()'), 'f', 'nothing is slow yet');
$waiter->query_until(qr/started/, "\\echo started\nSELECT wait_for_it() AS waited;\n");
my $sampled = 0;
for (my $i = 0; $i < 100 && $sampled < 3; $i++)
{
	sleep(0.1);
	$sampled++ if $node->safe_psql($db, 'SELECT citadel.debug_sample_waits()') eq 't';
}
$blocker->query_safe('COMMIT');
$waiter->query_safe('SELECT 1');
like(drained(<<'END'), qr/"Lock": \d+\}$/, 'waits are counted by class');
SELECT d.waits FROM citadel.debug_drain_capture() d JOIN citadel.captured_statements() s USING (query_id)
WHERE s.query LIKE '%AS waited%'
END
$_->quit foreach ($blocker, $waiter);
# One that is terminated meanwhile is nothing to wait for any more.
my $ended = $node->background_psql($db, on_error_stop => 0);
my $ended_pid = $ended->query_safe(q{SET citadel_opt.slow_query_threshold = '100ms'; SELECT pg_backend_pid()});
$ended->query_until(qr/started/, "\\echo started\nSELECT pg_sleep(600) AS terminated;\n");
$node->poll_query_until($db, 'SELECT citadel.debug_sample_waits()') or die 'nothing is slow';
$node->safe_psql($db, "SELECT pg_terminate_backend($ended_pid, 60000)");
is($node->safe_psql($db, 'SELECT citadel.debug_sample_waits()'), 'f', 'nothing is slow after the end of a session');
like(drained(<<'END'), qr/^error\|57P01\|t$/, 'and its statement is known, with what ended it');
SELECT d.outcome, d.sqlstate, d.duration_ms > 100 FROM citadel.debug_drain_capture() d JOIN citadel.captured_statements() s USING (query_id)
WHERE s.query LIKE '%AS terminated%'
END
is(drained(<<'END'), '1|1|{"57": 1}', 'also as a run');
SELECT r.calls, r.errors, r.error_classes FROM citadel.debug_take_runs() r JOIN citadel.captured_statements() s USING (query_id)
WHERE s.query LIKE '%AS terminated%' AND s.plan_id IS NULL
END
eval { $ended->quit };

# --- partitions: the same plan whatever the month and the pruning
$node->safe_psql($db, <<'END');
CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE INDEX ON parts (id);
END
my @days = ('2026-01-05', '2026-02-05');
my $partitioned = sub {
	my ($from, $to) = @_;
	$node->safe_psql($db, "SET citadel_opt.slow_query_threshold = 0; SET enable_seqscan = off; SET enable_bitmapscan = off;"
		  . " SELECT id AS parted FROM parts WHERE id = 7 AND day BETWEEN '$from' AND '$to'");
};
$partitioned->('2026-01-05', '2026-01-06');
$partitioned->('2026-02-05', '2026-02-06');
$partitioned->('2026-01-05', '2026-02-06');
$node->safe_psql($db, "CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')");
$partitioned->('2026-01-05', '2026-03-06');
is(drained(<<'END'), '4|1', 'one plan_id for all sets of partitions');
SELECT count(*), count(DISTINCT d.plan_id)
FROM citadel.debug_drain_capture() d JOIN citadel.captured_statements() s USING (query_id)
WHERE s.query LIKE '%AS parted%'
END

# --- secrets
$node->safe_psql($db, <<'END');
SET citadel_opt.slow_query_threshold = 0;
CREATE ROLE guarded PASSWORD 'secret-1';
CREATE TABLE made AS SELECT 'secret-2'::text AS a;
COPY (SELECT 'secret-3') TO PROGRAM 'cat >/dev/null # secret-4';
SELECT count(*) /* secret-5 */ AS commented FROM big WHERE filler = 'secret-6' OR id = 4711 -- secret-7
	AND id > 0;
END
is($node->safe_psql($db, q{SELECT query FROM citadel.captured_statements() WHERE query LIKE '%AS commented%'}),
	"SELECT count(*)  AS commented FROM big WHERE filler = \$1 OR id = \$2 \n\tAND id > \$3", 'comments are dropped');
is($node->safe_psql($db, <<'END'), '0', 'no literal, comment or utility text is kept in texts and plans');
SELECT count(*) FROM citadel.captured_statements() 
WHERE query ~ 'secret-|4711' OR plan::text ~ 'secret-|4711'
END

# --- full: dropped and counted, and no statement fails
my $capacity = 1024 * 1024 / 2 / 300; # more than fit
my $script = PostgreSQL::Test::Utils::tempdir() . '/select.sql';
append_to_file($script, "SELECT 1;\n");
command_ok([ 'pgbench', '-n', '-c', '4', '-j', '1', '-t', 2000, '-f', $script, '-h', $node->host, '-p', $node->port, $db ],
	'a burst into a full buffer') if $node->safe_psql('postgres', "ALTER DATABASE $db SET citadel_opt.slow_query_threshold = 0") eq '';
cmp_ok(counter('dropped_full'), '>', 8000 - 2 * $capacity, 'what does not fit is dropped and counted');
$node->safe_psql('postgres', "ALTER DATABASE $db RESET citadel_opt.slow_query_threshold");
cmp_ok(drained('SELECT count(*) FROM citadel.debug_drain_capture()'), '>', 1000, 'what fitted is there');
is(counter('hook_errors'), '0', 'no error of our own');
is($node->safe_psql($db, 'SELECT buffer_used_bytes < buffer_size_bytes / 2 FROM citadel.capture_counters()'), 't', 'and the buffer is free again');

# --- many different statements: texts make room for others once taken, and are never mixed up
$node->safe_psql($db, <<'END');
SET citadel_opt.slow_query_threshold = 0;
DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE many_%s (c_%s int)', i, i); END LOOP; END $$;
SET citadel_opt.capture_nested = on;
DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('SELECT count(*) FROM many_%s WHERE c_%s = 1', i, i); END LOOP; END $$;
END
is($node->safe_psql($db, <<'END'), '0', 'texts belong to their statements');
SELECT count(*) FROM citadel.captured_statements() WHERE query LIKE '%FROM many\_%'
AND query !~ ('^SELECT count\(\*\) FROM many_' || substring(query FROM 'c_([0-9]+)') || ' WHERE c_[0-9]+ = \$1$')
END

# --- the reader goes and another one comes: what it had taken is handed out again
$reader->quit;
is($node->safe_psql($db, 'SELECT citadel.debug_hold_capture()'), 't', 'another session becomes the reader');

$node->stop('fast');
no_crash($node);

# --- before pg_stat_statements in the list: our instrumentation serves it as well
$node = citadel_node('first', preload => 'citadel_opt, pg_stat_statements',
	config => "citadel_opt.databases = 'none_of_them'\ncitadel_opt.slow_query_threshold = 0\n");
$reader = $node->background_psql($db, on_error_stop => 1);
$reader->query_safe('SELECT citadel.debug_hold_capture()');
$node->safe_psql($db, 'CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g; SELECT count(*) AS ordered FROM t');
my $theirs = $node->safe_psql($db,
	"SELECT shared_blks_hit + shared_blks_read FROM pg_stat_statements WHERE query LIKE '%AS ordered%'");
my $ours = $reader->query_safe(<<'END');
SELECT d.shared_hit + d.shared_read FROM citadel.debug_drain_capture() d JOIN citadel.captured_statements() s USING (query_id)
WHERE s.query LIKE '%AS ordered%'
END
cmp_ok($theirs, '>', 0, 'pg_stat_statements sees buffers');
is($ours, $theirs, 'and so do we');
$reader->quit;

$node->stop('fast');
no_crash($node);
done_testing();
