# The history in trouble: a clock put back by more than all retentions, tables that are gone, a full disk, short
# sessions in numbers, statements cancelled at every point of their life, a statement of a megabyte. It goes
# on as far as it can, says in health() what it cannot, and comes back by itself, with what it has counted meanwhile.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('faults', init => ['--wal-segsize=1'], config => <<'END');
citadel_opt.slow_query_threshold = -1
citadel_opt.statement_flush_interval = '100ms'
autovacuum = off
END
$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';

sub ask { my ($sql) = @_; return $node->safe_psql($db, $sql); }
sub collect { return ask('SELECT citadel.collect()'); }
sub mark { my ($mark) = @_; ask("CREATE TABLE $mark AS SELECT g AS id FROM generate_series(1, 100) g; ANALYZE $mark"); return query_id("SELECT count(*) FROM $mark"); }
sub query_id
{
	my ($sql) = @_;
	my ($id) = ask("SET compute_query_id = on; EXPLAIN (VERBOSE) $sql") =~ /Query Identifier: (-?\d+)/;
	return $id;
}
sub calls { my ($id) = @_; return ask("SELECT coalesce(sum(calls), 0) FROM citadel.statement_minute WHERE query_id = $id"); }
sub calls_become
{
	my ($id, $wanted, $name) = @_;
	ok($node->poll_query_until($db, "SELECT citadel.collect(); SELECT coalesce(sum(calls), 0) = $wanted FROM citadel.statement_minute WHERE query_id = $id", "\nt"), $name)
	  or diag(calls($id));
	return;
}
# collect() fails with its source; what it says is not what is asked here.
sub says { my ($reason, $name) = @_; ok(fails_until(qr/$reason/), $name) or diag(ask("SELECT citadel.health() ->> 'reasons'")); return; }
sub fails_until
{
	my ($reason) = @_;
	for (1 .. 300)
	{
		$node->psql($db, 'SELECT citadel.collect()');
		return 1 if ask("SELECT citadel.health() ->> 'reasons'") =~ $reason;
		select(undef, undef, undef, 0.1);
	}
	return 0;
}
sub content
{
	my ($name) = @_;
	ok($node->poll_query_until($db, q{SELECT citadel.collect(); SELECT citadel.health() ->> 'reasons' !~ 'cannot read its source'}, "\nt"), $name)
	  or diag(ask("SELECT citadel.health() ->> 'reasons'"));
	return;
}

# --- a cancel at every point of a statement's life

my $cancelled = mark('cancelled');
ask(<<'END');
CREATE FUNCTION slow_constant() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN 1; END $$;
CREATE FUNCTION slow_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$;
-- statement_timeout ends with the statement, before the commit
CREATE FUNCTION cancelled_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(600); RETURN NULL; END $$;
CREATE TABLE finishing (id int);
CREATE TRIGGER slow AFTER INSERT ON finishing FOR EACH ROW EXECUTE FUNCTION slow_trigger();
CREATE TABLE committing (id int);
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON committing DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cancelled_trigger();
END
collect();
my $one = 'SELECT count(*) FROM cancelled;';
# Only what sleeps has a time limit: on a busy machine the others may need as long.
my ($limit, $none) = ("SET statement_timeout = '500ms';", 'RESET statement_timeout;');
my ($status, $out, $err) = $node->psql($db, <<"END", on_error_stop => 0);
$one $limit SELECT slow_constant(); $none
$one $limit SELECT pg_sleep(600); $none
$one $limit INSERT INTO finishing VALUES (1); $none
$one INSERT INTO committing VALUES (1);
$one BEGIN; INSERT INTO committing VALUES (1); COMMIT;
$one $limit DO \$\$ BEGIN PERFORM pg_sleep(600); END \$\$; $none
$one BEGIN; DECLARE c CURSOR FOR SELECT id, pg_sleep(600) FROM cancelled; $limit FETCH 1 FROM c; ROLLBACK; $none
$one SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
$one $limit SELECT count(*) FROM (SELECT pg_sleep(600) FROM cancelled) AS s; $none
$one SELECT 1 / (id - 7) FROM cancelled;
$one
END
my $cancels = () = $err =~ /canceling statement due to (?:statement timeout|user request)/g;
is($cancels, 8, 'cancelled while planning, running, in triggers, at commit, in utility statements, in a cursor') or diag($err);
calls_become($cancelled, 11, 'the session goes on, and the runs in between are counted');
is(ask(q{SELECT sum(v::int) FROM citadel.statement_minute, jsonb_each_text(error_classes) AS e (k, v) WHERE k = '57'}), '8', 'so is each cancel, once');
is(ask(q{SELECT sum(v::int) FROM citadel.statement_minute, jsonb_each_text(error_classes) AS e (k, v) WHERE k = '57' AND query_id = 0}), '4',
	'four of them belong to no run: while planning, two at commit, in DO');

# --- sessions in numbers, each with one statement

my $short = mark('short');
my $script = PostgreSQL::Test::Utils::tempdir() . '/short.sql';
append_to_file($script, "SELECT count(*) FROM short;\n");
$node->command_ok([ 'pgbench', '-n', '-C', '-c', 20, '-t', 20, '-f', $script, '-h', $node->host, '-p', $node->port, $db ], '400 sessions, 20 at once');
calls_become($short, 400, 'what short sessions did is counted');

# --- a statement of a megabyte

