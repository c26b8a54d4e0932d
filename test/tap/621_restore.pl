# From a policy to files, to another server and to a schema, and back with CALL restore_archive(), all of it through the
# lifecycle job as an ordinary owner: asked once, asked again after an error and after a crash, and by whom it may not.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $archives) = lifecycle_node('restores');
my $far = citadel_node('far', preload => '', database => 'store', extension => 0, config => "password_encryption = 'scram-sha-256'\n");
my ($far_host, $far_port) = ($far->host, $far->port);
# The owner is no superuser: postgres_fdw and dblink want a password of him.
$far->safe_psql('store', q{CREATE ROLE owner LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE store TO owner});
my $hba = $far->data_dir . '/pg_hba.conf';
unlink $hba;
append_to_file($hba, "local all owner scram-sha-256\nlocal all all trust\n");
$far->reload;
$node->safe_psql('app', qq{CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink;
	CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$far_host', port '$far_port', dbname 'store', connect_timeout '3');
	GRANT USAGE ON FOREIGN SERVER far TO owner;
	CREATE USER MAPPING FOR owner SERVER far OPTIONS (user 'owner', password 'secret');
	CREATE ROLE stranger; GRANT USAGE ON SCHEMA app TO stranger});

sub run_policy
{
	my ($table) = @_;
	return $node->psql('app', "CALL citadel.run_lifecycle('$table')");
}

sub entry
{
	my ($table) = @_;
	my $name = (split /\./, $table)[1];
	return split /\|/, $node->safe_psql('app', "SELECT archive_id, state, verification, rows FROM citadel.archive WHERE origin_name = '$name' ORDER BY archive_id DESC LIMIT 1");
}

my $rows = $LifecycleTest::rows_each;
foreach my $destination ('file:policy', 'server:far', 'schema')
{
	my ($table) = old_table($node, $destination, 'archive');
	my $hash = $node->safe_psql('app', "SELECT hash FROM citadel.content_hash('$table')");
	run_policy($table) foreach 1 .. 3;
	my ($id, $state, $verification, $archived) = entry($table);
	is("$state $verification $archived", 'complete ' . ($destination eq 'schema' ? 'moved' : 'verified') . " $rows", "$destination: archived by the policy");
	is(live($node, $table), '0|0', "$destination: its rows have left the table");
	next unless defined $id;
	# As the owner, whose user mapping it is.
	my $from = $node->safe_psql('app', "SELECT read_from FROM citadel.archive WHERE archive_id = $id");
	is($node->safe_psql('app', "SET ROLE owner; SELECT rows || ' ' || hash FROM citadel.content_hash('$from')"), "$rows $hash", "$destination: every row is in the archive");

	error_is($node, 'app', "SET ROLE stranger; CALL citadel.restore_archive($id)", { sqlstate => '42501' }, "$destination: a stranger may not restore it");
	# Beside, back into a table of its own; not a schema's, which can be moved back only once.
	if ($destination ne 'schema')
	{
		$node->safe_psql('app', "SET ROLE owner; CALL citadel.restore_archive($id)");
		my $beside = $node->safe_psql('app', "SELECT restored_to FROM citadel.archive WHERE archive_id = $id");
		is($node->safe_psql('app', "SELECT hash FROM citadel.content_hash('$beside')"), $hash, "$destination: restored beside");
		$node->safe_psql('app', "DROP TABLE $beside");
	}
	# The server dies in the middle; the job goes on once it is asked again.
	set_fault($node, 'archive_restore_checked:crash');
	$node->psql('app', "SET ROLE owner; CALL citadel.restore_archive($id, '$table')");
	back_after_crash($node);
	is((entry($table))[1], 'restoring', "$destination: the restore was cut off");
	$node->safe_psql('app', "SET ROLE owner; CALL citadel.restore_archive($id, '$table')");
	is((entry($table))[1], 'restored', "$destination: asked again, it went on");
	is($node->safe_psql('app', "SELECT rows || ' ' || hash FROM citadel.content_hash('$table')"), "$rows $hash", "$destination: every row is back in the table");
	is($node->safe_psql('app', "SELECT count(*) FROM pg_inherits WHERE inhparent = '$table'::regclass AND pg_get_expr((SELECT relpartbound FROM pg_class WHERE oid = inhrelid), inhrelid) LIKE '%2020-01-01%'"),
		1, "$destination: as the partition that it was");
	my ($status, $out, $err) = $node->psql('app', "SET ROLE owner; INSERT INTO $table VALUES (9999, '2020-01-15+00', 'new')");
	is($status, 0, "$destination: which can be written to again") or diag($err);
}
is($node->safe_psql('app', "SELECT count(*) FROM citadel.lifecycle_operation WHERE kind = 'restore' AND finished_at IS NULL"), 0, 'no restore is left open');
is($node->safe_psql('app', "SELECT count(*) FILTER (WHERE outcome = 'done'), count(*) FILTER (WHERE outcome = 'done' AND row_count = $rows AND checksum <> '' AND lower_bound <> '') FROM citadel.audit_log WHERE action = 'restore_archive'"), '5|5', 'restores are in the audit log');

# An error of the job comes to the caller, and another target can be asked for.
my ($table) = old_table($node, 'file:policy', 'archive');
run_policy($table) foreach 1 .. 3;
my ($id) = entry($table);
$node->safe_psql('app', "SET ROLE owner; CREATE TABLE ${table}_again PARTITION OF $table FOR VALUES FROM ('2020-01-15+00') TO ('2020-01-16+00')");
error_is($node, 'app', "SET ROLE owner; CALL citadel.restore_archive($id, '$table')", { sqlstate => '42P17', message => qr/would overlap/ }, 'the error of the job comes to the caller');
like($node->safe_psql('app', "SELECT reason FROM citadel.audit_log WHERE action = 'restore_archive' AND outcome = 'failed'"), qr/^archive $id: .*would overlap/, 'and is in the audit log');
$node->safe_psql('app', "SET ROLE owner; DROP TABLE ${table}_again; CREATE TABLE app.plain (id int PRIMARY KEY, at timestamptz, v text)");
$node->safe_psql('app', "SET ROLE owner; CALL citadel.restore_archive($id, 'app.plain')");
is($node->safe_psql('app', 'SELECT count(*) FROM app.plain'), $rows, 'another target can be asked for');
is($node->safe_psql('app', "SELECT count(*) FROM pg_class WHERE relname ~ '_old' AND relkind = 'r' AND NOT relispartition"), 0, 'what was loaded for the first is gone');

$node->stop;
$far->stop;
done_testing();
