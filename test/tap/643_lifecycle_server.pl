# Whole runs of policies that archive to another server: it is dead before, in the middle and after the copy; its table or a
# row there goes; it is gone for good and the expiry is undone. live + archived = put in, and last_error says what it was.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = $LifecycleTest::rows_each;
my ($node) = lifecycle_node('near', config => "citadel_opt.lifecycle_lock_patience = 2\n");
my $far = citadel_node('far', preload => '', database => 'store', extension => 0, config => "password_encryption = 'scram-sha-256'\n");
my ($far_host, $far_port) = ($far->host, $far->port);
$far->safe_psql('store', q{CREATE ROLE owner LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE store TO owner});
my $hba = $far->data_dir . '/pg_hba.conf';
unlink $hba;
append_to_file($hba, "local all owner scram-sha-256\nlocal all all trust\n");
$far->reload;
sub sql { return $node->safe_psql('app', $_[0]); }
sql(qq{CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink;
	CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$far_host', port '$far_port', dbname 'store', connect_timeout '2');
	GRANT USAGE ON FOREIGN SERVER far TO owner; CREATE USER MAPPING FOR owner SERVER far OPTIONS (user 'owner', password 'secret')});

sub run_policy
{
	my ($table) = @_;
	my ($status, $out, $err) = $node->psql('app', "CALL citadel.run_lifecycle('$table')");
	return $status == 0 ? '' : $err;
}

sub stopped_at
{
	my ($table, $point) = @_;
	set_fault($node, "$point:error");
	like(run_policy($table), qr/$point/, "stopped at $point");
	set_fault($node, '');
	return;
}

sub step_of { my ($policy, $what) = @_; return sql("SELECT $what FROM citadel.lifecycle_step WHERE policy_id = $policy ORDER BY operation_id DESC LIMIT 1"); }
sub location { my ($table) = @_; return sql("SELECT location FROM citadel.archive WHERE origin_name = '" . ($table =~ s/app\.//r) . "' ORDER BY archive_id DESC LIMIT 1"); }

# As the owner, whose user mapping it is.
sub archived_there
{
	my ($table) = @_;
	my $from = sql("SELECT read_from FROM citadel.archive WHERE state = 'complete' AND origin_name = '" . ($table =~ s/app\.//r) . "'");
	return sql("SET ROLE owner; SELECT count(*), count(DISTINCT id) FROM $from");
}

sub all_archived
{
	my ($table, $name) = @_;
	is(live($node, $table) . ' ' . archived_there($table), "0|0 $rows|$rows", "$name: live + archived = put in, none twice");
	is(sql("SELECT count(*) FROM citadel.preview_lifecycle('$table')"), '0', "$name: nothing is left to do");
	return;
}

# Dead at each stage. Another table, which goes elsewhere, is worked on all the same.
my $dead = qr/could not connect to server|could not establish connection/;
foreach my $case ([ 'lifecycle_archive_start', 'closed', $dead ], [ 'lifecycle_copied', 'verifying', $dead ], [ 'lifecycle_drop_start', 'dropping', $dead ])
{
	my ($point, $state, $error) = @$case;
	my ($table, $policy) = old_table($node, 'server:far', 'archive');
	stopped_at($table, $point);
	is(step_of($policy, 'state'), $state, "$point: it is $state");
	$far->stop('immediate');
	my ($other) = old_table($node, 'schema', 'archive');
	my ($status, $out, $err) = $node->psql('app', 'CALL citadel.run_lifecycle()');
	like($err, $error, "$point: a dead server is an error");
	like(step_of($policy, 'last_error'), $error, "$point: which last_error says");
	is(sql("SELECT count(*) FROM ${table}_old"), $rows, "$point: the source is there");
	is(archived($node, $other), "$rows|$rows", "$point: another table is done");
	$far->start;
	is(run_policy($table), '', "$point: with the server it goes on");
	all_archived($table, $point);
}

# The table over there is dropped between copy and verification: made anew. After the verification: nothing is dropped.
{
	my ($table, $policy) = old_table($node, 'server:far', 'archive');
	stopped_at($table, 'lifecycle_copied');
	$far->safe_psql('store', 'DROP TABLE ' . location($table));
	like(run_policy($table), qr/does not exist/, 'its table is gone before the verification');
	is(run_policy($table), '', 'the copy is made anew');
	all_archived($table, 'a dropped copy');

	($table, $policy) = old_table($node, 'server:far', 'archive');
	stopped_at($table, 'lifecycle_copied');
	$far->safe_psql('store', 'UPDATE ' . location($table) . q{ SET v = 'forged' WHERE id = 17});
	like(run_policy($table), qr/are not those that were sent/, 'a row over there was changed before the verification');
	is(run_policy($table), '', 'the copy is made anew');
	all_archived($table, 'a changed copy');

	foreach my $harm ('DROP TABLE %s', "UPDATE %s SET v = 'forged' WHERE id = 17", 'DELETE FROM %s WHERE id = 17')
	{
		($table, $policy) = old_table($node, 'server:far', 'archive');
		stopped_at($table, 'lifecycle_drop_start');
		$far->safe_psql('store', sprintf($harm, location($table)));
		like(run_policy($table), qr/copy in archive \d+ cannot be read as it was verified/, sprintf($harm, 'it') . ' in the quarantine: nothing is dropped');
		is(sql("SELECT count(*) FROM ${table}_old"), $rows, 'the source is there');
		sql('CALL citadel.undo_expiry(' . step_of($policy, 'operation_id') . ')');
		is(live($node, $table), "$rows|$rows", 'undone: all rows are back');
	}
}

# Gone for good: an undo needs no server, and the policy can be given another destination.
foreach my $point (qw(lifecycle_copy lifecycle_copied lifecycle_drop_start))
{
	my ($table, $policy) = old_table($node, 'server:far', 'archive');
	stopped_at($table, $point eq 'lifecycle_copy' ? 'archive_part_copied' : $point);
	$far->stop('immediate');
	my ($status, $out, $err) = $node->psql('app', 'CALL citadel.undo_expiry(' . step_of($policy, 'operation_id') . ')');
	is("$status " . live($node, $table), "0 $rows|$rows", "$point, the server is gone: undone, all rows are back") or diag($err);
	sql("SET ROLE owner; SELECT citadel.alter_lifecycle_policy($policy, archive_to => 'schema')");
	is(run_policy($table), '', "$point: another destination");
	is(live($node, $table) . ' ' . archived($node, $table), "0|0 $rows|$rows", "$point: archived there");
	$far->start;
}
like(slurp_file($node->logfile), qr/WARNING:.*may be left on foreign server "far"/, 'the log says what may be left over there');
is(sql('SELECT first_broken IS NULL FROM citadel.verify_audit_log()'), 't', 'the audit chain is whole');
$node->stop;
$far->stop;
done_testing();
