# What makes the lifecycle job wait: a standby that does not keep up, and WAL that is not archived - before a step, and in
# the middle of one. Then the standby is promoted while partitions are on their way into files, which it has not got.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use LifecycleTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $LifecycleTest::rows_each;
my ($node, $archives) = lifecycle_node('brakes', init => { allows_streaming => 1, extra => ['--wal-segsize=1'] }, config => <<'END');
archive_mode = on
archive_command = 'true'
citadel_opt.lifecycle_max_wal_backlog = 2
citadel_opt.lifecycle_max_lag = '64kB'
citadel_opt.lifecycle_batch_ms = 5
citadel_opt.lifecycle_load = 0.2
citadel_opt.lifecycle_lock_patience = 2
END
sub sql { return $node->safe_psql('app', $_[0]); }

$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('follower');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;

my %brakes = (
	'WAL that is not archived' => [ qr/\d+ WAL files wait to be archived/,
		sub {
			$node->safe_psql('postgres', "ALTER SYSTEM SET archive_command = 'false'");
			$node->reload;
			sql('SELECT pg_switch_wal(); SELECT pg_logical_emit_message(false, $$x$$, $$y$$)') foreach 1 .. 5;
			$node->poll_query_until('app', "SELECT count(*) > 2 FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'") or die 'nothing waits to be archived';
		},
		sub {
			$node->safe_psql('postgres', "ALTER SYSTEM SET archive_command = 'true'");
			$node->reload;
			$node->poll_query_until('app', "SELECT count(*) = 0 FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'") or die 'WAL is still not archived';
		} ],
	'a standby behind' => [ qr/standby follower is \d+ kB behind/,
		sub {
			$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
			$standby->poll_query_until('postgres', "SELECT pg_get_wal_replay_pause_state() = 'paused'") or die 'the standby does not pause';
			sql(q{SELECT pg_logical_emit_message(false, 'x', repeat('y', 200000))});
			$node->poll_query_until('app', 'SELECT pg_current_wal_lsn() - replay_lsn > 100000 FROM pg_stat_replication') or die 'the standby keeps up';
		},
		sub {
			$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
			$node->poll_query_until('app', 'SELECT pg_current_wal_lsn() - replay_lsn < 65536 FROM pg_stat_replication') or die 'the standby does not catch up';
		} ]);

# A plain table with 100,000 old rows: many batches, which take seconds on any machine.
my $number = 0;
sub plain_table
{
	my $table = 'app.b' . ++$number;
	sql(qq{SET ROLE owner; CREATE TABLE $table (id int, at timestamptz, v text); CREATE INDEX ON $table (at);
		INSERT INTO $table SELECT i, '2020-01-01+00'::timestamptz + i * interval '1 minute', 'row ' || i FROM generate_series(1, 100000) i});
	sql("SET ROLE owner; SELECT citadel.create_lifecycle_policy('$table', 'at', retain => '12 months', quarantine => '0', plain_table => 'keep')");
	return $table;
}

# A busy machine's standby or archiver may be behind for a moment, too, and then it is what is told of.
sub tells
{
	my ($message, $name, $ask) = @_;
	my $told = '';
	ok(eventually(30, sub { return ($told = $ask->()) =~ $message; }), $name) or diag("it tells: $told");
	return;
}

