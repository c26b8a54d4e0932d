# The server is killed with -9 at each named point of an expiry, to each destination and back; the job goes on after the
# restart, and no row is lost or there twice: live + archived = put in.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $LifecycleTest::rows_each;
my ($node, $archives) = lifecycle_node('faults', config => "citadel_opt.lifecycle_lock_patience = 1\n");
sub sql { return $node->safe_psql('app', $_[0]); }

# Has the worker killed at the point, and with it the server start anew; waits until it is back.
sub crash_at
{
	my ($table, $point, $call) = @_;
	set_fault($node, "$point:crash");
	my ($status) = $node->psql('app', $call // "CALL citadel.run_lifecycle('$table')");
	back_after_crash($node);
	return $status != 0;
}

my @expiry = qw(lifecycle_ladder lifecycle_detach_start lifecycle_detach_concurrent lifecycle_detached lifecycle_close_start lifecycle_close lifecycle_closed);
my @archive = qw(lifecycle_archive_start lifecycle_archive_begin lifecycle_copying lifecycle_copy lifecycle_copied lifecycle_verify_start lifecycle_verify lifecycle_verified);
my @drop = qw(lifecycle_drop_start lifecycle_drop lifecycle_dropped);

my %points = (
	'schema' => [ @expiry, @archive ],
	"file:$archives/a" => [ @archive, @drop ],
	'drop' => [@drop],
);
foreach my $destination (sort keys %points)
{
	foreach my $point (@{ $points{$destination} })
	{
		my $drops = $destination eq 'drop';
		my ($table, $policy) = old_table($node, $drops ? 'schema' : $destination, $drops ? 'drop' : 'archive');
		my $short = $destination =~ /^file/ ? 'file' : $destination;
		ok(crash_at($table, $point), "$short: killed at $point");
		sql("CALL citadel.run_lifecycle('$table')");
		is(live($node, $table), '0|0', "$short, $point: nothing is left in the table");
		is(archived($node, $table), $drops ? '0|0' : "$rows|$rows", "$short, $point: everything is in the archive, once");
		is(sql("SELECT string_agg(state, ',') FROM citadel.lifecycle_step WHERE policy_id = $policy"), 'done', "$short, $point: one operation, done");
		is(sql("SELECT count(*) FROM citadel.preview_lifecycle('$table')"), '0', "$short, $point: nothing more to do");
	}
}

# With a default partition the detach cannot be concurrent.
foreach my $point (qw(lifecycle_detach_ladder lifecycle_detached))
{
	my ($table, $policy) = old_table($node, 'schema', 'archive');
	sql("SET ROLE owner; CREATE TABLE ${table}_rest PARTITION OF $table DEFAULT");
	ok(crash_at($table, $point), "default partition: killed at $point");
	sql("CALL citadel.run_lifecycle('$table')");
	is(live($node, $table) . ' ' . archived($node, $table), "0|0 $rows|$rows", "$point: all archived");
}

# Partitions ahead, rows out of the default partition.
my $number = 0;
foreach my $point (qw(lifecycle_create lifecycle_created lifecycle_default_start lifecycle_default_copy lifecycle_default_delete lifecycle_default_done))
{
	my $table = 'app.d' . ++$number;
	sql(qq{SET ROLE owner; CREATE TABLE $table (id int, at timestamptz NOT NULL) PARTITION BY RANGE (at);
		CREATE TABLE ${table}_rest PARTITION OF $table DEFAULT;
		INSERT INTO $table SELECT i, '2025-01-01+00'::timestamptz + i * interval '6 hours' FROM generate_series(1, $rows) i;
		SELECT citadel.create_lifecycle_policy('$table', 'at', premake => 2)});
	ok(crash_at($table, $point), "killed at $point");
	is(live($node, $table), "$rows|$rows", "$point: no reader misses a row");
	sql("CALL citadel.run_lifecycle('$table')");
	is(live($node, $table), "$rows|$rows", "$point: nor after the run");
	is(sql("SELECT count(*) FROM ${table}_rest"), '0', "$point: the default partition is empty");
	is(sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r' AND relname ~ '^d${number}_p' AND NOT relispartition"), '0', "$point: no half-made partition is left");
}

# An undo that is interrupted goes on.
foreach my $case ([ 'lifecycle_undo_start', 'schema', 'drop' ], [ 'lifecycle_undo', 'schema', 'drop' ],
	[ 'lifecycle_undo_start', "file:$archives/a", 'archive' ], [ 'lifecycle_undo_discarded', "file:$archives/a", 'archive' ], [ 'lifecycle_undo', "file:$archives/a", 'archive' ])
{
	my ($point, $destination, $on_expiry) = @$case;
	my ($table, $policy) = old_table($node, $destination, $on_expiry);
	sql("SELECT citadel.alter_lifecycle_policy($policy, quarantine => '1 day')");
	sql("CALL citadel.run_lifecycle('$table')");
	is(live($node, $table), '0|0', 'in quarantine');
	my $operation = sql("SELECT operation_id FROM citadel.lifecycle_step WHERE policy_id = $policy");
	ok(crash_at($table, $point, "CALL citadel.undo_expiry($operation)"), "killed at $point");
	sql("CALL citadel.run_lifecycle('$table')");
	is(live($node, $table), "$rows|$rows", "$point: all rows are back");
	is(sql("SELECT state FROM citadel.lifecycle_step WHERE policy_id = $policy"), 'undone', "$point: undone");
	is(archived($node, $table), '0|0', "$point: no copy counts any more");
	is(sql("SELECT has_table_privilege('owner', '${table}_old', 'INSERT')"), 't', "$point: writers are in again");
}

# A concurrent detach that was interrupted half-way hides rows until it is finished.
{
	my ($table, $policy) = old_table($node, 'schema', 'archive');
	my $reader = $node->background_psql('app', on_error_die => 0);
	$reader->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM $table");
	my $run = sql("SELECT citadel.run_job('lifecycle')");
	ok(eventually(20, sub { sql('SELECT count(*) FROM pg_inherits WHERE inhdetachpending') eq '1' }), 'the detach waits for a reader');
	my $pid = sql("SELECT pid FROM citadel.job_run WHERE run_id = $run");
	kill 'KILL', $pid;
	$reader->{run}->kill_kill(grace => 1);
	back_after_crash($node);
	is(sql('SELECT count(*) FROM pg_inherits WHERE inhdetachpending'), '1', 'killed in between, it stays pending');
	like(sql("SELECT string_agg(action, ',') FROM citadel.preview_lifecycle('$table')"), qr/detach,shut out writers/, 'the plan goes on with it');
	sql("CALL citadel.run_lifecycle('$table')");
	is(live($node, $table) . ' ' . archived($node, $table), "0|0 $rows|$rows", 'it is finished, and all is archived');
}

# An error instead of a crash: noted, tried again, and the next table is not affected.
{
	my ($bad) = old_table($node, 'schema', 'archive');
	my ($good) = old_table($node, 'schema', 'archive');
	set_fault($node, 'lifecycle_copied:error');
	my ($status, $out, $err) = $node->psql('app', 'CALL citadel.run_lifecycle()');
	set_fault($node, '');
	like($err, qr/2 tables could not be worked on/, 'errors are raised to who waits');
	is(sql('SELECT count(*) FROM citadel.partition_runway WHERE last_error IS NOT NULL'), '2', 'and noted for each table');
	sql('CALL citadel.run_lifecycle()');
	is(archived($node, $bad) . ' ' . archived($node, $good), "$rows|$rows $rows|$rows", 'the next run does both');
	is(sql('SELECT count(*) FROM citadel.partition_runway WHERE last_error IS NOT NULL'), '0', 'and forgets the errors');
}

# A worker that is cancelled; a lock that is not granted.
{
	my ($table, $policy) = old_table($node, 'schema', 'archive');
	set_fault($node, 'lifecycle_detached:sleep=60000');
	my $run = sql("SELECT citadel.run_job('lifecycle')");
	ok(eventually(20, sub { sql("SELECT state FROM citadel.lifecycle_step WHERE policy_id = $policy") eq 'detached' }), 'a run is under way');
	sql("SELECT pg_cancel_backend(pid) FROM citadel.job_run WHERE run_id = $run");
	ok(eventually(10, sub { sql("SELECT state FROM citadel.job_run WHERE run_id = $run") eq 'cancelled' }), 'it is cancelled');
	set_fault($node, '');
	sql("CALL citadel.run_lifecycle('$table')");
	is(live($node, $table) . ' ' . archived($node, $table), "0|0 $rows|$rows", 'the next one goes on');

	my ($locked) = old_table($node, 'schema', 'archive');
	sql("SET ROLE owner; CREATE TABLE ${locked}_rest PARTITION OF $locked DEFAULT");
	my ($free) = old_table($node, 'schema', 'archive');
	sql("CALL citadel.run_lifecycle('$free')");
	my $holder = $node->background_psql('app');
	$holder->query_safe("BEGIN; SELECT count(*) FROM $locked");
	my ($status, $out, $err) = $node->psql('app', 'CALL citadel.run_lifecycle()');
	like($err, qr/could not lock \Q$locked\E in 1 s/, 'a lock that is not granted is given up');
	is(archived($node, $free), "$rows|$rows", 'the other table is done');
	is(live($node, $locked), "$rows|$rows", 'the locked one is as it was');
	$holder->query_safe('COMMIT');
	sql("CALL citadel.run_lifecycle('$locked')");
	is(archived($node, $locked), "$rows|$rows", 'and is done when the reader has gone');
	$holder->quit;
}

is(sql('SELECT first_broken IS NULL FROM citadel.verify_audit_log()'), 't', 'the audit chain is whole');
$node->stop;
done_testing();
