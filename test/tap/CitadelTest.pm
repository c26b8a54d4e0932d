# What the TAP tests share: servers with citadel_opt, errors in parts, and the proof that nothing crashed.
package CitadelTest;

use strict;
use warnings FATAL => 'all';

use BrokenPipe;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(citadel_node create_citadel sql_error error_is crashes no_crash set_clock settle);

# A started server. Options: preload (default 'pg_stat_statements, citadel_opt', '' for none), config (lines),
# database (default citadel_ai; undef: none is made), extension (default 1: CREATE EXTENSION there), init (arguments of
# initdb).
sub citadel_node
{
	my ($name, %options) = @_;
	my $preload = $options{preload} // 'pg_stat_statements, citadel_opt';
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => $options{init} // []);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$preload'\nmax_worker_processes = 16\n");
	# What is left out when the machine is slow would be another thing each time.
	$node->append_conf('postgresql.conf', "citadel_opt.max_overhead = 0\n") if $preload =~ /citadel_opt/;
	$node->append_conf('postgresql.conf', $options{config}) if defined $options{config};
	$node->start;
	my $database = exists $options{database} ? $options{database} : 'citadel_ai';
	if (defined $database)
	{
		$node->safe_psql('postgres', "CREATE DATABASE $database");
		create_citadel($node, $database) if $options{extension} // 1;
	}
	return $node;
}

sub create_citadel
{
	my ($node, $database) = @_;
	$node->safe_psql($database, 'SET client_min_messages = warning; CREATE EXTENSION citadel_opt CASCADE');
	return;
}

# The error that the last failing statement of $sql raises, in parts: {sqlstate, message, detail, hint, line, text};
# undef when all went well. `line` is what psql points at with its caret.
sub sql_error
{
	my ($node, $database, $sql) = @_;
	my ($status, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\n$sql", on_error_stop => 1);
	return if $status == 0;
	my %error = (text => $err);
	($error{sqlstate}, $error{message}) = ($1, $2) if $err =~ /(?:ERROR|FATAL):\s+(\w{5}): (.*)/;
	$error{detail} = $1 if $err =~ /^DETAIL:\s+(.*)/m;
	$error{hint} = $1 if $err =~ /^HINT:\s+(.*)/m;
	$error{query} = $1 if $err =~ /^QUERY:\s+(.*)/m;
	if ($err =~ /^(LINE \d+: )(.*)\n( *)\^/m)
	{
		$error{line} = $2;
		$error{caret} = length($3) - length($1);
	}
	return \%error;
}

# error_is(node, database, sql, {sqlstate => ..., message => qr/.../, ...}, name): each part named is compared.
sub error_is
{
	my ($node, $database, $sql, $expected, $name) = @_;
	my $error = sql_error($node, $database, $sql);
	return fail("$name: no error") unless defined $error;
	my @wrong;
	foreach my $part (sort keys %$expected)
	{
		my ($want, $got) = ($expected->{$part}, $error->{$part} // '(none)');
		push @wrong, "$part is '$got', expected '$want'" unless ref $want ? $got =~ $want : $got eq $want;
	}
	ok(!@wrong, $name) or diag(join("\n", @wrong, $error->{text}));
	return;
}

# How often the server says that one of its processes died, or an assertion failed.
sub crashes
{
	my ($node) = @_;
	my $log = slurp_file($node->logfile);
	my $count = () = $log =~ /was terminated by signal|exited with exit code [2-9]|PANIC:|TRAP:/g;
	return $count;
}

sub no_crash
{
	my ($node, $name) = @_;
	is(crashes($node), 0, $name // 'no process of the server crashed');
	return;
}

# Puts the clock of the extension so far ahead (an interval), and waits until it goes so.
sub set_clock
{
	my ($node, $database, $offset) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET citadel_opt.debug_clock_offset = '$offset'");
	$node->reload;
	$node->poll_query_until($database, "SELECT abs(extract(epoch FROM citadel.history_clock() - now()) - extract(epoch FROM '$offset'::interval)) < 5")
		or die 'the clock was not set';
	return;
}

# Until all other sessions are gone, but those with these pids: only in leaving they count, into pg_stat_user_tables and
# among the runs of statements, what they did last.
sub settle
{
	my ($node, @staying) = @_;
	my $staying = join(', ', 0, @staying);
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid NOT IN ($staying)")
		or die 'a session stays';
	return;
}

1;
