# Restored and cloned databases are recognised, and configuration survives dump and restore.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use JobsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobs_node('copies');
$node->safe_psql('postgres', 'CREATE DATABASE app');
create_citadel($node, 'app');
ok(eventually(5, sub { scheduler_pid($node, 'app') }), 'a scheduler runs');
my $job = a_job($node, 'app');
$node->safe_psql('app', "SELECT citadel.alter_job('$job', enabled => false, schedule => '3 hours', max_runtime => '2 hours', retry_delay => '7 s')");
is($node->safe_psql('app', 'SELECT citadel.database_is_copy()'), 'f', 'the original is no copy');
is($node->safe_psql('app', 'SELECT citadel.adopt_database()'), 'f', 'and needs no adoption');
my $setting = $node->safe_psql('app', 'SELECT * FROM citadel.job_setting ORDER BY job_name');

# pg_dump | psql, once into an empty database and once over a fresh installation with a setting of its own.
my $dump = $node->basedir . '/app.sql';
$node->command_ok([ 'pg_dump', '--no-sync', '-f', $dump, $node->connstr('app') ], 'pg_dump');
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(restored cloned_from);
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'psql restores it without an error');
is($node->safe_psql('restored', 'SELECT * FROM citadel.job_setting ORDER BY job_name'), $setting, 'with the settings of the jobs');
is($node->safe_psql('restored', 'SELECT citadel.database_is_copy()'), 't', 'the restored database is recognised as a copy');
ok(eventually(5, sub { scheduler_pid($node, 'restored') }), 'a scheduler runs there');

# A clone, with a run that was on in the original.
set_fault($node, "jobs.run.$job:sleep=60000");
my $run = $node->safe_psql('app', "SELECT citadel.run_job('$job')");
ok(eventually(10, sub { $node->safe_psql('app', "SELECT state FROM citadel.job_run WHERE run_id = $run") eq 'running' }), 'a long run is on');
my $waited = seconds(sub { $node->safe_psql('postgres', 'CREATE DATABASE cloned TEMPLATE app') });
cmp_ok($waited, '<', 24, "CREATE DATABASE ... TEMPLATE goes past it ($waited s)");
set_fault($node, '');
is($node->safe_psql('cloned', 'SELECT citadel.database_is_copy()'), 't', 'the clone is recognised as a copy');
ok(eventually(5, sub { scheduler_pid($node, 'cloned') && scheduler_pid($node, 'app') }), 'a scheduler runs in both');
ok(eventually(5, sub { $node->safe_psql('cloned', q{SELECT count(*) FROM citadel.job_run WHERE state IN ('queued', 'running')}) eq '0' }), 'no run of the original stays open in the clone');

# Jobs that remove nothing run; those that do wait for the adoption.
$run = $node->safe_psql('cloned', "SELECT citadel.run_job('$job')");
$node->safe_psql('cloned', "CALL citadel.wait_for_job($run, '300 s')");
is($node->safe_psql('cloned', "SELECT state FROM citadel.job_run WHERE run_id = $run"), 'succeeded', 'a job that removes nothing runs in a clone');
is($node->safe_psql('cloned', 'SELECT count(*) FROM citadel.job WHERE destructive IS DISTINCT FROM suspended'), '0', 'exactly the destructive jobs are suspended');
foreach my $destructive (split /\n/, $node->safe_psql('cloned', 'SELECT job_name FROM citadel.job WHERE destructive'))
{
	my ($status, $out, $err) = $node->psql('cloned', "SELECT citadel.run_job('$destructive')");
	like($err, qr/restored or cloned database.*adopt_database/s, "$destructive is refused until then");
}
is($node->safe_psql('cloned', 'SELECT citadel.adopt_database()'), 't', 'adopting says that it was a copy');
is($node->safe_psql('cloned', 'SELECT citadel.database_is_copy(), count(*) FILTER (WHERE suspended) FROM citadel.job'), 'f|0', 'afterwards it is none, and nothing is suspended');

# Renaming and restarting change nothing.
$node->safe_psql('postgres', 'ALTER DATABASE app RENAME TO app2');
$node->restart;
is($node->safe_psql('app2', 'SELECT citadel.database_is_copy()'), 'f', 'a renamed database is the same one');

# Extension dropped, dump restored over a new one in the same database.
$node->command_ok([ 'pg_dump', '--no-sync', '--clean', '--if-exists', '-f', $dump, $node->connstr('app2') ], 'pg_dump --clean');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('app2') ], 'restored over itself');
is($node->safe_psql('app2', 'SELECT citadel.database_is_copy()'), 'f', 'it is still itself');
is($node->safe_psql('app2', 'SELECT * FROM citadel.job_setting ORDER BY job_name'), $setting, 'with its settings');
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC:|TRAP:/, 'nothing crashed');
$node->stop;
done_testing();
