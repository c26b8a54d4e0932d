# Launcher and schedulers follow extensions, databases and settings, and are in nobody's way.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use JobsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobs_node('workers', config => "citadel_opt.sample_interval = 1s\n");

ok(eventually(5, sub { worker_pid($node, 'launcher') }), 'the launcher runs');
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(app1 app2 app3 bare);
# (A probe may be under way.)
ok(eventually(10, sub { workers_of($node) eq 'citadel_opt launcher -' }), 'no scheduler where no extension is');

# CREATE EXTENSION is noticed, in several databases.
foreach my $database (qw(app1 app2))
{
	create_citadel($node, $database);
	# Unasked the launcher would look there an hour later.
	ok(eventually(3, sub { scheduler_pid($node, $database) }), "a scheduler runs in $database soon after CREATE EXTENSION");
}
create_citadel($node, 'app3');
ok(eventually(2, sub { scheduler_pid($node, 'app3') }), 'the third database has one within 2 s');
ok(eventually(5, sub { workers_of($node) eq 'citadel_opt launcher -, citadel_opt scheduler app1, citadel_opt scheduler app2, citadel_opt scheduler app3' }),
	'one scheduler each');

# Created through the CASCADE of another extension, and rolled back.
$node->safe_psql('bare', 'BEGIN; SET LOCAL client_min_messages = warning; CREATE EXTENSION citadel_opt CASCADE; ROLLBACK');
usleep_s(0.5);
is(scheduler_pid($node, 'bare'), '', 'a CREATE EXTENSION that was rolled back starts nothing');

# The view of the workers.
is( $node->safe_psql('app1', q{SELECT count(*) FROM citadel.worker_status() WHERE kind = 'scheduler' AND database = 'app2' AND pid IS NOT NULL AND state IN ('idle', 'working')}),
	'1', 'worker_status() shows the scheduler of another database');
is($node->safe_psql('app1', q{SELECT pid = (SELECT pid FROM pg_stat_activity WHERE backend_type = 'citadel_opt launcher') FROM citadel.worker_status() WHERE kind = 'launcher'}),
	't', 'and the launcher');

# DROP EXTENSION: not blocked, noticed, ten times; also inside a transaction that takes its time.
foreach my $round (1 .. 10)
{
	# A lock that nobody gives up fails it.
	$node->safe_psql('app1', "SET lock_timeout = '30s'; DROP EXTENSION citadel_opt");
	ok(eventually(2, sub { !scheduler_pid($node, 'app1') }), "round $round: no scheduler after DROP EXTENSION")
	  if $round == 1 || $round == 10;
	create_citadel($node, 'app1');
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'app1' AND backend_type = 'citadel_opt scheduler'})
	  or die 'no scheduler';
}
pass('DROP EXTENSION beside a scheduler is not blocked');
my $session = $node->background_psql('app1');
$session->query_safe('BEGIN; DROP EXTENSION citadel_opt');
usleep_s(1.5);
is(scheduler_pid($node, 'app1'), '', 'while the drop is not committed, no scheduler comes back');
$session->query_safe('ROLLBACK');
$session->quit;
ok(eventually(2, sub { scheduler_pid($node, 'app1') }), 'after the rollback it does');

# Databases: cloned, renamed, dropped while a scheduler is inside, ten times. Each fails when somebody stays in the
# database for five seconds: that limit is the server's.
my $failed = 0;
sub statement
{
	my ($sql) = @_;
	my ($status, undef, $error) = $node->psql('postgres', $sql);
	return if $status == 0;
	$failed++;
	diag($error);
	return;
}
foreach my $round (1 .. 10)
{
	statement("CREATE DATABASE copy$round TEMPLATE app2");
	eventually(5, sub { scheduler_pid($node, "copy$round") && scheduler_pid($node, 'app2') })
	  or die "no schedulers in round $round";
	statement("ALTER DATABASE copy$round RENAME TO moved$round");
	eventually(5, sub { scheduler_pid($node, "moved$round") }) or die "no scheduler after the rename in round $round";
	statement("DROP DATABASE moved$round");
}
is($failed, 0, 'ten times CREATE DATABASE ... TEMPLATE, ALTER DATABASE RENAME and DROP DATABASE: none failed');
ok(eventually(5, sub { workers_of($node) eq 'citadel_opt launcher -, citadel_opt scheduler app1, citadel_opt scheduler app2, citadel_opt scheduler app3' }),
	'and the schedulers of the others are there');

# Somebody who may not drop a database cannot disturb its scheduler either.
$node->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
my $before = scheduler_pid($node, 'app2');
my ($status) = $node->psql('postgres', 'SET ROLE nobody; DROP DATABASE app2', on_error_stop => 1);
isnt($status, 0, 'a stranger cannot drop the database');
usleep_s(0.3);
is(scheduler_pid($node, 'app2'), $before, 'and its scheduler stays');

