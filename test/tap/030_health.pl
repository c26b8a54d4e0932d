# health() says what is wrong: switches, workers, jobs, copies, standbys.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = PostgreSQL::Test::Cluster->new('health');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements, citadel_opt'\nmax_worker_processes = 16\ncitadel_opt.max_overhead = 0\n");
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE $db");
create_citadel($node, $db);

sub health { my ($path, $server, $database) = @_; return ($server // $node)->safe_psql($database // $db, "SELECT citadel.health() #>> '{$path}'"); }
sub becomes
{
	my ($status, $reason, $name, $database) = @_;
	ok($node->poll_query_until($database // $db, "SELECT citadel.health() ->> 'status' = '$status' AND citadel.health() ->> 'reasons' LIKE '%$reason%'"), $name)
	  or diag(health('reasons', $node, $database));
	return;
}
sub configure { my ($setting) = @_; $node->safe_psql($db, "ALTER SYSTEM SET citadel_opt.$setting"); $node->reload; return; }

becomes('ok', '', 'all is well after CREATE EXTENSION');
is(health('reasons'), '[]', 'no reasons');
ok($node->poll_query_until($db, q{SELECT citadel.health() #>> '{workers,launcher,pid}' <> '' AND citadel.health() #>> '{workers,scheduler,database}' = 'citadel_ai'}), 'launcher and scheduler are shown');
ok($node->poll_query_until($db, q{SELECT citadel.health() #>> '{history,partitions}' <> '0'}), 'history has partitions');
cmp_ok(health('history,bytes'), '>', 0, 'and a size');
is(health('history,sources,statements,failure'), '', 'its sources do not fail');
$node->safe_psql($db, 'SELECT pg_sleep(1.1)');
$node->safe_psql($db, 'SELECT citadel.collect()');
cmp_ok(health('capture,captured'), '>=', 1, 'captured statements are counted');
isnt(health('history,newest_sample'), '', 'and stored');

configure('capture = off');
becomes('warning', 'citadel_opt.capture is off', 'capture switched off');
is(health('capture,enabled'), 'false', 'shown there as well');
configure('capture = on');
configure('enabled = off');
becomes('warning', 'citadel_opt.enabled is off', 'switched off');
configure('enabled = on');
becomes('ok', '', 'switched on again');
configure('max_job_workers = 0');
becomes('warning', 'max_job_workers is 0', 'no job can run');
configure('max_job_workers = 2');
configure(q{databases = 'postgres'});
becomes('error', 'no scheduler runs in database citadel_ai', 'a database that is left out');
configure(q{databases = '*'});
becomes('ok', '', 'and taken in again');

# A job that fails.
$node->safe_psql($db, q{ALTER SYSTEM SET citadel_opt.debug_fault = 'jobs.run.advise:error'});
$node->reload;
my $run = $node->safe_psql($db, q{SELECT citadel.run_job('advise')});
$node->psql($db, "CALL citadel.wait_for_job($run, '300 s')");
becomes('warning', 'job advise failed 1 times in a row', 'a failed job');
$node->safe_psql($db, 'ALTER SYSTEM RESET citadel_opt.debug_fault');
$node->reload;
$run = $node->safe_psql($db, q{SELECT citadel.run_job('advise')});
$node->safe_psql($db, "CALL citadel.wait_for_job($run, '300 s')");
becomes('ok', '', 'forgotten after a success');
like(health('advisor,summary'), qr/^examined \d+ of \d+ statements/, 'the advisor says what it examined');
cmp_ok(health('own_cost,job_ms_last_day'), '>', 0, 'what jobs cost is counted');

# Reports beside tables that come and go.
my $folder = PostgreSQL::Test::Utils::tempdir();
append_to_file("$folder/churn.sql", <<'END');
CREATE TABLE churn_:client_id (id int PRIMARY KEY, t text);
CREATE INDEX ON churn_:client_id (lower(t)) WHERE id > 5;
INSERT INTO churn_:client_id SELECT g, 'x' FROM generate_series(1, 100) g;
ANALYZE churn_:client_id;
DROP TABLE churn_:client_id;
END
append_to_file("$folder/report.sql", "SELECT count(*) FROM citadel.get_table_statistics();\nSELECT count(*) FROM citadel.get_index_statistics();\n");
$node->command_ok([ 'pgbench', '--no-vacuum', '--client=4', '--time=4', "--file=$folder/churn.sql\@2", "--file=$folder/report.sql\@1", $db ],
	'reports do not fail over tables that are dropped meanwhile');

# A copy, and a standby.
$node->safe_psql('postgres', "CREATE DATABASE copied TEMPLATE $db");
becomes('warning', 'this database is a copy', 'a copied database', 'copied');
is(health('database_is_copy', $node, 'copied'), 'true', 'says so');
$node->safe_psql('copied', 'SELECT citadel.adopt_database()');
becomes('ok', '', 'until it is adopted', 'copied');
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('health_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(health('status', $standby), 'ok', 'a standby without workers is as it should be');
is(health('standby', $standby), 'true', 'and is known as one');
is($standby->safe_psql($db, 'SELECT count(*) > 0 FROM citadel.get_table_statistics()'), 't', 'statistics work there');
is($standby->safe_psql($db, 'SELECT count(*) > 0 FROM citadel.get_index_statistics()'), 't', 'of indexes too');
$standby->stop('fast');
$node->stop('fast');
no_crash($node);
done_testing();
