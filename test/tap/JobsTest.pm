# What the tests of the workers share.
package JobsTest;

use strict;
use warnings FATAL => 'all';

use BrokenPipe;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(jobs_node create_citadel eventually scheduler_pid worker_pid seconds a_job set_fault workers_of);

# A started server with the library preloaded; %options: config (lines), start (default 1).
sub jobs_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(%{ $options{init} // {} });
	$node->append_conf('postgresql.conf', <<'END');
shared_preload_libraries = 'pg_stat_statements, citadel_opt'
max_worker_processes = 16
citadel_opt.max_overhead = 0
log_line_prefix = '%m [%p] %b '
END
	$node->append_conf('postgresql.conf', $options{config}) if defined $options{config};
	$node->start if $options{start} // 1;
	return $node;
}

sub create_citadel
{
	my ($node, $database) = @_;
	$node->safe_psql($database, 'SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE');
	return;
}

# Asks until the condition holds or so many seconds have passed, as a quiet machine counts them: a busy one gets six times
# as long. The result of the last call.
sub eventually
{
	my ($limit, $condition) = @_;
	my $end = time() + 6 * $limit;
	while (1)
	{
		# A psql that finds no server is gone before it was told anything, which the harness takes for an error of its own.
		my $result = eval { $condition->() };
		my $error = $@;
		return $result if $result;
		if (time() > $end)
		{
			diag($error) if $error;
			return $result;
		}
		usleep(50_000);
	}
}

# Pid of a worker of this kind; '' when there is none.
sub worker_pid
{
	my ($node, $kind, $database) = @_;
	my $where = defined $database ? "AND datname = '$database'" : '';
	my ($status, $out) = $node->psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'citadel_opt $kind' $where ORDER BY pid LIMIT 1");
	return $status == 0 ? $out : '';
}

sub scheduler_pid
{
	my ($node, $database) = @_;
	return worker_pid($node, 'scheduler', $database);
}

# All workers of ours, as the server sees them.
sub workers_of
{
	my ($node) = @_;
	return $node->safe_psql('postgres',
		q{SELECT string_agg(backend_type || ' ' || coalesce(datname, '-'), ', ' ORDER BY backend_type, datname)
		  FROM pg_stat_activity WHERE backend_type LIKE 'citadel_opt %'});
}

sub seconds
{
	my ($action) = @_;
	my $start = time();
	$action->();
	return time() - $start;
}

# The name of a job, one that removes nothing if there is one.
sub a_job
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, 'SELECT job_name FROM citadel.job ORDER BY destructive, job_name LIMIT 1');
}

# Arms a fault point; '' disarms.
sub set_fault
{
	my ($node, $fault) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET citadel_opt.debug_fault = '$fault'");
	$node->reload;
	# The reload reaches the postmaster, whose new workers inherit it, by a signal.
	$node->poll_query_until('postgres', "SELECT current_setting('citadel_opt.debug_fault') = '$fault'")
	  or die 'the fault point was not armed';
	return;
}

1;
