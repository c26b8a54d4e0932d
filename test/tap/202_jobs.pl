# Runs: on request, by schedule, their errors, limits and privileges.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use JobsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobs_node('jobs');
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(app other);
create_citadel($node, $_) foreach qw(app other);
ok(eventually(5, sub { scheduler_pid($node, 'app') && scheduler_pid($node, 'other') }), 'schedulers run');
my $job = a_job($node, 'app');

sub sql { return $node->safe_psql('app', $_[0]); }
sub sql_fails
{
	my ($sql, $pattern, $name) = @_;
	my ($status, $out, $err) = $node->psql('app', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
	isnt($status, 0, $name);
	like($err, $pattern, "$name: $pattern");
	return;
}
sub run_state { return sql("SELECT state FROM citadel.job_run WHERE run_id = $_[0]"); }
sub wait_running { my ($run) = @_; return eventually(10, sub { run_state($run) eq 'running' }); }

# On request.
my $run = sql("SELECT citadel.run_job('$job')");
sql("CALL citadel.wait_for_job($run)");
is(sql("SELECT state, requested_by, pid IS NOT NULL, started_at >= queued_at, finished_at >= started_at, duration_ms >= 0, sqlstate IS NULL FROM citadel.job_run WHERE run_id = $run"),
	'succeeded|postgres|t|t|t|t|t', 'a run that was asked for succeeds and is recorded');
is(sql("SELECT last_run_id, last_state, failures_in_a_row FROM citadel.job WHERE job_name = '$job'"), "$run|succeeded|0", 'citadel.job shows it');

# Rolled back: no run. Uncommitted: not started.
sql("BEGIN; SELECT citadel.run_job('$job'); ROLLBACK");
select(undef, undef, undef, 0.3);
is(sql("SELECT count(*) FROM citadel.job_run WHERE run_id > $run"), '0', 'a request that is rolled back leaves nothing');

# Its own error, in parts.
set_fault($node, "jobs.run.$job:error");
$run = sql("SELECT citadel.run_job('$job')");
sql_fails("CALL citadel.wait_for_job($run);", qr/ERROR:  XX000: fault point jobs\.run\.$job/, 'wait_for_job raises the error of the job');
is(sql("SELECT state, sqlstate, message FROM citadel.job_run WHERE run_id = $run"), "failed|XX000|fault point jobs.run.$job", 'which is recorded');
sql_fails("CALL citadel.wait_for_job($run);", qr/fault point/, 'and raised again when asked again');
is(sql("SELECT next_run - last_finish BETWEEN interval '50 s' AND interval '61 s' FROM citadel.job WHERE job_name = '$job'"), 't', 'the job is retried after its retry_delay');
sql("SELECT citadel.alter_job('$job', retry_delay => '1 s')");
ok(eventually(15, sub { sql("SELECT count(*) >= 2 FROM citadel.job_run WHERE run_id > $run AND state = 'failed' AND requested_by IS NULL") eq 't' }), 'a shorter delay takes effect at once, and failing runs are retried');
my @gaps = split /\n/, sql("SELECT round(extract(epoch FROM started_at - lag(finished_at) OVER (ORDER BY run_id)), 1) FROM citadel.job_run WHERE run_id >= $run ORDER BY run_id");
cmp_ok($gaps[2], '>=', 1.7, 'the second retry waits longer: it backs off');
set_fault($node, '');
ok(eventually(20, sub { sql("SELECT last_state FROM citadel.job WHERE job_name = '$job'") eq 'succeeded' }), 'once the fault is gone the job recovers by itself');
is(sql("SELECT failures_in_a_row FROM citadel.job WHERE job_name = '$job'"), '0', 'and the failures are forgotten');
sql("SELECT citadel.alter_job('$job', retry_delay => '0')");

# Error parts survive that a fault point cannot give.
$run = sql("WITH r AS (SELECT citadel.run_job('$job') AS id) SELECT id FROM r");
sql("CALL citadel.wait_for_job($run)");
sql("UPDATE citadel.job_run_log SET state = 'failed', sqlstate = '22012', message = 'm', detail = 'd', hint = 'h' WHERE run_id = $run");
sql_fails("CALL citadel.wait_for_job($run);", qr/ERROR:  22012: m\nDETAIL:  d\nHINT:  h/, 'SQLSTATE, message, detail and hint arrive');
sql("UPDATE citadel.job_run_log SET state = 'succeeded' WHERE run_id = $run");

# By schedule.
sql("SELECT citadel.alter_job('$job', schedule => '1 s')");
my $latest = sql("SELECT max(run_id) FROM citadel.job_run");
ok(eventually(10, sub { sql("SELECT count(*) >= 3 FROM citadel.job_run WHERE run_id > $latest AND state = 'succeeded' AND requested_by IS NULL") eq 't' }), 'a schedule of one second runs the job again and again');
sql("SELECT citadel.alter_job('$job', enabled => false)");
eventually(5, sub { sql("SELECT count(*) = 0 FROM citadel.job_run WHERE state IN ('queued', 'running')") eq 't' });
$latest = sql("SELECT max(run_id) FROM citadel.job_run");
select(undef, undef, undef, 2.5);
is(sql("SELECT max(run_id) FROM citadel.job_run"), $latest, 'a disabled job is not started');
$run = sql("SELECT citadel.run_job('$job')");
sql("CALL citadel.wait_for_job($run)");
is(run_state($run), 'succeeded', 'but runs when asked for');
sql("SELECT citadel.alter_job('$job', enabled => true, schedule => '0')");
is(sql("SELECT schedule = default_schedule FROM citadel.job JOIN citadel.job_definitions() USING (job_name) WHERE job_name = '$job'"), 't', 'schedule 0 returns to the default');

# max_runtime, cancelling, waiting with a timeout.
set_fault($node, "jobs.run.$job:sleep=60000");
sql("SELECT citadel.alter_job('$job', max_runtime => '1 s')");
$run = sql("SELECT citadel.run_job('$job')");
sql_fails("CALL citadel.wait_for_job($run);", qr/57014: the run took longer than the job's max_runtime of 1000 ms/, 'a run past its max_runtime is ended');
is(run_state($run), 'failed', 'and failed');
sql("SELECT citadel.alter_job('$job', max_runtime => '0')");
$run = sql("SELECT citadel.run_job('$job')");
ok(wait_running($run), 'a long run is on');
my $waited = seconds(sub { sql_fails("CALL citadel.wait_for_job($run, '1 s');", qr/55000: run $run of job "$job" has not ended in time/, 'waiting has a timeout') });
cmp_ok($waited, '<', 18, 'which is kept');
is(run_state($run), 'running', 'the run goes on');

# Who waits holds no snapshot and no lock on a table, in every isolation level.
foreach my $isolation ('read committed', 'repeatable read', 'serializable')
{
	my $waiter = $node->background_psql('app', on_error_die => 0);
	$waiter->query_safe("SET default_transaction_isolation = '$isolation'; SET application_name = 'the waiter'");
	$waiter->query_until(qr/started/, "\\echo started\nCALL citadel.wait_for_job($run, '1 minute');\n");
	# But for the moments, once a second, in which it looks.
	ok(eventually(5, sub { sql("SELECT count(*) FILTER (WHERE backend_xmin IS NULL), count(*) FILTER (WHERE backend_xid IS NULL) FROM pg_stat_activity WHERE application_name = 'the waiter' AND state = 'active' AND query LIKE 'CALL%'") eq '1|1' }), "no snapshot while waiting under $isolation");
	ok(eventually(5, sub { sql("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'the waiter' AND l.locktype = 'relation'") eq '0' }), "and no table is locked");
	sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'the waiter'");
	$waiter->{run}->kill_kill(grace => 1);
}
sql("SELECT pg_cancel_backend(pid) FROM citadel.job_run WHERE run_id = $run");
ok(eventually(5, sub { run_state($run) eq 'cancelled' }), 'pg_cancel_backend cancels a run');
sql_fails("CALL citadel.wait_for_job($run);", qr/57014/, 'which its waiter is told');
$run = sql("SELECT citadel.run_job('$job')");
ok(wait_running($run), 'another long run is on');
sql("SELECT pg_terminate_backend(pid) FROM citadel.job_run WHERE run_id = $run");
ok(eventually(5, sub { run_state($run) eq 'failed' }), 'a terminated worker leaves a failed run behind, noticed at once');

# DDL does not wait for a long run.
$run = sql("SELECT citadel.run_job('$job')");
ok(wait_running($run), 'a long run is on');
$waited = seconds(sub { $node->safe_psql('postgres', 'ALTER DATABASE app RENAME TO app_') });
cmp_ok($waited, '<', 18, "ALTER DATABASE RENAME goes past a running job ($waited s)");
$node->safe_psql('postgres', 'ALTER DATABASE app_ RENAME TO app');
is(run_state($run), 'cancelled', 'which is cancelled');
ok(eventually(5, sub { scheduler_pid($node, 'app') }), 'the scheduler is back');
$run = sql("SELECT citadel.run_job('$job')");
ok(wait_running($run), 'a long run is on');
$waited = seconds(sub { sql('DROP EXTENSION citadel_opt') });
cmp_ok($waited, '<', 18, "so does DROP EXTENSION ($waited s)");
set_fault($node, '');
create_citadel($node, 'app');
ok(eventually(5, sub { scheduler_pid($node, 'app') }), 'the scheduler is back');

# citadel_opt.max_job_workers counts the whole cluster; a free place is used at once.
$node->safe_psql('postgres', 'ALTER SYSTEM SET citadel_opt.max_job_workers = 1');
set_fault($node, "jobs.run.$job:wait");
$run = sql("SELECT citadel.run_job('$job')");
ok(wait_running($run), 'the one place is taken');
my $second = $node->safe_psql('other', "SELECT citadel.run_job('$job')");
select(undef, undef, undef, 1);
is($node->safe_psql('other', "SELECT state FROM citadel.job_run WHERE run_id = $second"), 'queued', 'a run in another database waits');
is(sql("SELECT count(*) FROM citadel.worker_status() WHERE kind = 'job'"), '1', 'worker_status() shows one job');
set_fault($node, '');
sql("CALL citadel.wait_for_job($run)");
ok(eventually(3, sub { $node->safe_psql('other', "SELECT state FROM citadel.job_run WHERE run_id = $second") eq 'succeeded' }), 'and runs as soon as the place is free');
$node->safe_psql('postgres', 'ALTER SYSTEM SET citadel_opt.max_job_workers = 0');
$node->reload;
select(undef, undef, undef, 0.3);
$run = sql("SELECT citadel.run_job('$job')");
sql_fails("CALL citadel.wait_for_job($run, '1 s');", qr/It is queued.*max_job_workers/s, 'none at all: the waiter is told where to look');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET citadel_opt.max_job_workers');
$node->reload;
$waited = seconds(sub { sql("CALL citadel.wait_for_job($run)") });
cmp_ok($waited, '<', 30, "a reload that allows workers again is noticed at once ($waited s)");

# The kill switch cancels what runs.
set_fault($node, "jobs.run.$job:sleep=60000");
$run = sql("SELECT citadel.run_job('$job')");
ok(wait_running($run), 'a long run is on');
$node->safe_psql('postgres', 'ALTER SYSTEM SET citadel_opt.enabled = off');
$node->reload;
ok(eventually(5, sub { run_state($run) eq 'cancelled' }), 'citadel_opt.enabled = off cancels it');
sql_fails("SELECT citadel.run_job('$job');", qr/55000: citadel_opt is switched off/, 'and nothing can be asked for');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET citadel_opt.enabled');
set_fault($node, '');

# Settings of a database or role do not bend the workers.
$node->safe_psql('postgres', 'ALTER DATABASE app SET default_transaction_read_only = on; ALTER ROLE postgres SET search_path = evil; ALTER DATABASE app SET lock_timeout = 1');
my $before = scheduler_pid($node, 'app');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($before)");
ok(eventually(15, sub { my $s = scheduler_pid($node, 'app'); $s && $s != $before }), 'a new scheduler under hostile settings');
$run = sql("SET default_transaction_read_only = off; SELECT citadel.run_job('$job')");
$node->psql('app', "CALL citadel.wait_for_job($run, '300 s')");
is(run_state($run), 'succeeded', 'runs jobs all the same');

# Privileges.
$node->safe_psql('app', 'SET default_transaction_read_only = off; CREATE ROLE plain LOGIN; CREATE ROLE watcher LOGIN IN ROLE pg_monitor; CREATE ROLE operator LOGIN; GRANT EXECUTE ON FUNCTION citadel.run_job(text) TO operator; GRANT EXECUTE ON PROCEDURE citadel.wait_for_job(bigint, interval) TO operator');
foreach my $sql ("SELECT citadel.run_job('$job')", "SELECT citadel.alter_job('$job')", "CALL citadel.wait_for_job($run)", 'SELECT citadel.adopt_database()',
	'SELECT * FROM citadel.worker_status()', 'SELECT * FROM citadel.job', 'SELECT * FROM citadel.job_run', 'SELECT * FROM citadel.job_run_log', 'INSERT INTO citadel.job_setting (job_name) VALUES (1)')
{
	sql_fails("SET default_transaction_read_only = off; SET ROLE plain; $sql;", qr/42501/, "not for everybody: $sql");
}
is($node->safe_psql('app', "SET ROLE watcher; SELECT count(*) > 0 FROM citadel.job; SELECT count(*) > 0 FROM citadel.job_run; SELECT count(*) > 0 FROM citadel.worker_status()"), "t\nt\nt", 'pg_monitor reads jobs, runs and workers');
sql_fails('SET ROLE watcher; SELECT detail FROM citadel.job_run_log;', qr/42501/, 'but not the details of errors');
$run = $node->safe_psql('app', "SET default_transaction_read_only = off; SET ROLE operator; SELECT citadel.run_job('$job')");
is(($node->psql('app', "SET ROLE operator; CALL citadel.wait_for_job($run, '300 s')"))[0], 0, 'who was granted EXECUTE may run and wait');
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC:|TRAP:/, 'nothing crashed');
$node->stop;
done_testing();
