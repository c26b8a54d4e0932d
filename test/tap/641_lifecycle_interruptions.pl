# What may come in between in a run: a worker that is cancelled or ended, a foreign server that is dead, its table or the
# copy gone, a full disk, DDL half-way, a table dropped, a hold, an undo or another policy at the last moment, a lock that
# is not granted for several runs. Each time: live + archived = put in, none twice, and last_error says what it was.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use LifecycleTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $LifecycleTest::rows_each;
my ($node, $archives) = lifecycle_node('interruptions', init => { extra => ['--wal-segsize=1'] }, config => <<'END');
citadel_opt.lifecycle_lock_patience = 1
max_wal_size = 64MB
log_min_messages = warning
END
sub sql { return $node->safe_psql('app', $_[0]); }

# The error of a run of the table's policy; '' when it went well.
sub run_policy
{
	my ($table) = @_;
	my ($status, $out, $err) = $node->psql('app', "CALL citadel.run_lifecycle('$table')");
	return $status == 0 ? '' : $err;
}

sub runs_well { my ($table, $name) = @_; is(run_policy($table), '', $name); return; }

sub last_error
{
	my ($policy) = @_;
	return sql("SELECT coalesce(max(last_error), '') FROM citadel.lifecycle_step WHERE policy_id = $policy");
}

sub state_of
{
	my ($policy) = @_;
	return sql("SELECT string_agg(state, ',' ORDER BY operation_id) FROM citadel.lifecycle_step WHERE policy_id = $policy");
}

# All rows are in archives and nowhere else, and nothing is left to do.
sub all_archived
{
	my ($table, $name) = @_;
	is(live($node, $table) . ' ' . archived($node, $table), "0|0 $rows|$rows", "$name: live + archived = put in, none twice");
	is(sql("SELECT count(*) FROM citadel.preview_lifecycle('$table')"), '0', "$name: nothing is left to do");
	is(sql("SELECT coalesce(last_error, 'none') FROM citadel.partition_runway WHERE relation = '$table'"), 'none', "$name: no error is left");
	return;
}