foreach my $what (sort keys %brakes)
{
	my ($message, $pull, $release) = @{ $brakes{$what} };
	# Before: a plan that waits, says so, and does nothing; making partitions goes on.
	my ($table) = old_table($node, "file:$archives/a", 'archive');
	my $plain = plain_table();
	$pull->();
	tells($message, "$what: the preview says it", sub { sql("SELECT string_agg(DISTINCT blocked, ';') FROM citadel.preview_lifecycle('$table') WHERE action = 'archive'") });
	tells($message, "$what: of a plain table, too", sub { sql("SELECT string_agg(DISTINCT blocked, ';') FROM citadel.preview_lifecycle('$plain')") });
	sql("CALL citadel.run_lifecycle('$table'); CALL citadel.run_lifecycle('$plain')");
	is(sql("SELECT count(*) FROM citadel.archive"), '0', "$what: nothing is archived") if $number == 1;
	is(live($node, $plain), '100000|100000', "$what: no row is moved");
	tells($message, "$what: the runway notes it", sub {
		sql("CALL citadel.run_lifecycle('$table')");
		return sql("SELECT array_to_string(notes, ';') FROM citadel.partition_runway WHERE relation = '$table'");
	});
	is(sql("SELECT partitions_ahead FROM citadel.partition_runway WHERE relation = '$table'"), '1', "$what: partitions are made all the same");
	$release->();
	ok(eventually(30, sub { sql("CALL citadel.run_lifecycle('$table')"); return live($node, $table) . ' ' . archived($node, $table) eq "0|0 $rows|$rows"; }), "$what: then it is archived");

	# In the middle: the run waits, and goes on by itself.
	my $run;
	ok(eventually(30, sub {
		$run = sql("SELECT citadel.run_job('lifecycle')") if !defined $run || sql("SELECT state FROM citadel.job_run WHERE run_id = $run") eq 'succeeded';
		return sql("SELECT count(*) FROM $plain") < 99000; }), "$what: rows are moved");
	$pull->();
	my $before = 0;
	ok(eventually(20, sub { my $now = sql("SELECT count(*) FROM $plain"); select(undef, undef, undef, 1.2); my $same = $now == sql("SELECT count(*) FROM $plain"); $before = $now if $same; $same }), "$what: the run pauses");
	cmp_ok($before, '>', 0, "$what: half-way");
	is(sql("SELECT state FROM citadel.job_run WHERE run_id = $run"), 'running', "$what: it is still running");
	# As fast as it can from here on: slowness, and brakes that a few rows pull again, have shown what they were for.
	my %fast = (lifecycle_load => 1, lifecycle_batch_ms => 100, lifecycle_max_lag => "'1GB'", lifecycle_max_wal_backlog => 1000);
	$node->safe_psql('postgres', "ALTER SYSTEM SET citadel_opt.$_ = $fast{$_}") foreach sort keys %fast;
	$release->();
	$node->reload;
	sql("CALL citadel.wait_for_job($run, '300 s')");
	is(live($node, $plain) . ' ' . archived($node, $plain), '0|0 100000|100000', "$what: released, it goes on: each row once");
	$node->safe_psql('postgres', "ALTER SYSTEM RESET citadel_opt.$_") foreach sort keys %fast;
	$node->reload;
}

# The primary dies while files are being written; the standby, promoted, has another disk, and none of those files.
my @half;
foreach my $point (qw(lifecycle_copied lifecycle_drop_start))
{
	my ($table, $policy) = old_table($node, 'file:a', 'archive');
	set_fault($node, "$point:error");
	$node->psql('app', "CALL citadel.run_lifecycle('$table')");
	push @half, [ $table, $policy, $point ];
}
set_fault($node, '');
is(sql("SELECT string_agg(state, ',' ORDER BY operation_id) FROM citadel.lifecycle_step WHERE finished_at IS NULL"), 'verifying,dropping', 'two expiries are half done');
$node->wait_for_catchup($standby);
$node->stop('immediate');
my $other_disk = PostgreSQL::Test::Utils::tempdir('other_disk');
$standby->safe_psql('postgres', 'SELECT 1');
$standby->append_conf('postgresql.conf', "citadel_opt.archive_directory = '$other_disk'\narchive_command = 'true'\nsynchronous_standby_names = ''\n");
$standby->reload;
$standby->promote;
ok(eventually(30, sub { scheduler_pid($standby, 'app') }), 'the promoted standby has a scheduler');
my ($status, $out, $err) = $standby->psql('app', 'CALL citadel.run_lifecycle()');
isnt($status, 0, 'the run says that files are missing');
my ($copying, $dropping) = map { $_->[0] } @half;
is($standby->safe_psql('app', "SELECT count(*) FROM ${copying}_old"), $rows, 'rows whose copy was not verified are there');
is($standby->safe_psql('app', "SELECT count(*) FROM ${dropping}_old"), $rows, 'and so are those whose copy was verified on the lost disk');
like($standby->safe_psql('app', "SELECT last_error FROM citadel.lifecycle_step WHERE policy_id = $half[1][1]"), qr/copy in archive \d+ cannot be read as it was verified/, 'which its last_error says');
# The unfinished copy is made anew by itself, the lost one after an undo.
my $operation = $standby->safe_psql('app', "SELECT operation_id FROM citadel.lifecycle_step WHERE policy_id = $half[1][1]");
$standby->safe_psql('app', "CALL citadel.undo_expiry($operation)");
is(live($standby, $dropping), "$rows|$rows", 'undone: its rows are back');
$standby->safe_psql('app', "SELECT citadel.resume_lifecycle_policy($half[1][1])");
$standby->psql('app', 'CALL citadel.run_lifecycle()');
foreach my $table ($copying, $dropping)
{
	is(live($standby, $table) . ' ' . archived($standby, $table), "0|0 $rows|$rows", 'in the end all is archived, once, on the new disk');
}
is($standby->safe_psql('app', 'SELECT first_broken IS NULL FROM citadel.verify_audit_log()'), 't', 'the audit chain is whole');
$standby->stop;
done_testing();
