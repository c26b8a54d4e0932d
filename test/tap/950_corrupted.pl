# Our own tables, edited by hand: each column with values that nobody expects there, columns and tables that are away or
# empty. Every function and view that reads them answers, or ends in an error that names what is wrong: no crash, no
# internal error; health() always answers; the jobs go on, and after the repair everything works.
# The short form tries a few of all cases, always the same; CITADEL_OPT_LONG a third of them with the reports and one in
# eleven with the jobs, others each time.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CorruptTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $long = $ENV{CITADEL_OPT_LONG};
my ($readers_every, $jobs_every) = $long ? (3, 11) : (180, 1200);
my $offset = $ENV{CITADEL_OPT_SEED} // ($long ? int(rand(1000)) : 7);

my ($node, $numbers) = trust_node('corrupted');
my $db = 'app';
loosen($node, $db);
install_probe($node, $db);
# Nothing is under way that would be elsewhere than the saved rows say.
run_job($node, $_) foreach qw(lifecycle maintain advise);
save_tables($node, $db);
my @readers = readers($numbers);
my @cases = hostile_cases($node, $db);
note scalar(@cases) . ' cases, ' . scalar(@readers) . " functions and views that read; beginning with case $offset";

# What no user should ever see: an internal error, or the words of the C++ library.
sub internal { my ($state, $message) = @_; return $state eq 'XX000' || $message =~ /bad optional|vector|_M_range|basic_string|std::|map::at|stoi|cache lookup failed|invalid memory alloc|unrecognized/; }
# [name, SQLSTATE, message] of each reader that fails while the damage is there.
sub probe
{
	my ($damage, $table) = @_;
	my @some = grep { reads($_->[0], $table) } @readers;
	my $names = join(', ', map { "'$_->[0]'" } @some);
	my $calls = join(', ', map { "\$c\$$_->[1]\$c\$" } @some);
	my ($status, $out, $err) = $node->psql($db, "SET statement_timeout = '300s'; SET jit = off; SELECT corrupt.probe(\$d\$$damage\$d\$, ARRAY[$names], ARRAY[$calls])");
	return [ 'session', 'XX000', $err ] if $status;
	return map { [ split /\t/ ] } split /\n/, $out;
}

# --- the reports, each case in a transaction that is rolled back
my ($tried, $refused, @internal, @silent) = (0, 0);
foreach my $i (grep { $_ % $readers_every == $offset % $readers_every } 0 .. $#cases)
{
	my ($table, $column, $value) = @{ $cases[$i] };
	my $damage = damage($table, $column, $value);
	$tried++;
	foreach my $result (probe($damage, $table))
	{
		my ($name, $state, $message) = @$result;
		$refused++ if $name eq 'damage';
		push @internal, "$damage: $name: $state $message" if internal($state, $message);
		push @silent, "$damage: $message" if $name eq 'health';
	}
}
is(join("\n", @internal), '', "no internal error from $tried cases ($refused are refused by the tables themselves)");
is(join("\n", @silent), '', 'health() answers in each');

# --- what was found so far
sub outcome
{
	my ($damage, $reader) = @_;
	my ($found) = grep { $_->[0] eq $reader } probe($damage, 'statement_minute');
	return $found ? "$found->[1] $found->[2]" : 'fine';
}
like(outcome(q{UPDATE citadel.archive_part SET hash = 'x'}, 'read_archive'), qr/^XX001 the catalogue of archive \d+ is damaged/, 'a part of an archive without a hash');
like(outcome(q{UPDATE citadel.archive_part SET part_no = part_no + 1}, 'read_archive'), qr/^XX001 the catalogue of archive \d+ is damaged/, 'a part that is not where its number says');
is(outcome(q{UPDATE citadel.lifecycle_operation SET subject_schema = NULL}, 'lifecycle_step'), 'fine', 'an operation of nothing is shown');
like($node->safe_psql($db, q{BEGIN; ALTER TABLE citadel.alert RENAME TO gone; SELECT citadel.health() #>> '{reasons,0}'; ROLLBACK}),
	qr/tables of citadel_opt are damaged, .*relation "citadel.alert" does not exist/, 'health() says what is damaged');
like($node->safe_psql($db, q{BEGIN; SELECT citadel.health() ->> 'version'; ALTER TABLE citadel.snapshot_state RENAME COLUMN failure TO gone; SELECT citadel.health() ->> 'reasons'; ROLLBACK}),
	qr/column s.failure does not exist/, 'also in a session that had its answer before');

# --- the jobs and the scheduler, with damage that stays for as long as they run
my ($rounds, @wrong) = (0);
foreach my $i (grep { $_ % $jobs_every == $offset % $jobs_every } 0 .. $#cases)
{
	my ($table, $column, $value) = @{ $cases[$i] };
	my $damage = damage($table, $column, $value);
	my ($status) = $node->psql($db, "SET session_replication_role = replica; $damage", on_error_stop => 1);
	next if $status;
	$rounds++;
	my $from = -s $node->logfile;
	foreach my $call ("SELECT citadel.collect('5 s')", map { "SELECT citadel.run_job('$_') AS run \\gset\nCALL citadel.wait_for_job(:run, '20 s')" } qw(lifecycle advise maintain))
	{
		my ($failed, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$call", on_error_stop => 1);
		next unless $failed;
		push @wrong, "$damage: $err" if $failed != 3 || internal($err =~ /ERROR:  (\w{5}): (.*)/);
	}
	my ($failed, $out, $err) = $node->psql($db, 'SELECT citadel.health()');
	push @wrong, "$damage: health(): $err" if $failed;
	push @wrong, "$damage: $_" foreach grep { /citadel_opt (scheduler|launcher|job)/ && internal('', $_) } split /\n/, slurp_file($node->logfile, $from);
	$node->safe_psql($db, restore_tables($table, $column, $value));
}
is(join("\n", @wrong), '', "no internal error of jobs and scheduler in $rounds cases");

# --- repaired
foreach my $job (qw(lifecycle advise maintain))
{
	ok(eventually(60, sub { my ($failed) = $node->psql($db, "SELECT citadel.run_job('$job') AS run \\gset\nCALL citadel.wait_for_job(:run, '300 s')", on_error_stop => 1); return !$failed; }), "after the repair $job runs");
}
ok(eventually(60, sub { my ($failed) = $node->psql($db, q{SELECT citadel.collect('10 s')}); return !$failed; }), 'and the history goes on');
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC:|TRAP:/, 'nothing crashed');
$node->stop;
done_testing();
