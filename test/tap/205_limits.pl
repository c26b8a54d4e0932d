# Too few background workers, a broken start, and long lists of databases.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use JobsTest;
use PostgreSQL::Test::Utils;
use Test::More;

# The logical replication launcher and ours take two of the four; two are left for three schedulers and a job.
my $node = jobs_node('limits', config => "max_worker_processes = 4\n");
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(a1 a2 a3);
create_citadel($node, $_) foreach qw(a1 a2 a3);
ok($node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler'}), 'as many schedulers as there are workers');
$node->wait_for_log(qr/no background worker is free for the scheduler of database "a\d"/);
ok(1, 'the log says which database has none');
like($node->safe_psql('a1', q{SELECT last_error FROM citadel.worker_status() WHERE kind = 'launcher'}), qr/no background worker is free/, 'and worker_status() as well');
my ($with) = split /\n/, $node->safe_psql('postgres', q{SELECT datname FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' ORDER BY 1});
my ($without) = split /\n/, $node->safe_psql('postgres', "SELECT datname FROM pg_database WHERE datname ~ '^a[1-3]\$' AND datname NOT IN (
	SELECT datname FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler')");
like($node->safe_psql($without, q{SELECT citadel.health() ->> 'reasons'}), qr/no scheduler runs in database $without: see .*max_worker_processes/, 'so does health() there');
my $job = a_job($node, $with);
my $run = $node->safe_psql($with, "SELECT citadel.run_job('$job')");
$node->wait_for_log(qr/no background worker is free for job "$job"/);
is($node->safe_psql($with, "SELECT state FROM citadel.job_run WHERE run_id = $run"), 'queued', 'a run without a worker waits');
my ($other) = grep { $_ ne $with } split /\n/, $node->safe_psql('postgres', q{SELECT datname FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' ORDER BY 1});
$node->safe_psql('postgres', "ALTER SYSTEM SET citadel_opt.databases = '$with'");
$node->reload;
$node->safe_psql($with, "CALL citadel.wait_for_job($run, '300 s')");
is($node->safe_psql($with, "SELECT state FROM citadel.job_run WHERE run_id = $run"), 'succeeded', 'and runs when one is free');
my ($status, $out, $err) = $node->psql($other, "SELECT citadel.run_job('$job')");
like($err, qr/no workers run in database "$other"/, 'where no workers are allowed, nothing can be asked for');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET citadel_opt.databases');
$node->reload;
my $shouted = () = slurp_file($node->logfile) =~ /no background worker is free/g;
cmp_ok($shouted, '<', 12, "the log is not flooded ($shouted lines)");
$node->stop;

# One worker process at all: the server starts and works.
$node->append_conf('postgresql.conf', 'max_worker_processes = 1');
$node->start;
is($node->safe_psql('a1', 'SELECT count(*) FROM citadel.job'), $node->safe_psql('a1', 'SELECT count(*) FROM citadel.job_definitions()'), 'with max_worker_processes = 1 the server starts and functions work');
$node->stop;
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->start;
is($node->safe_psql('a1', 'SELECT count(*) FROM citadel.worker_status()'), '0', 'also with none');
$node->stop;

# Not preloaded: what needs the workers says so, the rest works.
$node->append_conf('postgresql.conf', "max_worker_processes = 8\nshared_preload_libraries = ''");
$node->start;
foreach my $sql ("SELECT citadel.run_job('$job')", 'CALL citadel.wait_for_job(1)')
{
	($status, $out, $err) = $node->psql('a1', $sql);
	like($err, qr/needs citadel_opt to be loaded when the server starts.*shared_preload_libraries/s, "not preloaded: $sql");
}
is($node->safe_psql('a1', q{SELECT count(*) FROM citadel.worker_status()}), '0', 'no workers to show');
is($node->safe_psql('a1', q{SELECT count(*) > 0 FROM citadel.job_run}), $with eq 'a1' ? 't' : 'f', 'the history of runs is readable');
$node->safe_psql('a1', 'DROP EXTENSION citadel_opt');
create_citadel($node, 'a1');
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC:|TRAP:/, 'nothing crashed');
$node->stop;
done_testing();
