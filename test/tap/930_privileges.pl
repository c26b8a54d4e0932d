# Who may do what with each function, table, view, sequence and type: everything in test/privileges.tsv is called, read
# and written as each role, and what comes back is searched for what belongs to others.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use TrustTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $numbers) = trust_node('privileges');
my $db = 'app';
my @rows = privileges();

# What the catalogue has and the table has not, or the other way round.
my @there = split /\n/, $node->safe_psql($db, q{
	SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'citadel'::regnamespace
	UNION SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'view ' WHEN 'S' THEN 'sequence ' WHEN 'c' THEN 'type ' ELSE 'table ' END || relname
	FROM pg_class WHERE relnamespace = 'citadel'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'c', 'f') AND NOT relispartition
	UNION SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'citadel'::regnamespace AND typrelid = 0 AND typelem = 0
	UNION SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname LIKE 'citadel%'
	ORDER BY 1});
my %listed = map { ("$_->{kind} $_->{name}" => 1) } @rows;
is(join(', ', grep { !$listed{$_} } @there), '', 'every object has a row in test/privileges.tsv');
my %there = map { ($_ => 1) } @there;
is(join(', ', grep { !$there{$_} } sort keys %listed), '', 'and every row an object');
is(join(', ', map { $_->{name} } grep { $_->{kind} eq 'function' && $_->{call} !~ /\bcitadel\.\Q$_->{name}\E\(/ } @rows), '', 'each function is called');

# A role's name in what comes back tells whose statement, table or policy it is.
sub outcome
{
	my ($role, $call, $expected, $state, $output) = @_;
	return 'no' if $state eq '42501';
	return $state if $state ne '00000';
	my @seen = grep { $output =~ /canary_$_/ } roles();
	return 'yes' if $expected eq 'yes' && ($role eq 'superuser' || $role eq 'monitor' || "@seen" eq $role);
	return 'named' if $expected eq 'named' && !grep { $call !~ /canary_$_/ } @seen;
	return 'none' if $expected eq 'none' && $output eq '';
	return @seen == 0 ? 'yes' : @seen == 4 ? 'all' : "@seen" eq $role ? 'own' : join('+', @seen);
}

sub calls_of
{
	my ($row) = @_;
	my $name = "citadel.$row->{name}";
	return fill($row->{call}, $numbers) if $row->{call} ne '';
	return "SELECT * FROM $name" if $row->{kind} eq 'table' || $row->{kind} eq 'view';
	return ("SELECT nextval('$name')") if $row->{kind} eq 'sequence';
	return "CREATE TABLE $row->{name}.mine (id int)" if $row->{kind} eq 'schema';
	return "SELECT NULL::$name";
}

foreach my $role (roles())
{
	my @calls = map { calls_of($_) } @rows;
	my (undef, @results) = calls_as($node, $role, \@calls);
	foreach my $n (0 .. $#rows)
	{
		my ($row, $result) = ($rows[$n], $results[$n]);
		my $outcome = outcome($role, $calls[$n], $row->{$role}, @$result);
		is($outcome, $row->{$role}, "$role: $row->{kind} $row->{name}");
		next if $role eq 'superuser';
		my @literals = grep { $_ ne $role && $result->[1] =~ /literal_$_/ } roles();
		is("@literals", '', "$role: $row->{kind} $row->{name} has no literals of others");
	}

	# Nobody but superusers writes, whatever he may read.
	next if $role eq 'superuser';
	my (@writes, @names);
	foreach my $row (grep { $_->{kind} eq 'table' || $_->{kind} eq 'view' } @rows)
	{
		push @writes, "INSERT INTO citadel.$row->{name} DEFAULT VALUES", "DELETE FROM citadel.$row->{name}",
		  "UPDATE citadel.$row->{name} SET " . column($row->{name}) . ' = NULL';
		push @names, "$role: insert into $row->{name}", "$role: delete from $row->{name}", "$role: update $row->{name}";
		next if $row->{kind} eq 'view';
		push @writes, "TRUNCATE citadel.$row->{name}", "LOCK citadel.$row->{name} IN SHARE MODE", "CREATE TRIGGER t AFTER INSERT ON citadel.$row->{name} EXECUTE FUNCTION citadel.audit_guard()";
		push @names, "$role: truncate $row->{name}", "$role: lock $row->{name}", "$role: trigger on $row->{name}";
	}
	foreach my $row (grep { $_->{kind} eq 'sequence' } @rows)
	{
		push @writes, "SELECT setval('citadel.$row->{name}', 1)", "SELECT last_value FROM citadel.$row->{name}";
		push @names, "$role: set $row->{name}", "$role: read $row->{name}";
	}
	my (undef, @written) = calls_as($node, $role, \@writes);
	# A view that no row, or a column to which no value, could be written to says so before it asks who you are.
	like($written[$_][0], $writes[$_] =~ /^(INSERT|UPDATE|DELETE)/ ? qr/^(42501|55000|428C9)$/ : qr/^42501$/, $names[$_]) for 0 .. $#writes;
}

# Partitions of the history are made by the scheduler: nobody reads around the views.
is($node->safe_psql($db, q{
	SELECT string_agg(c.relname, ', ') FROM pg_class AS c, unnest(ARRAY['owner', 'other', 'monitor']) AS r,
		unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']) AS p
	WHERE c.relnamespace = 'citadel'::regnamespace AND c.relkind IN ('r', 'p') AND c.relispartition AND has_table_privilege(r, c.oid, p)}),
	'', 'partitions of the history are closed');
is($node->safe_psql($db, q{SELECT count(*) > 0 FROM pg_class WHERE relnamespace = 'citadel'::regnamespace AND relispartition}), 't', 'which there are');

$node->stop;
done_testing();

sub column
{
	my ($relation) = @_;
	return $node->safe_psql($db, "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = 'citadel.$relation'::regclass AND attnum > 0 AND attidentity = '' ORDER BY attnum LIMIT 1");
}
