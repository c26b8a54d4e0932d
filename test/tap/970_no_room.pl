# The server runs out of lock space, and out of connections. Our workers need no connection of the application's; what
# cannot be done says why, in job_run and health(); the application notices nothing of us; and all goes on when there is
# room again, with what was counted meanwhile. Out of worker processes: 205_limits.pl; disk full: 380 and 641.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node) = lifecycle_node('no_room', config => <<'END');
max_connections = 8
superuser_reserved_connections = 2
max_locks_per_transaction = 10
autovacuum = off
citadel_opt.sample_interval = 1s
citadel_opt.statement_flush_interval = '100ms'
END
# One session that is in before there is no room.
my $admin = $node->background_psql('app', on_error_stop => 0);
$admin->set_query_timer_restart();
sub ask { my $out = $admin->query($_[0]); $admin->{stderr} = ''; return $out; }
ask('CREATE TABLE public.item AS SELECT g AS id FROM generate_series(1, 100) g; GRANT SELECT ON public.item TO PUBLIC');
sub counted { ask(q{SELECT citadel.collect('5 s')}); return ask(q{SELECT coalesce(sum(calls), 0) FROM citadel.statement_minute JOIN citadel.statement USING (query_id, user_id) WHERE query = 'SELECT count(*) FROM public.item'}); }
sub state_of { return ask("SELECT state || coalesce(' ' || sqlstate, '') FROM citadel.job_run WHERE run_id = $_[0]"); }
sub ended { my ($run) = @_; eventually(60, sub { state_of($run) =~ /succeeded|failed/ }); return state_of($run); }
my ($table) = old_table($node, 'schema', 'archive');
my $rows = $LifecycleTest::rows_each;

# --- no connection left
{
	my @users;
	ask('CREATE ROLE app_user LOGIN');
	# One of eight is ours, two are kept for superusers: these are all that an application gets.
	for (1 .. 6)
	{
		my $session = eval { $node->background_psql('app', extra_params => [ '-U', 'app_user' ], on_error_stop => 0) };
		push @users, $session if $session;
	}
	my ($status, $out, $err) = $node->psql('app', 'SELECT 1', extra_params => [ '-U', 'app_user' ]);
	like($err, qr/remaining connection slots are reserved|too many clients/, 'the application finds no connection');
	cmp_ok(scalar(@users), '>=', 5, 'because it has them all');
	my @more;
	for (1 .. 4)
	{
		my $session = eval { $node->background_psql('app', on_error_stop => 0) };
		push @more, $session if $session;
	}
	($status, $out, $err) = $node->psql('app', 'SELECT 1');
	like($err, qr/too many clients/, 'and now nobody does');
	my $run = ask(q{SELECT citadel.run_job('advise')});
	is(ended($run), 'succeeded', 'our workers are not counted with the connections: a job runs');
	$users[0]->query('SELECT count(*) FROM public.item') for 1 .. 5;
	ok(eventually(30, sub { counted() eq '5' }), 'statements are counted') or diag(counted());
	is(ask(q{SELECT citadel.health() ->> 'status'}), 'ok', 'health() has nothing to say');
	$_->quit foreach @users, @more;
}

# --- no room for locks
{
	# Session locks outlive the error that ends the loop.
	my $greedy = $node->background_psql('app', on_error_stop => 0);
	$greedy->query(q{DO $$ BEGIN FOR i IN 1 .. 10000000 LOOP PERFORM pg_advisory_lock(i); END LOOP; EXCEPTION WHEN out_of_memory THEN NULL; END $$});
	my $taken = ask(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'});
	cmp_ok($taken, '>', 100, "one session has taken all locks ($taken)");
	my $before = counted();
	ask('SELECT count(*) FROM public.item') for 1 .. 5;
	is(ask('SELECT count(*) FROM public.item'), '100', 'what needs no new lock entry works');
	my $run = ask(q{SELECT citadel.run_job('lifecycle')});
	SKIP:
	{
		skip 'not even a run could be asked for', 1 unless $run =~ /^\d+$/;
		# Recording the failure needs a lock as well: it may have to wait for room.
		eventually(5, sub { state_of($run) =~ /failed/ });
		unlike(state_of($run), qr/succeeded/, 'a run that needs locks does not succeed');
	}
	# However often they are tried.
	ask(q{SELECT citadel.collect('1 s')}) for 1 .. 3;
	ask("SELECT * FROM citadel.$_") foreach qw(job get_table_statistics() preview_lifecycle() query_performance archive health());
	like(slurp_file($node->logfile), qr/out of shared memory/, 'the log says what is missing');
	$greedy->quit;
	my $good;
	ok(eventually(60, sub { ($good) = ask(q{SELECT citadel.run_job('lifecycle')}) =~ /^(\d+)$/; $good && ended($good) eq 'succeeded' }), 'with room again the job runs')
	  or diag(ask(q{SELECT * FROM citadel.job_run ORDER BY run_id DESC LIMIT 3}));
	is(live($node, $table) . ' ' . archived($node, $table), "0|0 $rows|$rows", 'and finishes what was to be done');
	ok(eventually(60, sub { counted() eq $before + 6 }), 'what was counted meanwhile is stored') or diag("$before, " . counted());
	ok(eventually(60, sub { ask(q{SELECT count(*) FROM citadel.job_run WHERE state IN ('queued', 'running')}) eq '0' }), 'no run is left over');
}
$admin->quit;
$node->stop('fast');
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC:|TRAP:/, 'nothing crashed');
done_testing();
