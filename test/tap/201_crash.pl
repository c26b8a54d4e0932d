# kill -9 of any of our processes, or of a backend: the server recovers, the workers come back, runs are accounted for.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use JobsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobs_node('crash', config => "restart_after_crash = on\n");
$node->safe_psql('postgres', 'CREATE DATABASE app');
create_citadel($node, 'app');
ok(eventually(5, sub { scheduler_pid($node, 'app') }), 'a scheduler runs');
my $job = a_job($node, 'app');

# Kills one process with -9 and waits until the server has recovered and both workers are others than before.
sub kill_and_recover
{
	my ($pid) = @_;
	my ($launcher, $scheduler) = (worker_pid($node, 'launcher'), scheduler_pid($node, 'app'));
	kill 'KILL', $pid or die "cannot kill $pid";
	return eventually(60, sub {
		my ($l, $s) = (worker_pid($node, 'launcher'), scheduler_pid($node, 'app'));
		return $l && $s && $l != $launcher && $s != $scheduler;
	});
}

foreach my $kind (qw(launcher scheduler backend))
{
	my $recovered = 0;
	foreach my $round (1 .. 3)
	{
		my $pid =
			$kind eq 'launcher' ? worker_pid($node, 'launcher')
		  : $kind eq 'scheduler' ? scheduler_pid($node, 'app')
		  : undef;
		my $session;
		if (!defined $pid)
		{
			$session = $node->background_psql('app', on_error_die => 0);
			$pid = $session->query('SELECT pg_backend_pid()');
		}
		$recovered++ if kill_and_recover($pid);
		$session->{run}->finish if $session;
	}
	is($recovered, 3, "$kind killed three times: the server recovers and the workers are back");
}

# A job worker, in the middle of its run.
my $accounted = 0;
foreach my $round (1 .. 3)
{
	set_fault($node, "jobs.run.$job:sleep=60000");
	my $run = $node->safe_psql('app', "SELECT citadel.run_job('$job')");
	my $pid = eventually(10, sub { $node->safe_psql('app', "SELECT pid FROM citadel.job_run WHERE run_id = $run AND state = 'running'") });
	ok($pid, "round $round: the run is on");
	set_fault($node, '');
	kill_and_recover($pid) or fail('the server recovered');
	$accounted++ if eventually(10, sub { $node->safe_psql('app', "SELECT state || ' ' || sqlstate FROM citadel.job_run WHERE run_id = $run") eq 'failed 57P02' });
}
is($accounted, 3, 'job worker killed three times: each run is recorded as failed with 57P02');
is($node->safe_psql('app', "SELECT failures_in_a_row FROM citadel.job WHERE job_name = '$job'"), '3', 'the failures are counted');
is($node->safe_psql('app', "SELECT next_run - last_finish BETWEEN interval '3 minutes' AND interval '5 minutes' FROM citadel.job WHERE job_name = '$job'"),
	't', 'and the job backs off');

# The job that takes the server down does so once, not in a loop: its start was committed before.
set_fault($node, "jobs.run.$job:crash");
my $crashing = $node->safe_psql('app', "SELECT citadel.run_job('$job')");
eventually(60, sub { ($node->psql('app', "SELECT 1 FROM citadel.job_run WHERE run_id = $crashing AND state = 'failed'"))[1] })
  or fail('the crashing run is recorded');
my $crashes = () = slurp_file($node->logfile) =~ /was terminated by signal 9/g;
select(undef, undef, undef, 3);
is(scalar(() = slurp_file($node->logfile) =~ /was terminated by signal 9/g), $crashes, 'a job that crashes is not started again at once');
set_fault($node, '');

# A worker that ends before the run begins is tried again, then given up.
set_fault($node, 'jobs.worker.started:error');
my $run = $node->safe_psql('app', "SELECT citadel.run_job('$job')");
ok( eventually(30, sub { $node->safe_psql('app', "SELECT state FROM citadel.job_run WHERE run_id = $run") eq 'failed' }),
	'a run whose worker failed outside the job is failed too');
set_fault($node, '');

# All works again.
my $good = $node->safe_psql('app', "SELECT citadel.run_job('$job')");
$node->safe_psql('app', "CALL citadel.wait_for_job($good, '300 s')");
is($node->safe_psql('app', "SELECT last_state || ' ' || failures_in_a_row FROM citadel.job WHERE job_name = '$job'"),
	'succeeded 0', 'the next run succeeds and ends the backoff');

# The launcher alone ends (no crash): schedulers go on, and it is back within seconds.
my ($launcher, $scheduler) = (worker_pid($node, 'launcher'), scheduler_pid($node, 'app'));
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
ok(eventually(10, sub { my $l = worker_pid($node, 'launcher'); $l && $l != $launcher }), 'the launcher is back within 10 s');
is(scheduler_pid($node, 'app'), $scheduler, 'the scheduler did not notice');
$node->safe_psql('app', 'DROP EXTENSION citadel_opt');
ok(eventually(3, sub { !scheduler_pid($node, 'app') }), 'the new launcher looks after the old scheduler');
create_citadel($node, 'app');
ok(eventually(3, sub { scheduler_pid($node, 'app') }), 'and starts another');
$node->stop;
done_testing();
