# An application behind Pgpool-II on port 5433 with 200 connections at once: no statement fails, all are captured, under
# the application's own role and database. How long they take is measured by bench/pool/run.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use File::Temp;
use IO::Socket::INET;
use IPC::Run;
use JobsTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $pgpool = (grep { -x } '/usr/sbin/pgpool', map { "$_/pgpool" } split(/:/, $ENV{PATH}))[0];
plan skip_all => 'Pgpool-II is not installed (package pgpool2)' unless $pgpool;

my ($clients, $each, $rate) = (200, 10, 400);
my $node = jobs_node('pool', config => <<'END');
max_connections = 220
fsync = off
log_statement = none
autovacuum = off
citadel_opt.sample_interval = 1s
citadel_opt.statement_flush_interval = '100ms'
pg_stat_statements.track = all
END
$node->safe_psql('postgres', 'CREATE DATABASE app');
create_citadel($node, 'app');
eventually(20, sub { scheduler_pid($node, 'app') }) or die 'no scheduler';
sub sql { return $node->safe_psql('app', $_[0]); }
my $tasks = 2000;
sql(qq{SET client_min_messages = warning;
	CREATE EXTENSION citadel_tasks;
	CREATE ROLE tasks_app LOGIN; CREATE ROLE other_app LOGIN;
	SELECT citadel_tasks.grant_access('tasks_app'), citadel_tasks.grant_access('other_app');
	SELECT citadel_tasks.setup_partitions(6, 12);
	SELECT citadel_tasks.generate_tasks($tasks, 1, now(), 5)});
sql('ALTER ROLE tasks_app SET citadel_opt.slow_query_threshold = 0');

# --- the pool, on 5433 if nobody has it
my $port = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 5433, Listen => 1, ReuseAddr => 1) ? 5433 : PostgreSQL::Test::Cluster::get_free_port();
my $pcp_port = PostgreSQL::Test::Cluster::get_free_port();
my $folder = PostgreSQL::Test::Utils::tempdir_short();
my ($version) = `$pgpool --version 2>&1` =~ /(\d+\.\d+)/;
note "Pgpool-II $version on port $port";
my ($sockets, $pcp_sockets) = $version < 4.4 ? ('socket_dir', 'pcp_socket_dir') : ('unix_socket_directories', 'pcp_socket_dir');
append_to_file("$folder/pgpool.conf", slurp_file("$FindBin::RealBin/../../deploy/pgpool/pgpool.conf") . <<"END");
listen_addresses = '127.0.0.1'
port = $port
pcp_port = $pcp_port
$sockets = '$folder'
$pcp_sockets = '$folder'
wd_ipc_socket_dir = '$folder'
pid_file_name = '$folder/pgpool.pid'
logdir = '$folder'
backend_hostname0 = '@{[ $node->host ]}'
backend_port0 = @{[ $node->port ]}
END
append_to_file("$folder/$_", '') foreach qw(pool_hba.conf pcp.conf pool_passwd);
my ($out, $err) = ('', '');
my $pool = IPC::Run::start([ $pgpool, '-n', '-f', "$folder/pgpool.conf", '-a', "$folder/pool_hba.conf", '-F', "$folder/pcp.conf" ], '<', \undef, '>', \$out, '2>', \$err);
sub through
{
	my ($role, $sql) = @_;
	my ($answer, $error);
	my $status = IPC::Run::run([ 'psql', '-XAtq', '-h', '127.0.0.1', '-p', $port, '-U', $role, '-d', 'app', '-c', $sql ], '<', \undef, '>', \$answer, '2>', \$error);
	chomp $answer;
	return $status ? $answer : '';
}
ok(eventually(30, sub { $pool->pump_nb; through('tasks_app', 'SELECT 1') eq '1' }), 'the pool answers') or diag($err);

# --- 200 connections
my ($bench_out, $bench_err);
my $ok = IPC::Run::run([ 'env', 'PGHOST=127.0.0.1', "PGPORT=$port", 'PGUSER=tasks_app', 'PGAPPNAME=tasks',
		'pgbench', '--no-vacuum', "--define=tasks=$tasks", '--file=bench/tasks/task_by_id.sql', '--file=bench/tasks/task_by_number.sql',
		'--file=bench/tasks/dependencies.sql', "--client=$clients", '--jobs=2', "--transactions=$each", "--rate=$rate", 'app' ],
	'<', \undef, '>', \$bench_out, '2>', \$bench_err);
my $wanted = $clients * $each;
ok($ok && $bench_out =~ m{actually processed: $wanted/$wanted} && $bench_out =~ /failed transactions: 0 /, "$wanted transactions of $clients connections through the pool, none failed")
  or diag($bench_out, $bench_err);
unlike($bench_err, qr/error|abort/i, 'and no connection was refused');

# --- captured, as who and where
# task_by_number looks its number up first.
sub counted { return sql(q{SELECT citadel.collect(); SELECT count(DISTINCT query_id) || ' statements, ' || sum(calls) FROM citadel.statement_minute JOIN citadel.statement USING (query_id, user_id)
	WHERE user_id = 'tasks_app'::regrole AND toplevel AND query LIKE '%hero_tasks%'}) =~ s/^\n//r; }
my $statements = sql(q{SELECT sum(calls) FROM pg_stat_statements WHERE userid = 'tasks_app'::regrole AND toplevel AND dbid = (SELECT oid FROM pg_database WHERE datname = 'app') AND query ~ 'citadel_tasks'});
cmp_ok($statements, '>=', $wanted, "pg_stat_statements counted $statements");
ok(eventually(30, sub { sql(q{SELECT citadel.collect()}); sql(q{SELECT coalesce(sum(calls), 0) FROM citadel.statement_minute JOIN citadel.statement USING (query_id, user_id)
	WHERE user_id = 'tasks_app'::regrole AND toplevel AND query ~ 'citadel_tasks'}) eq $statements }), 'the history has as many, under their role')
  or diag(sql(q{SELECT query, sum(calls) FROM citadel.statement_minute JOIN citadel.statement USING (query_id, user_id) GROUP BY 1}));
ok(eventually(30, sub { sql(q{SELECT count(*) FROM citadel.sample JOIN citadel.statement USING (query_id, user_id) WHERE user_id = 'tasks_app'::regrole AND query ~ 'citadel_tasks'}) > 0 }), 'and samples, by the setting of their role');
is(sql(q{SELECT count(*) FROM citadel.sample WHERE user_id = 'other_app'::regrole}), '0', 'none of another role');

# --- a session's settings end with it: the next on the same connection to the server starts anew
my $backend = through('other_app', 'SET citadel_opt.slow_query_threshold = 0; SELECT pg_backend_pid()');
is(through('other_app', q{SELECT current_setting('citadel_opt.slow_query_threshold')}), sql(q{SELECT current_setting('citadel_opt.slow_query_threshold')}), 'DISCARD ALL resets a setting of the session');
is(through('tasks_app', q{SELECT current_setting('citadel_opt.slow_query_threshold') || ' ' || session_user || ' ' || current_database()}), '0 tasks_app app', 'settings of the role are there in each');

$pool->signal('INT');
$pool->finish;
$node->stop('fast');
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC:|TRAP:|too many clients/, 'nothing crashed, nobody was turned away');
done_testing();
