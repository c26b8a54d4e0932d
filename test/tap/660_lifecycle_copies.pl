# Where a policy finds itself somewhere else: a cloned database, a restored dump, a promoted standby, and an extension
# that was dropped and created again.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use LifecycleTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $LifecycleTest::rows_each;
my ($node) = lifecycle_node('copies', init => { allows_streaming => 1 });
sub sql { return $node->safe_psql('app', $_[0]); }

my ($table, $policy) = old_table($node, 'schema', 'archive');

# A clone: partitions are made ahead, nothing is moved or dropped until the owner says so.
$node->safe_psql('postgres', 'CREATE DATABASE clone TEMPLATE app');
ok(eventually(20, sub { scheduler_pid($node, 'clone') }), 'the clone has a scheduler');
sub clone { return $node->safe_psql('clone', $_[0]); }
is(clone('SELECT status FROM citadel.partition_runway'), 'copy', 'the runway says that it is a copy');
clone('CALL citadel.run_lifecycle()');
is(clone("SELECT count(*) FROM $table"), $rows, 'nothing was moved');
is(clone("SELECT count(*) FROM pg_inherits WHERE inhparent = '$table'::regclass"), '3', 'partitions were made');
like(clone("SELECT min(blocked) FROM citadel.preview_lifecycle() WHERE action = 'detach'"), qr/restored or cloned/, 'the preview says why');
like(clone('SELECT alarm FROM citadel.partition_runway'), qr/restored or cloned/, 'and so does the runway');
clone("SET ROLE owner; SELECT citadel.resume_lifecycle_policy($policy)");
clone('CALL citadel.run_lifecycle()');
is(clone("SELECT count(*) FROM $table"), '0', 'once resumed, it goes on');
is(clone("SELECT sum(rows) FROM citadel.archive WHERE state = 'complete'"), $rows, 'and archives');
is(sql("SELECT count(*) FROM $table"), $rows, 'the original is as it was');

# A dump: other OIDs, the same names.
my $dump = $node->basedir . '/app.sql';
$node->command_ok([ 'pg_dump', '--file', $dump, '--port', $node->port, '--host', $node->host, 'app' ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
my $filler = join(' ', map { "CREATE TABLE filler$_ (i int);" } 1 .. 20);
$node->safe_psql('restored', $filler);
$node->command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--file', $dump, '--port', $node->port, '--host', $node->host, 'restored' ], 'restored');
sub restored { return $node->safe_psql('restored', $_[0]); }
ok(eventually(20, sub { scheduler_pid($node, 'restored') }), 'the restored database has a scheduler');
is(restored('SELECT relation, status FROM citadel.partition_runway'), "$table|copy", 'the policy found its table by name');
restored('CALL citadel.run_lifecycle()');
is(restored("SELECT count(*) FROM $table"), $rows, 'nothing was moved');
restored("SELECT citadel.resume_lifecycle_policy($policy)");
restored('CALL citadel.run_lifecycle()');
is(restored("SELECT count(*) FROM $table"), '0', 'once resumed, it goes on');
is(restored("SELECT sum(rows) FROM citadel.archive WHERE state = 'complete'"), $rows, 'and archives');
isnt(restored("SELECT relation_oid FROM citadel.lifecycle_policy"), sql("SELECT relation_oid FROM citadel.lifecycle_policy"), 'under its new OID');

# DROP EXTENSION takes neither partitions nor archives.
my $where = restored("SELECT read_from FROM citadel.archive WHERE state = 'complete'");
restored('DROP EXTENSION citadel_opt');
is(restored("SELECT count(*) FROM $where"), $rows, 'the archive outlives the extension');
is(restored("SELECT count(*) = 2 FROM pg_inherits WHERE inhparent = '$table'::regclass"), 't', 'so do the partitions');
create_citadel($node, 'restored');
is(restored('SELECT count(*) FROM citadel.lifecycle_policy'), '0', 'a new extension has no policies');
restored("SELECT citadel.create_lifecycle_policy('$table', 'at', premake => 2)");
ok(eventually(20, sub { scheduler_pid($node, 'restored') }), 'and a scheduler');
restored('CALL citadel.run_lifecycle()');
is(restored('SELECT partitions_ahead, last_error FROM citadel.partition_runway'), '2|', 'the table has a policy again');

# A standby that is promoted in the middle of an expiry goes on with it.
my $backup = 'b';
$node->backup($backup);
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, $backup, has_streaming => 1);
$standby->start;
sub standby { return $standby->safe_psql('app', $_[0]); }
set_fault($node, 'lifecycle_closed:sleep=60000');
my $run = sql("SELECT citadel.run_job('lifecycle')");
ok(eventually(30, sub { sql("SELECT count(*) FROM citadel.lifecycle_step WHERE state = 'closed'") eq '1' }), 'an expiry is half done');
$node->wait_for_catchup($standby);
is(standby('SELECT count(*) FROM citadel.preview_lifecycle()') > 0 ? 1 : 0, 1, 'a standby can preview');
$node->stop('immediate');
$standby->promote;
$standby->safe_psql('postgres', "ALTER SYSTEM RESET citadel_opt.debug_fault");
$standby->reload;
ok(eventually(30, sub { scheduler_pid($standby, 'app') }), 'the promoted standby has a scheduler');
standby('CALL citadel.run_lifecycle()');
is(standby("SELECT count(*) FROM $table"), '0', 'the expiry went on');
is(standby("SELECT string_agg(state, ',') FROM citadel.lifecycle_step WHERE kind = 'expire'"), 'done', 'as the same operation');
is(standby("SELECT sum(rows) FROM citadel.archive WHERE state = 'complete'"), $rows, 'and nothing was lost');
$standby->stop;
done_testing();
