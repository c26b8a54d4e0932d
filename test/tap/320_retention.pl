# Days of history: made ahead, made when a row needs them, dropped when they are too old.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('retention', config => <<'END');
citadel_opt.sample_interval = '1h'
citadel_opt.slow_query_threshold = '100ms'
citadel_opt.history_retention = '30d'
END
$node->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.snapshot_state") or die 'no scheduler';

sub partitions { my ($table) = @_; return $node->safe_psql($db, <<"END"); }
SELECT string_agg(c.relname || ' ' || pg_get_expr(c.relpartbound, c.oid), '; ' ORDER BY c.relname)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'citadel.$table'::regclass
END
sub names { my ($days) = @_; return $node->safe_psql($db,
	"SELECT to_char(now() AT TIME ZONE 'UTC' + interval '$days days', 'YYYYMMDD')"); }
sub run_maintain { return $node->psql($db, q{DO $$ BEGIN PERFORM set_config('test.run', citadel.run_job('maintain')::text, false); END $$;
	CALL citadel.wait_for_job(current_setting('test.run')::bigint, '2 minutes')}); }

$node->safe_psql($db, 'SELECT citadel.collect()');
my ($today, $tomorrow) = (names(0), names(1));
foreach my $table (qw(sample statement_delta table_delta index_delta))
{
	like(partitions($table), qr/^${table}_p$today .*; ${table}_p$tomorrow /, "$table: today and tomorrow are there");
}
is($node->safe_psql($db, "SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND objid = 'citadel.sample_p$today'::regclass"),
	'0', 'partitions are no members of the extension');
is($node->safe_psql($db, q{SET timezone = 'Asia/Tokyo'; SELECT pg_get_expr(relpartbound, oid) ~ '00:00:00\+00|09:00:00\+09' FROM pg_class
	WHERE relname LIKE 'sample\_p%' LIMIT 1}), 't', 'days are UTC days');

# A clock that jumps ahead finds no partition made: a row makes its own.
set_clock($node, $db, '5d');
$node->safe_psql($db, 'SELECT citadel.collect()');
like(partitions('statement_delta'), qr/_p@{[names(5)]} .*_p@{[names(6)]} /, 'the days of a clock that jumped are made');
set_clock($node, $db, '0');

# What is too old goes, by its true bounds, whatever its name; what holds a younger row stays.
my ($old, $edge, $kept) = map { $node->safe_psql($db, "SELECT (date_trunc('day', now() AT TIME ZONE 'UTC') - interval '$_ days')::date") } (40, 31, 29);
$node->safe_psql($db, <<"END");
SET timezone = 'UTC';
CREATE TABLE citadel.sample_old PARTITION OF citadel.sample FOR VALUES FROM ('$old') TO ('$edge');
CREATE TABLE citadel."Sample Kept" PARTITION OF citadel.sample FOR VALUES FROM ('$edge') TO ('$kept');
CREATE TABLE citadel.statement_delta_old PARTITION OF citadel.statement_delta FOR VALUES FROM ('$old') TO ('$edge');
INSERT INTO citadel.sample (kind, outcome, nested, query_id, user_id, started_at, ended_at, duration_ms)
SELECT 'slow_statement', 'ok', false, 1, 10, t, t, 2000 FROM (VALUES ('$old'::timestamptz), ('$edge')) v (t);
INSERT INTO citadel.statement SELECT q, 10, 'SELECT ' || q, NULL, false, t, t
FROM (VALUES (1, '$old'::timestamptz), (2, now())) v (q, t);
INSERT INTO citadel.plan SELECT q, 10, 7, '{}', false, t FROM (VALUES (1, '$old'::timestamptz), (2, '$old'), (3, now())) v (q, t);
INSERT INTO citadel.plan SELECT 2, 10, 100 + g, '{}', false, now() - g * interval '1 hour' FROM generate_series(1, 60) g;
INSERT INTO citadel.parameter_set SELECT 1, 10, t, '{}', '{}', '{}' FROM (VALUES ('$old'::timestamptz), (now())) v (t);
END
is((run_maintain())[0], 0, 'the maintain job runs');
unlike(partitions('sample'), qr/sample_old/, 'a partition that is too old is dropped');
like(partitions('sample'), qr/Sample Kept/, 'one that ends within the retention is not');
like(partitions('sample'), qr/sample_p$today/, 'nor that of today');
unlike(partitions('statement_delta'), qr/statement_delta_old/, 'each table has its turn');
is($node->safe_psql($db, q{SELECT string_agg(query_id::text, ',' ORDER BY query_id) FROM citadel.statement WHERE query_id BETWEEN 1 AND 9}), '2',
	'statements not seen for that long are forgotten');