my $million = mark('million');
my $list = join ',', map { $_ + 1_000_000 } 1 .. 130_000;
my $file = PostgreSQL::Test::Utils::tempdir() . '/million.sql';
append_to_file($file, "SET citadel_opt.slow_query_threshold = 0;\nSELECT count(*) FROM million WHERE id IN ($list);\nSELECT count(*) FROM million WHERE id::text = '" . 'x' x 1_000_000 . "';\n");
cmp_ok(-s $file, '>', 2_000_000, 'two statements of a megabyte');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d', $node->connstr($db) ], 'run');
settle($node);
ok($node->poll_query_until($db, q{SELECT citadel.collect(); SELECT count(*) = 2 FROM citadel.statement WHERE query LIKE 'SELECT count(*) FROM million WHERE%'}, "\nt"), 'and are captured');
is(ask(q{SELECT max(length(query)) <= 16384, bool_or(query LIKE '%xxxx%') FROM citadel.statement WHERE query LIKE 'SELECT count(*) FROM million WHERE%'}), 't|f', 'cut to what is kept, without literals');
is(ask(q{SELECT sum(calls) FROM citadel.statement_minute JOIN citadel.statement USING (query_id, user_id) WHERE query LIKE 'SELECT count(*) FROM million WHERE%'}), '2', 'and counted');

# --- tables that are gone

my $gone = mark('gone');
collect();
ask('ALTER TABLE citadel.statement_minute RENAME TO statement_minute_away');
ask('SELECT count(*) FROM gone;' x 3);
says('history cannot read its source statement buckets: .*statement_minute', 'a table that is gone is said');
ask('ALTER TABLE citadel.statement_minute_away RENAME TO statement_minute');
calls_become($gone, 3, 'when it is back, what was counted meanwhile is stored');
content('and health() is content');
ask(q{DO $$ DECLARE r regclass; BEGIN FOR r IN SELECT inhrelid FROM pg_inherits WHERE inhparent IN ('citadel.statement_minute'::regclass,
	'citadel.statement_hour'::regclass, 'citadel.sample'::regclass, 'citadel.statement_delta'::regclass, 'citadel.table_delta'::regclass,
	'citadel.index_delta'::regclass) LOOP EXECUTE 'DROP TABLE ' || r; END LOOP; END $$});
ask('SELECT count(*) FROM gone;' x 4);
calls_become($gone, 4, 'all partitions dropped by hand are made again');
content('and nothing is missed');

# --- a full disk

my $full = mark('full_disk');
collect();
ask(q{INSERT INTO citadel.statement_minute (at, query_id, plan_id, user_id, toplevel, calls, errors, total_ms, max_ms, rows, shared_hit, shared_read, temp_blocks, latency)
	SELECT date_trunc('minute', citadel.history_clock()), -1, 1, 10, true, 1, 0, 0.1, 0.1, 1, 0, 0, 0, '\x01' FROM generate_series(1, 40000)});
my $scheduler = ask(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' AND datname = current_database()});
SKIP:
{
	# Above the size of a WAL segment, whose writer must not meet it, and below that of the partition.
	skip 'prlimit is not there', 4 if system("prlimit --pid=$scheduler --fsize=3000000:unlimited >/dev/null 2>&1") != 0;
	my $made = ask(q{SELECT count(*) FROM citadel.statement_minute});
	for my $round (1 .. 40)    # until what free pages there are is used up
	{
		ask(join '', map { "SELECT " . join(', ', ('id') x ($round * 5 + $_)) . ' FROM full_disk LIMIT 1;' } 1 .. 5);
		$node->psql($db, 'SELECT citadel.collect()');
		last if ask("SELECT citadel.health() ->> 'reasons'") =~ /statement buckets/;
	}
	ask('SELECT count(*) FROM full_disk;' x 6);
	says('history cannot read its source statement buckets: could not (extend|write).*File too large', 'a full disk is said');
	is(ask('SELECT count(*) FROM full_disk'), '100', 'statements do not notice');
	is(system("prlimit --pid=$scheduler --fsize=unlimited:unlimited"), 0, 'there is room again');
	calls_become($full, 7, 'what was counted meanwhile is stored');
	content('and health() is content');
}

# --- the clock is put back by more than is kept of anything

my $clock = mark('clock');
ask("ALTER SYSTEM SET citadel_opt.$_ = '1d'") foreach qw(minute_retention hour_retention day_retention history_retention);
$node->reload;
my $two = 'SELECT count(*) FROM clock;' x 2;
set_clock($node, $db, '24d');
ask($two);
calls_become($clock, 2, 'in 24 days');
set_clock($node, $db, '0');
ask($two);
calls_become($clock, 4, 'back again');
content('without a failure');
is(ask(qq{SELECT sum(calls) FROM citadel.query_history($clock, now() - interval '1 hour', now() + interval '25 days', '1 day')}), '4', 'reports find both');
set_clock($node, $db, '-24d');
ask($two);
calls_become($clock, 6, 'and 24 days ago');
ask(q{DO $$ BEGIN PERFORM set_config('test.run', citadel.run_job('maintain')::text, false); END $$;
	CALL citadel.wait_for_job(current_setting('test.run')::bigint, '2 minutes')});
set_clock($node, $db, '0');
ask($two);
is(ask("SELECT citadel.collect(); SELECT sum(calls) FROM citadel.statement_minute WHERE query_id = $clock AND at BETWEEN now() - interval '1 hour' AND now() + interval '1 minute'"), "\n4",
	'now has what ran now');
content('and all is well');

$node->stop('fast');
no_crash($node);
done_testing();
