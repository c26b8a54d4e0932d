# Fast shutdown, restart, and a standby that waits for its promotion.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use JobsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobs_node('primary', init => { allows_streaming => 1 });
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(app other);
create_citadel($node, $_) foreach qw(app other);
my $job = a_job($node, 'app');

# Fast shutdown with idle schedulers, and beside a long run.
my $slowest = 0;
foreach my $round (1 .. 5)
{
	ok(eventually(10, sub { scheduler_pid($node, 'app') && scheduler_pid($node, 'other') }), "round $round: schedulers run after the start");
	my $waited = seconds(sub { $node->stop('fast') });
	$slowest = $waited if $waited > $slowest;
	$node->start;
}
cmp_ok($slowest, '<', 12, "fast shutdown does not wait for the schedulers (slowest $slowest s)");

set_fault($node, "jobs.run.$job:sleep=60000");
my $run = $node->safe_psql('app', "SELECT citadel.run_job('$job')");
ok(eventually(10, sub { $node->safe_psql('app', "SELECT state FROM citadel.job_run WHERE run_id = $run") eq 'running' }), 'a long run is on');
my $session = $node->background_psql('app', on_error_die => 0, on_error_stop => 0);
$session->query_until(qr/started/, "\\echo started\nCALL citadel.wait_for_job($run);\n");
my $waited = seconds(sub { $node->stop('fast') });
cmp_ok($waited, '<', 18, "nor for a run or who waits for it ($waited s)");
$session->{run}->kill_kill(grace => 1);
$node->append_conf('postgresql.conf', "citadel_opt.debug_fault = ''");
unlink($node->data_dir . '/postgresql.auto.conf');
$node->start;
ok(eventually(10, sub { $node->safe_psql('app', "SELECT state || ' ' || sqlstate FROM citadel.job_run WHERE run_id = $run") eq 'failed 57P02' }),
	'after the start the run is recorded as failed');

# Smart and immediate.
$waited = seconds(sub { $node->stop('smart') });
cmp_ok($waited, '<', 18, "smart shutdown does not wait for the workers ($waited s)");
$node->start;
ok(eventually(10, sub { scheduler_pid($node, 'app') }), 'a scheduler after that');
$node->stop('immediate');
$node->start;
ok(eventually(20, sub { scheduler_pid($node, 'app') }), 'and after an immediate shutdown');

# A standby.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
select(undef, undef, undef, 2);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'citadel_opt%'}), '0', 'no worker on a standby');
is($standby->safe_psql('app', 'SELECT count(*) FROM citadel.worker_status()'), '0', 'worker_status() says so');
my ($status, $out, $err) = $standby->psql('app', "SELECT citadel.run_job('$job')");
like($err, qr/read-only/, 'nothing can be asked for there');
$standby->promote;
ok(eventually(5, sub { scheduler_pid($standby, 'app') && scheduler_pid($standby, 'other') }), 'promotion starts the schedulers');
$run = $standby->safe_psql('app', "SELECT citadel.run_job('$job')");
$standby->safe_psql('app', "CALL citadel.wait_for_job($run, '300 s')");
is($standby->safe_psql('app', "SELECT state FROM citadel.job_run WHERE run_id = $run"), 'succeeded', 'and jobs run');
is($standby->safe_psql('app', 'SELECT citadel.database_is_copy()'), 'f', 'a promoted standby is the same database');
foreach my $server ($node, $standby)
{
	unlike(slurp_file($server->logfile), qr/was terminated by signal|PANIC:|TRAP:/, 'nothing crashed on ' . $server->name);
	$server->stop;
}
done_testing();