# Connections forbidden.
$node->safe_psql('postgres', 'ALTER DATABASE app3 ALLOW_CONNECTIONS false');
ok(eventually(3, sub { !scheduler_pid($node, 'app3') }), 'a database that allows no connections loses its scheduler');
$node->safe_psql('postgres', 'ALTER DATABASE app3 ALLOW_CONNECTIONS true');
ok(eventually(3, sub { scheduler_pid($node, 'app3') }), 'and gets it back');

# Settings, by reload.
$node->safe_psql('postgres', q{ALTER SYSTEM SET citadel_opt.databases = 'app1, "app2"'});
$node->reload;
ok(eventually(3, sub { !scheduler_pid($node, 'app3') }), 'citadel_opt.databases without app3: its scheduler leaves');
ok(scheduler_pid($node, 'app1') && scheduler_pid($node, 'app2'), 'those that are named stay');
$node->safe_psql('postgres', q{ALTER SYSTEM RESET citadel_opt.databases});
$node->reload;
ok(eventually(3, sub { scheduler_pid($node, 'app3') }), 'allowed again, it comes back');

$node->safe_psql('postgres', q{ALTER SYSTEM SET citadel_opt.enabled = off});
$node->reload;
ok($node->poll_query_until('app1', q{SELECT bool_and(state = 'paused') FROM citadel.worker_status() WHERE kind = 'scheduler'}),
	'citadel_opt.enabled = off pauses the schedulers');
my $runs = $node->safe_psql('app1', q{SELECT sum(tick_runs) FROM citadel.worker_status()});
usleep_s(2);
is($node->safe_psql('app1', q{SELECT sum(tick_runs) FROM citadel.worker_status()}), $runs, 'nothing runs meanwhile');
$node->safe_psql('postgres', q{ALTER SYSTEM RESET citadel_opt.enabled});
$node->reload;
ok($node->poll_query_until('app1', q{SELECT bool_and(state IN ('idle', 'working')) FROM citadel.worker_status() WHERE kind = 'scheduler'}),
	'and on again wakes them');

# A tick that fails is counted and stops nothing.
set_fault($node, 'jobs.tick:error');
ok($node->poll_query_until('app1', q{SELECT tick_errors > 5 AND last_error LIKE '%fault point%' FROM citadel.worker_status() WHERE kind = 'scheduler' AND database = 'app1'}),
	'an error of a tick is counted and shown');
set_fault($node, '');
my $errors = $node->safe_psql('app1', q{SELECT tick_errors FROM citadel.worker_status() WHERE kind = 'scheduler' AND database = 'app1'});
ok($node->poll_query_until('app1', qq{SELECT tick_runs > tick_errors + 1 FROM citadel.worker_status() WHERE kind = 'scheduler' AND database = 'app1'}),
	'and the scheduler goes on');
# Each worker says each of them once a minute.
my %said;
$said{$_}++ foreach slurp_file($node->logfile) =~ /(\[\d+\] .*periodic task .*fault point.*)/g;
cmp_ok(scalar(keys %said), '>', 0, 'the log says it');
is(join("\n", grep { $said{$_} > 2 } sort keys %said), '', 'and is not flooded');

# Who changes a setting and then asks for something finds it heeded, also when the scheduler was busy all the time.
set_fault($node, 'jobs.tick:sleep=2000');
$node->poll_query_until('app1', q{SELECT state = 'working' FROM citadel.worker_status() WHERE kind = 'scheduler' AND database = 'app1'}) or die 'the scheduler is not busy';
$node->safe_psql('postgres', q{ALTER SYSTEM SET citadel_opt.debug_clock_offset = '1h'});
$node->reload;
$node->safe_psql('app1', q{SELECT citadel.collect('5 minutes')});
is($node->safe_psql('app1', q{SELECT last_at > now() + interval '50 minutes' FROM citadel.snapshot_state WHERE source = 'statements'}), 't', 'a setting is heeded by what is asked for after it');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET citadel_opt.debug_clock_offset');
set_fault($node, '');

# pg_terminate_backend and pg_cancel_backend do no lasting harm.
foreach my $signal (qw(cancel terminate))
{
	my $launcher = worker_pid($node, 'launcher');
	my $scheduler = scheduler_pid($node, 'app1');
	$node->safe_psql('postgres', "SELECT pg_${signal}_backend($launcher), pg_${signal}_backend($scheduler)");
	ok(eventually(15, sub {
			my ($l, $s) = (worker_pid($node, 'launcher'), scheduler_pid($node, 'app1'));
			$l && $s && ($signal eq 'cancel' || ($l != $launcher && $s != $scheduler)) }),
		"pg_${signal}_backend on launcher and scheduler: both are there afterwards");
}
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC:|TRAP:/, 'nothing crashed');
$node->stop;
done_testing();

sub usleep_s { select(undef, undef, undef, $_[0]); return; }
