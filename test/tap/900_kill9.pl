# Ten times in a row, kill -9 of each of our processes and of a backend that is being captured: the server recovers and
# goes on capturing, what was stored stays, and nothing is stored twice.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rounds = 10;
my $db = 'citadel_ai';
my $node = citadel_node('kill9', config => <<'END');
restart_after_crash = on
fsync = off
citadel_opt.sample_interval = 1s
citadel_opt.slow_query_threshold = 50ms
END
# The name of a table is the mark of a statement: it makes its query id.
$node->safe_psql($db, "CREATE TABLE $_ (id int)") foreach qw(before_all after_launcher after_scheduler after_job after_backend);

# The result of a query, '' while the server is recovering.
sub ask
{
	my ($sql) = @_;
	my ($status, $out) = $node->psql($db, $sql, on_error_stop => 1, timeout => 120);
	return defined $status && $status == 0 ? $out : '';
}

sub eventually
{
	my ($limit, $condition) = @_;
	my $end = time() + $limit;
	while (1)
	{
		my $result = $condition->();
		return $result if $result || time() > $end;
		sleep(0.1);
	}
}

sub pid_of
{
	my ($type) = @_;
	return eventually(60, sub { ask("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'citadel_opt $type%' AND (datname = '$db' OR datname IS NULL) LIMIT 1") });
}

sub stored
{
	my ($mark) = @_;
	return ask("SELECT count(*) FROM citadel.sample JOIN citadel.statement USING (query_id, user_id) WHERE query LIKE 'SELECT pg_sleep(%count(*) FROM $mark'");
}

# Runs one slow statement with a mark of its own, once there is somebody to read it, and waits until it is in the history.
sub captured
{
	my ($mark) = @_;
	eventually(60, sub { ask(q{SELECT 1 FROM citadel.collect('10 s')}) eq '1' });
	ask("SELECT pg_sleep(0.06), count(*) FROM $mark");
	return eventually(30, sub { stored($mark) eq '1' });
}

# What a kind's victim is in this round.
my $job = ask('SELECT job_name FROM citadel.job ORDER BY destructive, job_name LIMIT 1');
my %victim = (
	launcher => sub { return pid_of('launcher') },
	scheduler => sub { return pid_of('scheduler') },
	job => sub {
		ask("ALTER SYSTEM SET citadel_opt.debug_fault = 'jobs.run.$job:sleep=60000'");
		ask('SELECT pg_reload_conf()');
		eventually(60, sub { ask("SELECT citadel.run_job('$job')") ne '' });
		# (Of the round before, a row may still say that it runs.)
		my $pid = eventually(30, sub { ask("SELECT pid FROM citadel.job_run JOIN pg_stat_activity USING (pid) WHERE job_run.state = 'running' AND backend_type = 'citadel_opt job' ORDER BY run_id DESC LIMIT 1") });
		ask('ALTER SYSTEM RESET citadel_opt.debug_fault');
		ask('SELECT pg_reload_conf()');
		return $pid;
	},
	backend => sub {
		my ($session) = @_;
		$$session = $node->background_psql($db, on_error_die => 0);
		my $pid = $$session->query('SELECT pg_backend_pid()');
		# In the middle of a statement that has run past its threshold.
		$$session->query_until(qr/begun/, "\\echo begun\nSELECT pg_sleep(60) AS doomed;\n");
		eventually(10, sub { ask("SELECT now() - query_start > interval '100 ms' FROM pg_stat_activity WHERE pid = $pid AND query LIKE '%doomed%'") eq 't' });
		return $pid;
	},
);

ok(captured('before_all'), 'a slow statement is captured');
my $number = 0;
foreach my $kind (qw(launcher scheduler job backend))
{
	my ($killed, $recovered, $still_there) = (0, 0, 0);
	foreach my $round (1 .. $rounds)
	{
		my $session;
		my $pid = $victim{$kind}->(\$session);
		my $crashes = crashes($node);
		$killed++ if $pid && kill('KILL', $pid);
		eventually(60, sub { crashes($node) > $crashes });
		eventually(60, sub { ask('SELECT 1') eq '1' });
		$session->{run}->finish if $session;
		# Capture needs the scheduler of this database.
		$recovered++ if pid_of('launcher') && pid_of('scheduler');
	}
	is($killed, $rounds, "$kind: killed $rounds times in a row");
	is($recovered, $rounds, "$kind: each time the server recovered, and our workers with it");
	ok(captured("after_$kind"), "$kind: slow statements are captured again");
	is(stored('before_all'), '1', "$kind: what was stored is there, once");
}
is(ask("SELECT count(*) FROM citadel.job_run WHERE state = 'running'"), '0', 'no job run is left running');
like(ask('SELECT citadel.preloaded()'), qr/t/, 'the extension answers');

# The log names our victims and nobody else died.
my $log = slurp_file($node->logfile);
my $signals = () = $log =~ /was terminated by signal 9/g;
is($signals, 4 * $rounds, 'nobody died but those we killed');
unlike($log, qr/PANIC:|TRAP:|terminated by signal (?!9)/, 'no panic, no other signal');
$node->stop('fast');
done_testing();
