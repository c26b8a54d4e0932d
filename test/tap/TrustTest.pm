# What the tests of trust share: a server on which four roles have tables, statements, policies and archives of their
# own, each marked with the role's name, and the table of who may do what with each object (test/privileges.tsv).
package TrustTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use JobsTest;
use PostgreSQL::Test::Utils;

our @EXPORT = (qw(trust_node privileges roles calls_as fill as run_job), @JobsTest::EXPORT);

my $db = 'app';

# In the order in which they call: those who may do least come first, so that what they are refused is there.
sub roles { return qw(other monitor owner superuser); }

# A server with the database `app` and its extension. Each role has the schema canary_ROLE with `orders`, read with the
# literal literal_ROLE, and `events`, whose January 2020 is archived in files; the owner's `late` waits in quarantine.
# Returns the node and the numbers that calls name: {policy}, {archive} ... are the owner's.
sub trust_node
{
	my ($name, %options) = @_;
	my $archives = PostgreSQL::Test::Utils::tempdir('archives');
	my $node = jobs_node($name, config => <<"END" . ($options{config} // ''));
citadel_opt.archive_directory = '$archives'
citadel_opt.slow_query_threshold = 0
citadel_opt.max_overhead = 0
citadel_opt.advise_interval = 0
citadel_opt.alert_interval = 3600
autovacuum = off
END
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, 'SET client_min_messages = warning; CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman');
	create_citadel($node, $db);
	eventually(20, sub { scheduler_pid($node, $db) }) or die 'no scheduler';
	$node->safe_psql($db, q{
		SELECT citadel.alter_job('lifecycle', enabled => false), citadel.alter_job('maintain', enabled => false);
		CREATE ROLE superuser LOGIN SUPERUSER; CREATE ROLE owner LOGIN; CREATE ROLE other LOGIN;
		CREATE ROLE monitor LOGIN IN ROLE pg_monitor; GRANT pg_write_server_files TO owner, other, monitor});
	foreach my $role (roles())
	{
		# Names can be resolved by all: what refuses is the function, not the schema.
		$node->safe_psql($db, "CREATE SCHEMA canary_$role AUTHORIZATION $role; GRANT USAGE ON SCHEMA canary_$role TO PUBLIC");
		as($node, $role, qq{
			CREATE TABLE canary_$role.orders AS SELECT g AS id, 'literal_$role ' || g AS customer, g % 7 AS amount FROM generate_series(1, 20000) g;
			ANALYZE canary_$role.orders;
			CREATE TABLE canary_$role.events (id int, at timestamptz NOT NULL, v text) PARTITION BY RANGE (at);
			CREATE TABLE canary_$role.events_old PARTITION OF canary_$role.events FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
			INSERT INTO canary_$role.events SELECT i, '2020-01-02+00', 'literal_$role' FROM generate_series(1, 10) i;
			SELECT citadel.create_lifecycle_policy('canary_$role.events', 'at', premake => 1, retain => '12 months',
				archive_to => 'file:$archives/$role', quarantine => '0');
			CREATE TABLE canary_$role.late (LIKE canary_$role.events) PARTITION BY RANGE (at);
			CREATE TABLE canary_$role.late_old PARTITION OF canary_$role.late FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
			INSERT INTO canary_$role.late SELECT i, '2020-01-02+00', 'literal_$role' FROM generate_series(1, 10) i;
			SELECT citadel.create_lifecycle_policy('canary_$role.late', 'at', premake => 1, retain => '12 months', on_expiry => 'drop');
			SELECT citadel.place_hold('canary_$role.late', '2021-01-01', '2021-02-01', 'canary_$role is held', 'v = ''literal_$role''')});
	}
	as($node, 'owner', q{
		CREATE TABLE canary_owner.spare (LIKE canary_owner.events) PARTITION BY RANGE (at);
		CREATE TABLE canary_owner.plain (id int PRIMARY KEY, at timestamptz NOT NULL);
		INSERT INTO canary_owner.plain SELECT i, now() FROM generate_series(1, 10) i});
	$node->safe_psql($db, 'CALL citadel.run_lifecycle()');
	# A conversion that has stopped on its way.
	as($node, 'owner', "SELECT citadel.create_lifecycle_policy('canary_owner.plain', 'at', plain_table => 'convert', extend_keys => true)");
	set_fault($node, 'lifecycle_convert_keys:error');
	$node->psql($db, "CALL citadel.run_lifecycle('canary_owner.plain')");
	set_fault($node, '');
	foreach my $role (roles())
	{
		# (Since 18 the server's query id has the names of tables, as the statement calls them, and not their schemas.)
		as($node, $role, "SELECT count(*) AS canary_$role FROM canary_$role.orders AS of_$role WHERE customer = 'literal_$role $_'") for 1 .. 8;
	}
	$node->safe_psql($db, 'SELECT citadel.collect()');
	run_job($node, 'advise');
	my %number = (plan => '[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Schema": "canary_owner", "Alias": "orders", "Plan Rows": 1, "Plan Width": 8, "Startup Cost": 0.0, "Total Cost": 10.0}}]');
	foreach my $pair (
		[ policy => "SELECT policy_id FROM citadel.lifecycle_policy WHERE relation_name = 'events' AND schema_name = 'canary_owner'" ],
		[ conversion => "SELECT operation_id FROM citadel.lifecycle_operation WHERE kind = 'convert'" ],
		[ hold => "SELECT hold_id FROM citadel.hold WHERE schema_name = 'canary_owner'" ],
		[ archive => "SELECT archive_id FROM citadel.archive WHERE origin_schema = 'canary_owner' AND state = 'complete'" ],
		[ operation => "SELECT o.operation_id FROM citadel.lifecycle_operation o JOIN citadel.lifecycle_policy p USING (policy_id)
			WHERE p.schema_name = 'canary_owner' AND o.state = 'quarantined'" ],
		[ recommendation => q{SELECT id FROM citadel.index_recommendation WHERE definition LIKE '%canary_owner%' AND status = 'open' LIMIT 1} ],
		[ statement => q{SELECT query_id FROM citadel.statement WHERE query LIKE '%AS canary_owner%' LIMIT 1} ],
		[ alert => q{INSERT INTO citadel.alert (rule, severity, figure, subject, value, worst_value, comparison, threshold, unit, since, opened_at)
			VALUES ('trust', 'info', 'job_failures', 'canary_owner', 1, 1, '>', 0, 'count', now(), now()) RETURNING alert_id} ],
		[ run => "SELECT max(run_id) FROM citadel.job_run WHERE job_name = 'advise'" ])
	{
		$number{ $pair->[0] } = $node->safe_psql($db, $pair->[1]);
		die "no $pair->[0] in the example" if $number{ $pair->[0] } eq '';
	}
	return ($node, \%number);
}

sub as
{
	my ($node, $role, $sql) = @_;
	return $node->safe_psql($db, $sql, extra_params => [ '-U', $role ]);
}

sub run_job
{
	my ($node, $job) = @_;
	my $run = $node->safe_psql($db, "SELECT citadel.run_job('$job')");
	$node->safe_psql($db, "CALL citadel.wait_for_job($run)");
	return $run;
}

# The rows of test/privileges.tsv: {kind, name, other, monitor, owner, superuser, call}.
sub privileges
{
	my @rows;
	foreach my $line (split /\n/, slurp_file("$FindBin::RealBin/../privileges.tsv"))
	{
		next if $line =~ /^(#|$)/;
		my ($kind, $name, $superuser, $owner, $monitor, $other, $call) = split /\t/, $line;
		push @rows, { kind => $kind, name => $name, superuser => $superuser, owner => $owner, monitor => $monitor, other => $other, call => $call // '' };
	}
	return @rows;
}

# A call with its numbers.
sub fill
{
	my ($call, $numbers) = @_;
	$call =~ s/\{([a-z]+)\}/$numbers->{$1} \/\/ die "no number {$1} for $call"/ge;
	return $call;
}

# Runs each call in a session of the role, in a transaction that is rolled back (CALL has none), after $setup. Returns
# one [SQLSTATE, output] a call; 00000 is success.
sub calls_as
{
	my ($node, $role, $calls, $setup) = @_;
	my $script = "\\set VERBOSITY verbose\n" . ($setup // '') . "\n";
	foreach my $call (@$calls)
	{
		# Every statement counts: the first error is the one that the call ends with.
		my $in_block = $call !~ /^\s*CALL\b/i;
		$script .= "BEGIN;\n" if $in_block;
		$script .= "$call;\n\\echo \@\@\@ :SQLSTATE\n";
		$script .= "ROLLBACK;\n" if $in_block;
	}
	my ($status, $out, $err) = $node->psql($db, $script, on_error_stop => 0, extra_params => [ '-U', $role ]);
	my @parts = split /^\@\@\@ (\w+)\n?/m, $out . "\n";
	my @results;
	push @results, [ $parts[ 2 * $_ + 1 ], $parts[ 2 * $_ ] ] for 0 .. $#$calls;
	return ($err, @results);
}

1;
