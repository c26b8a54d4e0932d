# Capture in trouble: cancel storms, errors under load, kill -9 of backends in the middle of everything.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use JobsTest qw(eventually);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $db = 'citadel_ai';
my $node = citadel_node('trouble', config => <<'END');
citadel_opt.databases = 'none_of_them'
citadel_opt.slow_query_threshold = 0
citadel_opt.capture_nested = on
restart_after_crash = on
citadel_opt.capture_buffer_size = 64MB
END
$node->safe_psql($db, <<'END');
CREATE TABLE t AS SELECT g AS id, g % 7 AS k FROM generate_series(1, 3000) g;
CREATE FUNCTION risky(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM 1 / (i % 3);
    EXCEPTION WHEN division_by_zero THEN
        RETURN -1;
    END;
    RETURN (SELECT count(*) FROM t WHERE k = i % 7);
END $$;
END

my $scripts = PostgreSQL::Test::Utils::tempdir();
append_to_file("$scripts/mixed.sql", <<'END');
\set i random(1, 3000)
SELECT risky(:i), count(*) FROM t WHERE k = :i % 7;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t WHERE id > :i;
FETCH 5 FROM c;
COMMIT;
SELECT count(*) FROM t a JOIN t b USING (k) WHERE a.id < 50 AND b.id = :i;
END
sub load
{
	my ($script, $seconds, $clients) = @_;
	my ($out, $err) = ('', '');
	return IPC::Run::start(
		[ 'pgbench', '-n', '-c', $clients, '-j', 1, '-T', $seconds, '-f', "$scripts/$script", '-h', $node->host, '-p',
			$node->port, $db ], '>', \$out, '2>', \$err);
}

# --- a reader that drains beside a mixed load
my $reader = $node->background_psql($db, on_error_stop => 1);
is($reader->query_safe('SET citadel_opt.slow_query_threshold = -1; SELECT citadel.debug_hold_capture()'), 't', 'reader');
my $load = load('mixed.sql', 4, 4);
my $samples = 0;
for (1 .. 12)
{
	sleep(0.3);
	$samples += $reader->query_safe('SELECT count(*) FROM citadel.debug_drain_capture()');
	$reader->query_safe('SELECT count(*) FROM citadel.captured_statements()');
}
ok($load->finish, 'a mixed load under capture of everything: no statement fails');
$samples += $reader->query_safe('SELECT count(*) FROM citadel.debug_drain_capture()');
is($node->safe_psql($db, 'SET citadel_opt.slow_query_threshold = -1; SELECT captured FROM citadel.capture_counters()'),
	$samples, 'every sample arrived once');
is($node->safe_psql($db, 'SELECT dropped_full + hook_errors FROM citadel.capture_counters()'), '0', 'none dropped, no errors');

# --- an error of our own costs the statement nothing, and nothing of its transaction
is($node->safe_psql($db, <<'END'), "10\n1\n2\n3000", 'statements run as if nothing had happened');
SET citadel_opt.debug_fault = 'capture:error';
BEGIN;
SELECT count(*) AS faulty FROM t WHERE id <= 10;
CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT 1 AS one;
DECLARE c CURSOR FOR SELECT id AS faulty FROM t ORDER BY id LIMIT 5;
FETCH 1 FROM c;
SAVEPOINT s;
FETCH 1 FROM c;
RELEASE s;
PREPARE faulty(int) AS SELECT count(*) AS faulty FROM t WHERE id <> $1;
EXECUTE faulty(-1);
COMMIT;
END
cmp_ok($node->safe_psql($db, 'SELECT hook_errors FROM citadel.capture_counters()'), '>=', 4, 'the errors are counted');
is($reader->query_safe(q{SELECT count(*) FROM citadel.debug_drain_capture() d JOIN citadel.captured_statements() s
	USING (query_id) WHERE s.query LIKE '%AS faulty%'}), '3', 'the samples are there all the same');

# --- statements of any size
my $long = 'SELECT count(*) AS long FROM t WHERE id IN (' . join(', ', 1 .. 20000) . ')';
is($node->safe_psql($db, $long), '3000', 'a statement of 100 kB');
my $deep = 'SELECT ' . '(' x 500 . '1' . ' + 1)' x 500 . ' AS deep FROM t LIMIT 1';
is($node->safe_psql($db, $deep), '501', 'a deep expression');
my $wide = 'SELECT count(*) AS wide FROM ('
  . join(' UNION ALL ', map { "SELECT $_ AS n FROM t WHERE id = $_" } 1 .. 500) . ') u';
is($node->safe_psql($db, $wide), '500', 'a plan of 500 branches');
is($node->safe_psql($db, <<'END'), "t|t|f\nt|t|f", 'long texts are cut, and have no parameters that do not fit');
SELECT truncated, length(query) BETWEEN 10000 AND 16384, parameters IS NOT NULL
FROM citadel.captured_statements() WHERE query LIKE '%AS long %' OR query LIKE '%AS wide %'
END
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
create_citadel($node, 'latin');
my $latin = $node->background_psql('latin', on_error_stop => 1);
$latin->query_safe('SELECT citadel.debug_hold_capture()');
is($node->safe_psql('latin', <<'END'), "1\n1", 'another encoding');
SET client_encoding = 'UTF8';
CREATE TABLE "Täble" AS SELECT U&'\00e9t\00e9' AS "é";
SELECT count(*) FROM "Täble" WHERE "é" = U&'\00e9t\00e9';
SELECT count(*) FROM citadel.captured_statements() WHERE query LIKE 'SELECT count(*) FROM "T_ble" WHERE "_" = $1'
END
$latin->quit;

# --- cancel storm: sessions that go on after each error
append_to_file("$scripts/slow.sql", "SELECT count(*), pg_sleep(0.02) FROM t WHERE id <> (SELECT max(id) FROM t);\n" x 200);
my @sessions = map {
	my ($out, $err) = ('', '');
	IPC::Run::start([ 'psql', '-X', '-q', '-f', "$scripts/slow.sql", '-d', $node->connstr($db) ], '>', \$out, '2>', \$err)
} 1 .. 3;
my $cancelled = 0;
for (1 .. 60)
{
	sleep(0.05);
	$cancelled += $node->safe_psql('postgres',
		"SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'SELECT count(*), pg_sleep%' AND state = 'active'");
}
$_->finish foreach @sessions;
cmp_ok($cancelled, '>', 0, "cancelled $cancelled times");
cmp_ok($reader->query_safe(q{SELECT count(*) FROM citadel.debug_drain_capture() WHERE outcome = 'cancelled'}), '>', 0,
	'cancelled statements are captured');
is($node->safe_psql($db, 'SELECT count(*) FROM t'), '3000', 'the server goes on');
is(crashes($node), 0, 'nothing crashed');
$reader->quit;

# --- a crash in the middle of the hook
my ($status) = $node->psql($db, "SET citadel_opt.debug_fault = 'capture:crash'; SELECT count(*) AS crashing FROM t");
isnt($status, 0, 'a process that dies inside the hook');
$node->poll_query_until('postgres', 'SELECT true');

# --- kill -9 of a backend, under load, again and again
foreach my $round (1 .. 3)
{
	$load = load('mixed.sql', 3, 4);
	sleep(0.7);
	my $pid = eventually(20, sub { $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'client backend' AND state = 'active' LIMIT 1") }) or die 'no load';
	kill 'KILL', $pid;
	$load->finish;
	$node->poll_query_until('postgres', 'SELECT true');
	my $after = $node->background_psql($db, on_error_stop => 1);
	$after->query_safe('SELECT citadel.debug_hold_capture()');
	$node->safe_psql($db, "SELECT $round AS after_crash");
	cmp_ok($after->query_safe('SELECT count(*) FROM citadel.debug_drain_capture()'), '>', 0,
		"captures again after crash $round");
	$after->quit;
}

$node->stop('fast');
done_testing();
