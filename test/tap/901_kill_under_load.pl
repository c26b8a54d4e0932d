# kill -9 of a backend, the scheduler, the launcher, a job worker and the postmaster in turn, while an application works, an
# advise run plans and a lifecycle run archives, at a point drawn by lot. After each: the server recovers, our workers are
# back, no archived row is lost or there twice, jobs go on, statements are captured, no shared memory is left behind.
# One round of five kills; CITADEL_OPT_LONG: 20 rounds, 100 kills. CITADEL_OPT_KILL_ROUNDS and CITADEL_OPT_SEED say otherwise.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest ();
use IPC::Run;
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = $ENV{CITADEL_OPT_KILL_ROUNDS} // ($ENV{CITADEL_OPT_LONG} ? 20 : 1);
my $seed = $ENV{CITADEL_OPT_SEED} // ($ENV{CITADEL_OPT_LONG} ? time : 1);
srand($seed);
note "$rounds rounds, seed $seed";

# With mmap each segment of dynamic shared memory is a file of this server alone, and can be counted.
my ($node) = lifecycle_node('kill_load', config => <<'END');
fsync = off
dynamic_shared_memory_type = mmap
autovacuum = off
log_statement = none
citadel_opt.sample_interval = 1s
citadel_opt.slow_query_threshold = 50ms
citadel_opt.lifecycle_lock_patience = 5
END
sub sql { return $node->safe_psql('app', $_[0]); }
sub ask { my ($status, $out) = $node->psql('app', $_[0]); return $status == 0 ? $out : ''; }

my $tasks = 2000;
sql(qq{SET client_min_messages = warning;
	CREATE EXTENSION citadel_tasks;
	SELECT citadel_tasks.setup_partitions(6, 12);
	SELECT citadel_tasks.generate_tasks($tasks, 1, now(), 5);
	CREATE TABLE marked (id int);
	SELECT citadel.alter_job('advise', enabled => false);
	SET ROLE owner;
	CREATE TABLE app.journal (id int, at timestamptz NOT NULL, v text) PARTITION BY RANGE (at);
	CREATE INDEX ON app.journal (id);
	SELECT citadel.create_lifecycle_policy('app.journal', 'at', premake => 1, retain => '12 months', quarantine => '0')});
my @points = qw(lifecycle_ladder lifecycle_detach_start lifecycle_detach_concurrent lifecycle_detached lifecycle_close_start
	lifecycle_close lifecycle_closed lifecycle_archive_start lifecycle_archive_begin lifecycle_copying lifecycle_copy lifecycle_copied
	lifecycle_verify_start lifecycle_verify lifecycle_verified archive_begun archive_schema_hashed archive_schema_moved);

# The application: the tasks' mix from four connections, until it is stopped or its connections die.
my ($load, $load_out, $load_err);
sub start_load
{
	($load_out, $load_err) = ('', '');
	$load = IPC::Run::start([ 'env', 'PGHOST=' . $node->host, 'PGPORT=' . $node->port, 'PGUSER=postgres', 'PGAPPNAME=load', 'bench/tasks/run', 'app', $tasks, '--client=4', '--time=3600', '--rate=100', '--random-seed=1' ],
		'<', \undef, '>', \$load_out, '2>', \$load_err);
	eventually(30, sub { ask(q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'load'}) eq '4' }) or die "no load: $load_err";
	return;
}
sub end_load { $load->kill_kill(grace => 1); eval { $load->finish }; return; }

# One more period that has expired, and what all of them hold.
my ($periods, $rows) = (0, 0);
sub expire_one
{
	my $from = sprintf('%d-%02d-01+00', 1900 + int($periods / 12), $periods % 12 + 1);
	sql(qq{SET ROLE owner;
		CREATE TABLE app.journal_$periods PARTITION OF app.journal FOR VALUES FROM ('$from') TO ('$from'::timestamptz + interval '1 month');
		INSERT INTO app.journal SELECT $rows + i, '$from'::timestamptz + i * interval '1 minute', 'row ' || i FROM generate_series(1, 300) i});
	$periods++;
	$rows += 300;
	return;
}

sub crash_count { return CitadelTest::crashes($node); }
sub segments { my $folder = $node->data_dir . '/pg_dynshmem'; opendir(my $open, $folder) or die; my @files = grep { !/^\./ } readdir $open; return scalar(@files); }
sub postmaster { return (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0]; }
# System V segments that a process made.
sub owned_segments { my ($pid) = @_; return scalar(grep { (split)[4] eq $pid } split /\n/, slurp_file('/proc/sysvipc/shm')); }
sub captured { return ask(q{SELECT count(*) FROM citadel.sample JOIN citadel.statement USING (query_id, user_id) WHERE query LIKE 'SELECT pg_sleep(%FROM marked'}) || 0; }