is($node->safe_psql($db, q{SELECT string_agg(DISTINCT query_id::text, ',') FROM citadel.plan WHERE query_id BETWEEN 1 AND 9}), '2,3',
	'and plans of statements that are gone');
is($node->safe_psql($db, 'SELECT count(*), min(plan_id) FROM citadel.plan WHERE query_id = 2'), '50|101',
	'of each statement the newest 50 plans are kept');
is($node->safe_psql($db, 'SELECT count(*) FROM citadel.parameter_set'), '1', 'and old parameters');

# A statement that was forgotten, and that pg_stat_statements still knows, has its text again when it runs again.
sub rare { return $node->safe_psql($db, q{SELECT count(*) FROM citadel.statement WHERE query LIKE 'SELECT % AS rare_one'}); }
sub run_rare { $node->safe_psql($db, 'SELECT 7 AS rare_one'); settle($node); $node->safe_psql($db, 'SELECT citadel.collect()'); return; }
run_rare();
is(rare(), '1', 'a statement is known');
$node->safe_psql($db, "UPDATE citadel.statement SET last_seen = '$old' WHERE query LIKE 'SELECT % AS rare_one'");
is((run_maintain())[0], 0, 'the maintain job runs again');
is(rare(), '0', 'and forgotten');
run_rare();
is(rare(), '1', 'and known again');

# A reader of the history makes the job come back later; nobody waits behind it for long.
$node->safe_psql($db, <<"END");
SET timezone = 'UTC';
CREATE TABLE citadel.sample_old PARTITION OF citadel.sample FOR VALUES FROM ('$old') TO ('$edge');
CREATE TABLE citadel.index_delta_old PARTITION OF citadel.index_delta FOR VALUES FROM ('$old') TO ('$edge');
END
my $reader = $node->background_psql($db);
$reader->query_safe('BEGIN; SELECT count(*) FROM citadel.sample;');
my ($status, $out, $err) = run_maintain();
isnt($status, 0, 'a partition in use is not dropped');
like($err, qr/1 partitions of the history are due to be dropped but in use/, 'and the run says so');
unlike(partitions('index_delta'), qr/index_delta_old/, 'the others go nevertheless');
$reader->query_safe('COMMIT;');
$reader->quit;
is((run_maintain())[0], 0, 'the next run succeeds');
unlike(partitions('sample'), qr/sample_old/, 'and drops it');

# kill -9 between two drops: the next run goes on.
$node->safe_psql($db, <<"END");
SET timezone = 'UTC';
CREATE TABLE citadel.sample_old PARTITION OF citadel.sample FOR VALUES FROM ('$old') TO ('$edge');
CREATE TABLE citadel.table_delta_old PARTITION OF citadel.table_delta FOR VALUES FROM ('$old') TO ('$edge');
END
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->safe_psql('postgres', q{ALTER SYSTEM SET citadel_opt.debug_fault = 'maintain.dropped:crash'});
$node->reload;
run_maintain();
$node->poll_query_until('postgres', 'SELECT true') or die;
$node->safe_psql('postgres', 'ALTER SYSTEM RESET citadel_opt.debug_fault');
$node->reload;
my $healed = 0;
foreach (1 .. 60)
{
	$healed = (run_maintain())[0] == 0;
	last if $healed;
	sleep 1;
}
ok($healed, 'after kill -9 in the midst of it the job runs again');
is(partitions('sample') =~ /_old/ || partitions('table_delta') =~ /_old/ ? 'left' : 'gone', 'gone', 'and finishes');

$node->stop('fast');
is(crashes($node), 1, 'the server saw the one crash that was made');
done_testing();
