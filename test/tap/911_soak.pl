# Memory over a long time: the tasks' mix runs, all jobs run every few seconds, and a session calls our reports again and
# again. Private memory and memory contexts of the launcher, the scheduler, that session and the application's backends, and
# shared memory, must stay where they are after the first quarter. The reports have more to read all the time, so the private
# memory of their session is compared with that of a fresh one that calls them on the same data. CITADEL_OPT_LONG: 30 minutes; CITADEL_OPT_SOAK_MINUTES
# says otherwise. The short form is 910_memory.pl.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $minutes = $ENV{CITADEL_OPT_SOAK_MINUTES} // ($ENV{CITADEL_OPT_LONG} ? 30 : 0);
plan skip_all => 'only in the long form; 910_memory.pl is the short one' unless $minutes;

my ($node) = lifecycle_node('soak', config => <<'END');
fsync = off
dynamic_shared_memory_type = mmap
log_statement = none
jit = off
citadel_opt.sample_interval = 1s
citadel_opt.slow_query_threshold = 5ms
citadel_opt.alert_interval = 5s
citadel_opt.advise_interval = 20s
END
sub sql { return $node->safe_psql('app', $_[0]); }
my $tasks = 5000;
sql(qq{SET client_min_messages = warning;
	CREATE EXTENSION citadel_tasks;
	SELECT citadel_tasks.setup_partitions(6, 12);
	SELECT citadel_tasks.generate_tasks($tasks, 1, now(), 5);
	SELECT citadel.alter_job('lifecycle', enabled => true, schedule => '10 s'), citadel.alter_job('maintain', enabled => true, schedule => '15 s')});
old_table($node, 'schema', 'archive') for 1 .. 3;
my $load = IPC::Run::start([ 'env', 'PGHOST=' . $node->host, 'PGPORT=' . $node->port, 'PGUSER=postgres', 'PGAPPNAME=load', 'bench/tasks/run', 'app', $tasks,
		'--client=4', '--protocol=prepared', '--rate=100', '--time=' . int($minutes * 60 + 30) ], '<', \undef, '>', \my $load_out, '2>', \my $load_err);
my $session = $node->background_psql('app', on_error_stop => 1);
$session->set_query_timer_restart();
my @reports = ('get_table_statistics()', 'get_index_statistics()', "analyze_slow_queries('1 hour')", 'query_performance', 'table_performance', 'index_usage', 'health()', 'metrics()',
	'job', 'job_run', 'advisor_run', 'preview_lifecycle()', 'partition_runway', 'index_recommendation', 'archive', 'verify_audit_log()', 'table_history()',
	q{what_if('SELECT * FROM citadel_tasks.hero_tasks WHERE assignee_id = 3', ARRAY['CREATE INDEX ON citadel_tasks.hero_tasks (assignee_id)'])});

sub private_kb { my ($pid) = @_; my $status = eval { slurp_file("/proc/$pid/status") } // ''; return $status =~ /^RssAnon:\s+(\d+)/m ? $1 : undef; }
# Memory contexts of another process, in kB: it says them in the log when asked to.
sub contexts_kb
{
	my ($pid) = @_;
	my $from = -s $node->logfile;
	sql("SELECT pg_log_backend_memory_contexts($pid)");
	my $total;
	eventually(10, sub { ($total) = slurp_file($node->logfile, $from) =~ /\[$pid\].*Grand total: (\d+) bytes/; return defined $total; });
	return defined $total ? int($total / 1024) : undef;
}

eventually(30, sub { $node->safe_psql('app', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'load'}) eq '4' }) or die "no load: $load_err";
my %pid = (launcher => worker_pid($node, 'launcher'), scheduler => scheduler_pid($node, 'app'), reports => $session->query_safe('SELECT pg_backend_pid()'));
@pid{ map { "application $_" } 1 .. 4 } = split /\n/, sql(q{SELECT pid FROM pg_stat_activity WHERE application_name = 'load'});

my $all_reports = join('; ', map { "SELECT count(*) FROM citadel.$_" } @reports);
my (%private, %contexts, @shared, $calls);
my ($start, $end) = (time, time + 60 * $minutes);
while (time < $end)
{
	for (1 .. 5) { $session->query_safe($all_reports); $calls += @reports; sleep(0.2); }
	foreach my $who (sort keys %pid)
	{
		push @{ $private{$who} }, private_kb($pid{$who}) // die "$who is gone";
		push @{ $contexts{$who} }, contexts_kb($pid{$who}) // next;
	}
	my $folder = $node->data_dir . '/pg_dynshmem';
	push @shared, sql('SELECT sum(allocated_size) FROM pg_shmem_allocations') . ' ' . scalar(grep { -f } glob("$folder/*"));
}
my $ran = (time - $start) / 60;
my $fresh = $node->background_psql('app', on_error_stop => 1);
$fresh->set_query_timer_restart();
my $fresh_pid = $fresh->query_safe('SELECT pg_backend_pid()');
$fresh->query_safe($all_reports) for 1 .. 20;
my $fresh_kb = private_kb($fresh_pid);
$session->query_safe($all_reports);
my $worn_kb = private_kb($pid{reports});
$fresh->quit;
$load->kill_kill(grace => 1);
note sprintf('%.1f minutes, %d calls of reports, %s jobs, %s statements counted', $ran, $calls, sql('SELECT count(*) FROM citadel.job_run'), sql('SELECT sum(calls) FROM citadel.statement_minute'));

# The median of the second quarter against that of the last: a look may fall into the middle of a statement that sorts.
sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[ @sorted / 2 ]; }
sub quarters { my (@values) = @_; my $n = int(@values / 4); return (median(@values[ $n .. 2 * $n - 1 ]), median(@values[ 3 * $n .. $#values ])); }
foreach my $who (sort keys %pid)
{
	my ($early, $late) = quarters(@{ $private{$who} });
	cmp_ok($late - $early, '<=', 2048, "$who: private memory, $early kB, later $late kB") if $who ne 'reports';
	($early, $late) = quarters(@{ $contexts{$who} });
	cmp_ok($late - $early, '<=', 512, "$who: memory contexts, $early kB, later $late kB");
}
cmp_ok($worn_kb - $fresh_kb, '<=', 4096, "reports: private memory, $worn_kb kB after $calls calls, $fresh_kb kB in a fresh session");
is((split ' ', $shared[0])[0], (split ' ', $shared[-1])[0], 'shared memory is as large as before');
my ($early, $late) = quarters(map { (split)[1] } @shared);
cmp_ok($late, '<=', $early + 1, "and has as many dynamic segments: $early, later $late");
is(sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler'}), $pid{scheduler}, 'the scheduler is the same process');
is(sql(q{SELECT count(*) FROM citadel.job_run WHERE state = 'failed'}), '0', 'no job failed') or diag(sql(q{SELECT job_name, message FROM citadel.job_run WHERE state = 'failed' LIMIT 5}));
$session->quit;
$node->stop('fast');
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC:|TRAP:/, 'nothing crashed');
done_testing();