# A run in the background that sleeps at the point, for long or (wait) until the next set_fault; returns the number of the
# run once the operation has the state.
sub stop_at
{
	my ($point, $policy, $state, $how) = @_;
	set_fault($node, "$point:" . ($how // 'sleep=60000'));
	my $run = sql("SELECT citadel.run_job('lifecycle')");
	ok(eventually(20, sub { state_of($policy) eq $state && sql("SELECT count(*) FROM pg_stat_activity WHERE pid = (SELECT pid FROM citadel.job_run WHERE run_id = $run) AND wait_event = 'PgSleep' OR backend_type ~ 'citadel_opt job' AND wait_event_type IN ('Extension', 'Timeout')") }), "$point: the run is at $state");
	return $run;
}

sub wait_for { my ($run) = @_; $node->psql('app', "CALL citadel.wait_for_job($run, '300 s')"); return; }

# A worker is cancelled, or ended, at a point of each step.
my %state_at = (lifecycle_detach_start => 'detaching', lifecycle_close_start => 'detached', lifecycle_copying => 'copying',
	lifecycle_verify_start => 'verifying', lifecycle_drop_start => 'dropping');
my $way = 0;
foreach my $point (sort keys %state_at)
{
	my $call = $way++ % 2 ? 'pg_cancel_backend' : 'pg_terminate_backend';
	my ($table, $policy) = old_table($node, "file:$archives/a", 'archive');
	my $run = stop_at($point, $policy, $state_at{$point});
	sql("SELECT $call(pid) FROM citadel.job_run WHERE run_id = $run");
	ok(eventually(10, sub { sql("SELECT state FROM citadel.job_run WHERE run_id = $run") =~ /cancelled|failed|crashed/ }), "$point: $call ended the run");
	set_fault($node, '');
	runs_well($table, "$point: the next run goes on");
	all_archived($table, "$call at $point");
}
# And a batch of a plain table, and a restore.
{
	sql(q{SET ROLE owner; CREATE TABLE app.plain (id int, at timestamptz, v text); CREATE INDEX ON app.plain (at);
		INSERT INTO app.plain SELECT i, '2020-01-01+00'::timestamptz + i * interval '1 hour', 'row ' || i FROM generate_series(1, 300) i});
	my $policy = sql("SET ROLE owner; SELECT citadel.create_lifecycle_policy('app.plain', 'at', retain => '12 months', quarantine => '0', plain_table => 'keep')");
	my $run = stop_at('lifecycle_move_committed', $policy, 'moving');
	sql("SELECT pg_terminate_backend(pid) FROM citadel.job_run WHERE run_id = $run");
	ok(eventually(10, sub { sql("SELECT state FROM citadel.job_run WHERE run_id = $run") =~ /cancelled|failed|crashed/ }), 'moving rows: ended');
	set_fault($node, '');
	runs_well('app.plain', 'moving rows goes on');
	is(live($node, 'app.plain') . ' ' . archived($node, 'app.plain'), '0|0 300|300', 'moving rows: each row once');

	my ($table) = old_table($node, "file:$archives/a", 'archive');
	runs_well($table, 'archived');
	my $id = sql("SELECT max(archive_id) FROM citadel.archive");
	set_fault($node, 'archive_restore_loaded:sleep=60000');
	$run = $node->background_psql('app', on_error_stop => 0);
	$run->query_until(qr/begun/, "\\echo begun\nCALL citadel.restore_archive($id, '$table');\n");
	ok(eventually(20, sub { sql("SELECT count(*) FROM citadel.job_run WHERE state = 'running' AND job_name = 'lifecycle'") eq '1' && sql("SELECT state FROM citadel.archive WHERE archive_id = $id") eq 'restoring' }), 'a restore is under way');
	sql("SELECT pg_cancel_backend(pid) FROM citadel.job_run WHERE state = 'running' AND job_name = 'lifecycle'");
	$run->quit;
	set_fault($node, '');
	sql("CALL citadel.restore_archive($id, '$table')");
	is(live($node, $table), "$rows|$rows", 'a cancelled restore goes on: each row once');
}

# DDL half-way. Between detach and copy the copy simply has the new shape; later it is given up and made anew.
foreach my $case ([ 'lifecycle_closed', 'ADD COLUMN more int DEFAULT 7', '' ], [ 'lifecycle_closed', 'DROP COLUMN v', '' ],
	[ 'lifecycle_copied', 'ADD COLUMN more int DEFAULT 7', qr/columns of .* have changed/ ], [ 'lifecycle_copied', 'ALTER COLUMN id TYPE bigint', qr/columns of .* have changed/ ],
	[ 'lifecycle_copied', 'DROP COLUMN v', qr/columns of .* have changed/ ], [ 'lifecycle_copied', 'RENAME COLUMN v TO w', qr/columns of .* have changed/ ])
{
	my ($point, $ddl, $error) = @$case;
	my ($table, $policy) = old_table($node, "file:$archives/a", 'archive');
	set_fault($node, "$point:error");
	like(run_policy($table), qr/$point/, "$ddl at $point: the run stops there");
	set_fault($node, '');
	sql("SET ROLE owner; ALTER TABLE ${table}_old $ddl");
	if ($error)
	{
		like(run_policy($table), $error, "$ddl at $point: found");
		like(last_error($policy), $error, "$ddl at $point: last_error says it");
	}
	runs_well($table, "$ddl at $point: goes on");
	all_archived($table, "$ddl at $point");
}
# A move to a schema whose hash was taken before the change.
{
	my ($table, $policy) = old_table($node, 'schema', 'archive');
	set_fault($node, 'archive_schema_hashed:error');
	isnt(run_policy($table), '', 'a move that was hashed already');
	set_fault($node, '');
	sql("SET ROLE owner; ALTER TABLE ${table}_old DROP COLUMN v");
	like(run_policy($table), qr/columns of .* have changed/, 'finds that a column was dropped');
	runs_well($table, 'and begins anew');
	all_archived($table, 'a move begun anew');
	my $from = sql("SELECT read_from FROM citadel.archive WHERE origin_name = '" . ($table =~ s/app\.//r) . "' AND state = 'complete'");
	is(sql("SELECT c.hash = a.hash FROM citadel.archive a, citadel.content_hash('$from') c WHERE a.read_from = '$from'"), 't', 'its hash is of what lies there');
}
# Rows that a superuser changed while they were copied; after that, the drop finds what was changed in the quarantine.
{
	my ($table, $policy) = old_table($node, "file:$archives/a", 'archive');
	set_fault($node, 'lifecycle_copied:error');
	run_policy($table);
	set_fault($node, '');
	sql("UPDATE ${table}_old SET v = 'changed' WHERE id = 17");
	like(run_policy($table), qr/rows of .* have changed/, 'a changed row is found');
	runs_well($table, 'the copy is made anew');
	all_archived($table, 'a changed row');
	is(sql("SELECT count(*) FROM citadel.archive WHERE state = 'discarded' AND origin_name = '" . ($table =~ s/app\.//r) . "'"), '1', 'the first copy is discarded');
	is(sql("SELECT string_agg(outcome, ',' ORDER BY at) FROM citadel.audit_log WHERE action = 'archive' AND policy_id = $policy"), 'started,failed,started,done', 'the audit log says so');

	($table, $policy) = old_table($node, "file:$archives/a", 'archive');
	set_fault($node, 'lifecycle_drop_start:error');
	run_policy($table);
	set_fault($node, '');
	sql("DELETE FROM ${table}_old WHERE id = 17");
	like(run_policy($table), qr/no longer what its archive holds/, 'a row deleted in the quarantine keeps the table');
	is(sql("SELECT count(*) FROM ${table}_old"), $rows - 1, 'it is there');
	is(archived($node, $table), "$rows|$rows", 'and so is the archive');
	sql("SELECT citadel.suspend_lifecycle_policy($policy, 'to be looked at')");
}
# An archive that the catalogue does not call verified.
{
	my ($table, $policy) = old_table($node, "file:$archives/a", 'archive');
	set_fault($node, 'lifecycle_drop_start:error');
	run_policy($table);
	set_fault($node, '');
	sql("UPDATE citadel.archive_entry SET verification = 'moved' WHERE origin_name = '" . ($table =~ s/app\.//r) . "'");
	like(run_policy($table), qr/archive \d+ is not verified: nothing is dropped/, 'an archive that is not verified');
	is(sql("SELECT count(*) FROM ${table}_old"), $rows, 'keeps the source');
	sql("SELECT citadel.suspend_lifecycle_policy($policy, 'to be looked at')");
}
# The copy is damaged or gone when the source is to be dropped.
foreach my $case ([ 'damaged', sub { my ($f) = @_; open(my $h, '+<:raw', $f) or die; seek $h, 40, 0; print $h 'x'; close $h; } ], [ 'gone', sub { unlink $_[0] or die } ])
{
	my ($what, $harm) = @$case;
	my ($table, $policy) = old_table($node, "file:$archives/a", 'archive');
	set_fault($node, 'lifecycle_drop_start:error');
	run_policy($table);
	set_fault($node, '');
	my $location = sql("SELECT location FROM citadel.archive WHERE origin_name = '" . ($table =~ s/app\.//r) . "'");
	my $file = "$archives/" . ($location =~ s{^\Q$archives\E/}{}r) . '/000001.copy.zst';
	my $bytes = slurp_file($file);
	$harm->($file);
	like(run_policy($table), qr/copy in archive \d+ cannot be read as it was verified/, "$what: nothing is dropped");
	is(sql("SELECT count(*) FROM ${table}_old"), $rows, "$what: the source is there");
	like(last_error($policy), qr/cannot be read as it was verified/, "$what: last_error says why");
	if ($what eq 'damaged')
	{
		unlink $file;
		append_to_file($file, $bytes);
		runs_well($table, 'with the copy back it goes on');
		all_archived($table, 'a copy brought back');
	}
	else
	{
		my $operation = sql("SELECT operation_id FROM citadel.lifecycle_step WHERE policy_id = $policy");
		sql("CALL citadel.undo_expiry($operation)");
		is(live($node, $table), "$rows|$rows", 'undone, the rows are back');
		sql("SELECT citadel.resume_lifecycle_policy($policy)");
		runs_well($table, 'the next expiry');
		all_archived($table, 'a lost copy');
	}
}

# DDL on a plain table between two batches: what was collected is archived as it is, the rest follows in another table.
my $plain_number = 0;
sub plain_table
{
	my ($on_expiry) = @_;
	$on_expiry //= 'archive';
	my $table = 'app.p' . ++$plain_number;
	sql(qq{SET ROLE owner; CREATE TABLE $table (id int, at timestamptz, v text, gone int); CREATE INDEX ON $table (at);
		INSERT INTO $table SELECT i, '2020-01-01+00'::timestamptz + i * interval '6 minutes', 'row ' || i, i FROM generate_series(1, 7000) i});
	my $policy = sql("SET ROLE owner; SELECT citadel.create_lifecycle_policy('$table', 'at', retain => '12 months', quarantine => '0', on_expiry => '$on_expiry', plain_table => 'keep')");
	set_fault($node, 'lifecycle_move_committed:error');
	isnt(run_policy($table), '', 'a batch, then an error');
	set_fault($node, '');
	my $left = sql("SELECT count(*) FROM $table");
	cmp_ok($left, '>', 0, 'rows are left') && cmp_ok($left, '<', 7000, 'and some were moved');
	return ($table, $policy);
}
foreach my $ddl ("ADD COLUMN more int DEFAULT 7", 'DROP COLUMN gone', 'ALTER COLUMN id TYPE bigint USING id::bigint + 3000000000', 'RENAME COLUMN v TO w', 'ALTER COLUMN at TYPE timestamp')
{
	my ($table, $policy) = plain_table();
	sql("SET ROLE owner; ALTER TABLE $table $ddl");
	my $error = run_policy($table);
	if ($ddl =~ /timestamp/)
	{
		like($error, qr/column "at" of table .* has another type/, "$ddl: the policy no longer fits");
		sql("SET ROLE owner; ALTER TABLE $table ALTER COLUMN at TYPE timestamptz");
	}
	runs_well($table, "$ddl between batches: goes on") foreach 1 .. 2;
	is(live($node, $table) . ' ' . archived($node, $table), '0|0 7000|7000', "$ddl: live + archived = put in, none twice");
}
foreach my $change ([ 'archive', 'drop' ], [ 'drop', 'archive' ])
{
	my ($table, $policy) = plain_table($change->[0]);
	my $left = sql("SELECT count(*) FROM $table");
	sql("SET ROLE owner; SELECT citadel.alter_lifecycle_policy($policy, on_expiry => '$change->[1]')");
	runs_well($table, "on_expiry $change->[1] between batches: goes on") foreach 1 .. 2;
	is(live($node, $table) . ' ' . archived($node, $table), '0|0 ' . ($change->[1] eq 'drop' ? '0|0' : "$left|$left"), "on_expiry $change->[1]: what was left is treated as the policy says now");
	is(sql("SELECT count(*) FROM pg_class WHERE relname ~ '^p${plain_number}_p' AND relnamespace = 'app'::regnamespace AND relkind = 'r'"), '0', "on_expiry $change->[1]: no collecting table is left");
}
{
	my ($table, $policy) = plain_table();
	sql("SET ROLE owner; DROP TABLE $table");
	$node->psql('app', 'CALL citadel.run_lifecycle()');
	is(sql("SELECT status FROM citadel.lifecycle_policy WHERE policy_id = $policy"), 'suspended', 'a plain table that was dropped half-way suspends its policy');
	is(state_of($policy), 'cancelled', 'and ends the move');
	cmp_ok(sql("SELECT count(*) FROM app.p${plain_number}_p20200101"), '>', 0, 'what was collected is still a table');
}

# Tables dropped half-way: the partition while it is copied, and the table itself.
{
	my ($table, $policy) = old_table($node, "file:$archives/a", 'archive');
	set_fault($node, 'lifecycle_copied:error');
	run_policy($table);
	set_fault($node, '');
	sql("DROP TABLE ${table}_old");
	runs_well($table, 'a partition that was dropped while it was copied ends its expiry');
	is(state_of($policy), 'cancelled', 'as cancelled');
	is(archived($node, $table), '0|0', 'an unfinished copy does not count');
	is(sql("SELECT last_error FROM citadel.lifecycle_operation WHERE policy_id = $policy"), 'the partition was dropped by somebody else', 'and says why');

	($table, $policy) = old_table($node, "file:$archives/a", 'archive');
	set_fault($node, 'lifecycle_copied:error');
	run_policy($table);
	set_fault($node, '');
	sql("SET ROLE owner; DROP TABLE $table");
	my ($other) = old_table($node, 'schema', 'archive');
	$node->psql('app', 'CALL citadel.run_lifecycle()');
	is(archived($node, $other), "$rows|$rows", 'a table that was dropped stops no other');
	is(sql("SELECT status FROM citadel.lifecycle_policy WHERE policy_id = $policy"), 'suspended', 'its policy is suspended');
	is(sql("SELECT count(*) FROM ${table}_old"), $rows, 'what had been detached from it is still a table');
	is(state_of($policy), 'cancelled', 'its expiry has ended');
	is(sql("SELECT has_table_privilege('owner', '${table}_old', 'INSERT')"), 't', 'that can be written to again');
}

# A hold that is placed between the plan and the step.
my ($by_time, $by_predicate) = ("'2020-01-10', '2020-01-11'", "NULL, NULL");
foreach my $case ([ 'lifecycle_detach_start', 'detaching', 'schema', $by_predicate ], [ 'lifecycle_archive_start', 'closed', 'schema', $by_time ], [ 'lifecycle_copying', 'copying', 'schema', $by_predicate ],
	[ 'lifecycle_drop_start', 'dropping', "file:$archives/a", $by_time ], [ 'lifecycle_drop_start', 'dropping', "file:$archives/a", $by_predicate ])
{
	my ($point, $state, $to, $times) = @$case;
	my $predicate = $times eq $by_predicate ? ", predicate => 'id = 17'" : '';
	my ($table, $policy) = old_table($node, $to, 'archive');
	my $run = stop_at($point, $policy, $state, 'wait');
	my $hold = sql("SET ROLE owner; SELECT citadel.place_hold('$table', $times, 'case at $point'$predicate)");
	set_fault($node, '');
	wait_for($run);
	like(last_error($policy), qr/is held: hold $hold/, "held at $point: not moved, not dropped");
	my $place = $state eq 'detaching' ? $table : "${table}_old";
	is(sql("SELECT count(*) FROM $place"), $rows, "held at $point: every row is there");
	my $before = state_of($policy);
	run_policy($table);
	is(state_of($policy) . ' ' . sql("SELECT count(*) FROM $place"), "$before $rows", "held at $point: the next run does nothing");
	like(sql("SELECT string_agg(blocked, ';') FROM citadel.preview_lifecycle('$table')"), qr/hold $hold \(case at/, "held at $point: the preview says so");
	sql("SET ROLE owner; SELECT citadel.release_hold($hold, 'closed')");
	runs_well($table, "held at $point: released");
	all_archived($table, "held at $point");
}

# An undo, a suspension or another policy in the middle of a step.
foreach my $case ([ 'lifecycle_copied', 'verifying' ], [ 'lifecycle_drop_start', 'dropping' ])
{
	my ($point, $state) = @$case;
	my ($table, $policy) = old_table($node, "file:$archives/a", 'archive');
	my $run = stop_at($point, $policy, $state, 'wait');
	my $operation = sql("SELECT operation_id FROM citadel.lifecycle_step WHERE policy_id = $policy");
	my $undo = $node->background_psql('app');
	$undo->query_until(qr/begun/, "\\echo begun\nCALL citadel.undo_expiry($operation);\n");
	ok(eventually(20, sub { state_of($policy) eq 'undoing' }), "an undo at $point is asked for");
	set_fault($node, '');
	$undo->quit;
	ok(eventually(60, sub { state_of($policy) ne 'undoing' }), "an undo at $point: the job takes it up");
	is(state_of($policy), 'undone', "an undo at $point wins");
	is(live($node, $table) . ' ' . archived($node, $table), "$rows|$rows 0|0", "an undo at $point: all rows are back");
}
{
	my ($table, $policy) = old_table($node, 'schema', 'drop');
	my $run = stop_at('lifecycle_drop_start', $policy, 'dropping', 'wait');
	sql("SET ROLE owner; SELECT citadel.alter_lifecycle_policy($policy, on_expiry => 'archive')");
	set_fault($node, '');
	wait_for($run);
	is(sql("SELECT count(*) FROM ${table}_old"), $rows, 'a policy that says archive at the last moment is heeded');
	runs_well($table, 'and the next run');
	all_archived($table, 'archives instead of dropping');

	($table, $policy) = old_table($node, "file:$archives/a", 'archive');
	set_fault($node, 'lifecycle_copied:error');
	run_policy($table);
	set_fault($node, '');
	sql("SET ROLE owner; SELECT citadel.alter_lifecycle_policy($policy, on_expiry => 'drop', archive_to => 'schema')");
	like(sql("SELECT string_agg(action || ' ' || reason, ', ') FROM citadel.preview_lifecycle('$table')"), qr/verify the copy is read again.*drop a verified copy lies in file/, 'what is being archived goes on as it began');
	runs_well($table, 'to its end');
	all_archived($table, 'an altered policy');
	($table, $policy) = old_table($node, 'schema', 'drop');
	set_fault($node, 'lifecycle_drop_start:error');
	run_policy($table);
	set_fault($node, '');
	my ($status, $out, $err) = $node->psql('app', "SET ROLE owner; SELECT citadel.alter_lifecycle_policy($policy, on_expiry => 'detach')");
	like($err, qr/cannot become detach while operation \d+ is dropping/, 'detach is refused for what is closed already');
	sql("SET ROLE owner; SELECT citadel.suspend_lifecycle_policy($policy, 'wait')");
	run_policy($table);
	is(sql("SELECT count(*) FROM ${table}_old"), $rows, 'suspended, nothing is dropped');
}
# A table that was moved already cannot be undone, which ends the expiry.
{
	my ($table, $policy) = old_table($node, 'schema', 'archive');
	set_fault($node, 'lifecycle_copied:error');
	run_policy($table);
	set_fault($node, '');
	my $operation = sql("SELECT operation_id FROM citadel.lifecycle_step WHERE policy_id = $policy");
	my ($status, $out, $err) = $node->psql('app', "CALL citadel.undo_expiry($operation)");
	like($err, qr/has been moved already.*/, 'what was moved is not undone');
	is(state_of($policy), 'done', 'its expiry ends');
	runs_well($table, 'the next run');
	all_archived($table, 'moved');
}

# A lock that somebody holds through several runs, and then no more.
foreach my $default (0, 1)
{
	my ($table, $policy) = old_table($node, 'schema', 'archive');
	sql("SET ROLE owner; CREATE TABLE ${table}_rest PARTITION OF $table DEFAULT") if $default;
	my ($free) = old_table($node, 'schema', 'archive');
	my $holder = $node->background_psql('app');
	$holder->query_safe("BEGIN; SELECT count(*) FROM $table");
	foreach my $run (1 .. 3)
	{
		my ($status, $out, $err) = $node->psql('app', 'CALL citadel.run_lifecycle()');
		like($err, $default ? qr/could not lock \Q$table\E in 1 s/ : qr/lock timeout/, "default $default, run $run: the lock is not granted");
	}
	is(sql("SELECT attempts FROM citadel.lifecycle_step WHERE policy_id = $policy"), '3', "default $default: three attempts are counted");
	like(sql("SELECT last_error FROM citadel.partition_runway WHERE relation = '$table'"), qr/lock/, "default $default: the runway says it");
	is(sql("SELECT count(*) FROM citadel.audit_log WHERE policy_id = $policy AND action = 'run_policy' AND outcome = 'failed' AND reason ~ 'lock'"), '1', "default $default: the audit log says it once");
	is(archived($node, $free), "$rows|$rows", "default $default: the other table is done");
	$holder->query_safe('COMMIT');
	$holder->quit;
	runs_well($table, "default $default: granted");
	all_archived($table, "default $default, granted");
}

# Rows of a default partition that change while they are copied out of it.
{
	sql(qq{SET ROLE owner; CREATE TABLE app.changing (id int, at timestamptz NOT NULL, v text) PARTITION BY RANGE (at);
		CREATE TABLE app.changing_rest PARTITION OF app.changing DEFAULT;
		INSERT INTO app.changing SELECT i, '2025-01-02+00'::timestamptz + i * interval '1 hour', 'row ' || i FROM generate_series(1, 300) i});
	my $policy = sql("SET ROLE owner; SELECT citadel.create_lifecycle_policy('app.changing', 'at', premake => 0)");
	set_fault($node, 'lifecycle_default_copy:wait');
	my $run = sql("SELECT citadel.run_job('lifecycle')");
	ok(eventually(20, sub { sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'citadel_opt job' AND wait_event_type IN ('Extension', 'Timeout')") && sql("SELECT count(*) FROM citadel.lifecycle_step WHERE policy_id = $policy AND kind = 'default_rows'") }), 'default rows: being copied');
	sql("UPDATE app.changing SET v = 'changed' WHERE id = 17; DELETE FROM app.changing WHERE id = 18; INSERT INTO app.changing VALUES (301, '2025-01-20+00', 'new')");
	set_fault($node, '');
	wait_for($run);
	runs_well('app.changing', 'default rows: moved');
	is(sql('SELECT count(*), count(DISTINCT id), max(v) FILTER (WHERE id = 17), count(*) FILTER (WHERE id = 18), count(*) FILTER (WHERE id = 301) FROM app.changing'), '300|300|changed|0|1', 'default rows: as they are now, once each');
	is(sql('SELECT count(*) FROM app.changing_rest'), '0', 'default rows: none is left there');
}

# A full disk: a limit on the size of files, for the server's new processes.
{
	sql(q{SET ROLE owner; CREATE TABLE app.noise (id int, at timestamptz NOT NULL, v bytea) PARTITION BY RANGE (at);
		CREATE TABLE app.noise_old PARTITION OF app.noise FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
		ALTER TABLE app.noise_old ALTER v SET STORAGE PLAIN;
		INSERT INTO app.noise SELECT i, '2020-01-02+00', (SELECT string_agg(sha512((i || ':' || j)::bytea), '') FROM generate_series(1, 100) AS j) FROM generate_series(1, 1000) AS i});
	my $policy = sql("SET ROLE owner; SELECT citadel.create_lifecycle_policy('app.noise', 'at', premake => 1, retain => '12 months', archive_to => 'file:full', quarantine => '0')");
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	is(system('prlimit', "--pid=$postmaster", '--fsize=4000000:unlimited'), 0, 'the size of files is limited');
	like(run_policy('app.noise'), qr/could not write to file .*File too large/, 'a full disk is an error');
	like(last_error($policy), qr/could not write to file/, 'which the operation notes');
	is(sql('SELECT count(*) FROM app.noise_old'), '1000', 'the source is there');
	is(system('prlimit', "--pid=$postmaster", '--fsize=unlimited:unlimited'), 0, 'there is room again');
	runs_well('app.noise', 'the next run goes on');
	is(live($node, 'app.noise') . ' ' . archived($node, 'app.noise'), '0|0 1000|1000', 'a full disk: each row once');
	is(join(' ', grep { /partial/ } glob("$archives/full/*"), glob("$archives/full/*/*")), '', 'no cut-off file is left');
}

is(sql('SELECT first_broken IS NULL FROM citadel.verify_audit_log()'), 't', 'the audit chain is whole');
$node->stop;
done_testing();
