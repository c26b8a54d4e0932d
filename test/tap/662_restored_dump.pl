# A restored dump: what the catalogues say by OID belongs to other relations there. Archives are found by name, what was
# going on goes on by name, and whoever has the old OIDs is left alone.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use LifecycleTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $LifecycleTest::rows_each;
my ($node) = lifecycle_node('restored');
sub sql { return $node->safe_psql('app', $_[0]); }
sub restored { return $node->safe_psql('restored', $_[0]); }

# Two archives, in a schema and in files; one partition that waits for its end in quarantine, one for the same after an
# archive was made.
my ($moved) = old_table($node, 'schema', 'archive');
my ($filed) = old_table($node, 'file:old', 'archive');
my ($dropped, $drop_policy) = old_table($node, 'schema', 'drop');
my ($leaving, $leave_policy) = old_table($node, 'file:old', 'archive');
sql("SET ROLE owner; SELECT citadel.alter_lifecycle_policy($_, quarantine => '1 day')") for $drop_policy, $leave_policy;
sql('CALL citadel.run_lifecycle()');
# And one that is to be undone, and rows that were collected from a plain table and are not archived yet.
my ($undone, $undo_policy) = old_table($node, 'schema', 'drop');
sql("SET ROLE owner; SELECT citadel.alter_lifecycle_policy($undo_policy, quarantine => '1 day')");
sql("CALL citadel.run_lifecycle('$undone')");
sql(q{SET ROLE owner; CREATE TABLE app.plain (id int, at timestamptz); INSERT INTO app.plain SELECT i, '2020-01-02+00' FROM generate_series(1, 10) i;
	SELECT citadel.create_lifecycle_policy('app.plain', 'at', retain => '12 months', plain_table => 'keep', quarantine => '0')});
my ($drop_operation, $undo_operation) = map { sql("SELECT operation_id FROM citadel.lifecycle_step WHERE policy_id = $_") } $drop_policy, $undo_policy;
foreach my $stop ([ 'lifecycle_undo_start', "CALL citadel.undo_expiry($undo_operation)" ],
	[ 'lifecycle_close_start', "CALL citadel.run_lifecycle('app.plain')" ])
{
	set_fault($node, "$stop->[0]:error");
	$node->psql('app', $stop->[1]);
}
set_fault($node, '');
my $archives = q{SELECT origin_name, state, read_from FROM citadel.archive ORDER BY archive_id};
my $before = sql($archives);
like($before, qr/t1\|complete\|citadel_archive\.t1_old\nt2\|complete\|citadel_archive\.t2_old\nt4\|complete\|citadel_archive\./, 'three archives');
my $waiting = q{SELECT string_agg(kind || ' ' || state, ', ' ORDER BY operation_id) FROM citadel.lifecycle_step WHERE state <> 'done'};
my $under_way = 'expire quarantined, expire quarantined, expire undoing, expire detached';
is(sql($waiting), $under_way, 'what is going on');

my $dump = $node->basedir . '/app.sql';
$node->command_ok([ 'pg_dump', '--file', $dump, '--port', $node->port, '--host', $node->host, 'app' ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--file', $dump, '--port', $node->port, '--host', $node->host, 'restored' ], 'restored');
ok(eventually(20, sub { scheduler_pid($node, 'restored') }), 'it has a scheduler');

# In another cluster the same OIDs may be taken: here they are, by tables of somebody else.
my $taken = join ' ', map { "CREATE TABLE victim_$_ AS SELECT $_ AS i, '2020-01-02+00'::timestamptz AS at; ALTER TABLE victim_$_ OWNER TO owner;" } 1 .. 8;
restored($taken);
restored(q{UPDATE citadel.archive_entry SET relation_oid = ('victim_' || archive_id)::regclass, source_oid = ('victim_' || archive_id)::regclass;
	UPDATE citadel.lifecycle_operation SET subject_oid = ('victim_' || 4 + n)::regclass
	FROM (SELECT operation_id AS id, row_number() OVER (ORDER BY operation_id) AS n FROM citadel.lifecycle_operation WHERE finished_at IS NULL) AS o
	WHERE operation_id = o.id});

is(restored($archives), $before, 'archives are found by name');
is(restored('SELECT count(*) FROM citadel.adopt_archives()'), '0', 'and are not adopted a second time');
foreach my $name ($before =~ /^t[12]\|complete\|(.*)$/mg)
{
	is(restored("SELECT count(*) FROM $name"), $rows, "$name can be read");
}

# Before somebody says that the policies are meant for this database, the job leaves all of it alone.
my $victims = q{SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = relowner WHERE relname LIKE 'victim%' AND rolname = 'owner'
	AND relnamespace = 'public'::regnamespace AND relacl IS NULL};
set_clock($node, 'restored', '3d');
$node->psql('restored', 'CALL citadel.run_lifecycle()');
is(restored($waiting), $under_way, 'nothing goes on in a copy');
is(restored($victims), '8', 'and nothing is done to other tables');
my ($status, $out, $err) = $node->psql('restored', "CALL citadel.undo_expiry($drop_operation)");
like($err, qr/lifecycle policy $drop_policy is not meant for this restored or cloned database yet/, 'an expiry cannot be undone there');
set_clock($node, 'restored', '0');

restored('SELECT citadel.adopt_database()');
restored('SELECT citadel.resume_lifecycle_policy(policy_id) FROM citadel.lifecycle_policy');
restored("CALL citadel.restore_archive(archive_id => 1, restore_as => 'beside')");
is(restored("SELECT state, restored_to FROM citadel.archive WHERE archive_id = 1"), 'restored|app.t1_old', 'an archive comes back');
is(restored('SELECT count(*) FROM app.t1_old'), $rows, 'with its rows');

set_clock($node, 'restored', '3d');
restored('CALL citadel.run_lifecycle()');
is(restored($waiting), 'expire undone', 'what was going on ends');
is(restored("SELECT count(*) FROM $undone"), $rows, 'what was to be undone is back');
is(restored("SELECT sum(rows) FROM citadel.archive WHERE origin_name = 'plain' AND state = 'complete'"), '10', 'what was collected is archived');
is(restored("SELECT to_regclass('app.t3_old')::text IS NULL AND to_regclass('app.t4_old')::text IS NULL"), 't', 'with the tables that it is about');
is(restored($victims), '8', 'other tables stay');
is(restored('SELECT ' . join(' + ', map { "(SELECT i FROM victim_$_)" } 1 .. 8)), '36', 'as they were');
is(restored('SELECT first_broken FROM citadel.verify_audit_log()'), '', 'the audit log is whole');

no_crash($node);
$node->stop;
done_testing();
