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
my $archives = q{SELECT origin_name, state, read_from FROM citadel.archive ORDER BY archive_id};
my $before = sql($archives);
like($before, qr/t1\|complete\|citadel_archive\.t1_old\nt2\|complete\|citadel_archive\.t2_old\nt4\|complete\|citadel_archive\./, 'three archives');
my $waiting = q{SELECT string_agg(kind || ' ' || state, ', ' ORDER BY operation_id) FROM citadel.lifecycle_step WHERE state <> 'done'};
is(sql($waiting), 'expire quarantined, expire quarantined', 'two partitions in quarantine');

my $dump = $node->basedir . '/app.sql';
$node->command_ok([ 'pg_dump', '--file', $dump, '--port', $node->port, '--host', $node->host, 'app' ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--file', $dump, '--port', $node->port, '--host', $node->host, 'restored' ], 'restored');
ok(eventually(20, sub { scheduler_pid($node, 'restored') }), 'it has a scheduler');

# In another cluster the same OIDs may be taken: here they are, by tables of somebody else.
my $taken = join ' ', map { "CREATE TABLE victim_$_ AS SELECT $_ AS i; ALTER TABLE victim_$_ OWNER TO owner;" } 1 .. 8;
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

restored('SELECT citadel.adopt_database()');
restored('SELECT citadel.resume_lifecycle_policy(policy_id) FROM citadel.lifecycle_policy');
restored("CALL citadel.restore_archive(archive_id => 1, restore_as => 'beside')");
is(restored("SELECT state, restored_to FROM citadel.archive WHERE archive_id = 1"), 'restored|app.t1_old', 'an archive comes back');
is(restored('SELECT count(*) FROM app.t1_old'), $rows, 'with its rows');

set_clock($node, 'restored', '3d');
restored('CALL citadel.run_lifecycle()');
is(restored($waiting), '', 'what was in quarantine ends');
is(restored("SELECT to_regclass('app.t3_old')::text IS NULL AND to_regclass('app.t4_old')::text IS NULL"), 't', 'with the tables that it is about');
is(restored(q{SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = relowner WHERE relname LIKE 'victim%' AND rolname = 'owner' AND relnamespace = 'public'::regnamespace}),
	'8', 'other tables stay');
is(restored('SELECT ' . join(' + ', map { "(SELECT i FROM victim_$_)" } 1 .. 8)), '36', 'as they were');
is(restored('SELECT first_broken FROM citadel.verify_audit_log()'), '', 'the audit log is whole');

no_crash($node);
$node->stop;
done_testing();