my %victim = (
	backend => sub { return eventually(30, sub { ask(q{SELECT pid FROM pg_stat_activity WHERE application_name = 'load' ORDER BY random() LIMIT 1}) }) },
	scheduler => sub { return scheduler_pid($node, 'app') },
	launcher => sub { return worker_pid($node, 'launcher') },
	job => sub { return eventually(30, sub { ask(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'citadel_opt job' ORDER BY random() LIMIT 1}) }) },
	postmaster => \&postmaster,
);

start_load();
# The control segment, and those of the server's own statistics.
my $idle_segments = 3;
my (%killed, @former, @wrong);
sub check { my ($fine, $what) = @_; push(@wrong, $what), diag($what) unless $fine; return; }
foreach my $round (1 .. $rounds)
{
	foreach my $kind (qw(backend scheduler launcher job postmaster))
	{
		my $where = "round $round, $kind";
		expire_one();
		my $point = $points[ rand @points ];
		# Long enough for the slowest machine to find the worker there.
		set_fault($node, "$point:sleep=600000");
		eventually(60, sub { ask(q{SELECT citadel.run_job('lifecycle'), citadel.run_job('advise')}) ne '' }) or die "$where: no job can be asked for";
		# The lifecycle run is somewhere before or at its point.
		eventually(30, sub { ask(q{SELECT count(*) FROM citadel.job_run WHERE state = 'running' AND job_name = 'lifecycle'}) eq '1' });
		sleep(rand(0.3));
		my ($crashes, $old) = (crash_count(), postmaster());
		# One that ends meanwhile was another's turn.
		check(eventually(30, sub { my $pid = $victim{$kind}->(); $pid && kill('KILL', $pid) }), "$where: nobody to kill");
		$killed{$kind}++;
		if ($kind eq 'postmaster')
		{
			push @former, $old;
			# Its children must go by themselves: a new server refuses to start beside them.
			check(eventually(60, sub { $node->{_pid} = undef; $node->start(fail_ok => 1) }), "$where: the server does not start again");
		}
		else
		{
			check(eventually(60, sub { crash_count() > $crashes }), "$where: no crash");
		}
		end_load();
		check(eventually(60, sub { ask('SELECT 1') eq '1' }), "$where: the server does not recover");
		set_fault($node, '');
		check(eventually(60, sub { worker_pid($node, 'launcher') && scheduler_pid($node, 'app') }), "$where: our workers are not back");
		start_load();
		# Jobs go on where they were.
		my ($status, $out, $err);
		eventually(60, sub { ($status, $out, $err) = $node->psql('app', q{CALL citadel.run_lifecycle('app.journal')}); return $status == 0; });
		check($status == 0, "$where: lifecycle: $err");
		my $all = archived($node, 'app.journal');
		check($all eq "$rows|$rows", "$where: $all of $rows rows are in the archive");
		check(live($node, 'app.journal') eq '0|0', "$where: rows are left in the table");
		my $run = sql(q{SELECT citadel.run_job('advise')});
		($status, $out, $err) = $node->psql('app', "CALL citadel.wait_for_job($run)");
		check($status == 0, "$where: advise: $err");
		my $samples = captured();
		check(eventually(20, sub { ask('SELECT pg_sleep(0.06), count(*) FROM marked'); captured() > $samples }), "$where: statements are not captured");
	}
	note "round $round: $rows rows in the archive, once";
}
end_load();
is($killed{$_}, $rounds, "$_: killed $rounds times") foreach qw(backend scheduler launcher job postmaster);
is(join("\n", @wrong), '', 'after each kill all goes on');

is(archived($node, 'app.journal'), "$rows|$rows", "all $rows rows of $periods periods are in the archive, once");
ok(eventually(60, sub { ask(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('citadel_opt job', 'parallel worker')}) eq '0' }), 'no worker is left');
ok(eventually(20, sub { segments() <= $idle_segments }), 'no segment of dynamic shared memory is left') or diag(segments());
is(join(', ', grep { owned_segments($_) } @former), '', 'nor a System V segment of a postmaster that was killed');
is(sql(q{SELECT count(*) FROM citadel.job_run WHERE state = 'running'}), '0', 'no run is left running');
is(sql(q{SELECT count(*) FROM pg_index WHERE NOT indisvalid}), '0', 'no index is left invalid');
is(sql('SELECT first_broken IS NULL FROM citadel.verify_audit_log()'), 't', 'the audit chain is whole');
my $log = slurp_file($node->logfile);
is(scalar(() = $log =~ /was terminated by signal 9/g), 4 * $rounds, 'nobody died but those we killed');
unlike($log, qr/PANIC:|TRAP:|terminated by signal (?!9)/, 'no panic, no other signal');
$node->stop;
done_testing();
