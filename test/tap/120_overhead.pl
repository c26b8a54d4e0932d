# Self-cost: it is measured, work is left out step by step when it is too much and taken in again, and never in silence.
# How long that takes is for the unit tests; here the share is pretended, and each look of the launcher is a step.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('overhead', config => <<'END');
citadel_opt.max_overhead = 0.01
citadel_opt.debug_overhead = 0
citadel_opt.slow_query_threshold = 0
citadel_opt.sample_interval = '1h'
citadel_opt.alert_interval = '1s'
END
$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';
$node->safe_psql($db, 'CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g; ANALYZE t; CREATE TABLE u AS TABLE t; ANALYZE u');

sub ask { my ($sql) = @_; return $node->safe_psql($db, $sql); }
sub pretend
{
	my ($share) = @_;
	ask("ALTER SYSTEM SET citadel_opt.debug_overhead = $share");
	$node->reload;
	return;
}
sub level_is
{
	my ($level, $name) = @_;
	ok($node->poll_query_until($db, "SELECT level = $level FROM citadel.overhead()"), $name);
	return;
}
sub reasons { return ask("SELECT citadel.health() ->> 'reasons'"); }

sub kept
{
	my ($table) = @_;
	return "SELECT count(*) FROM citadel.captured_statements() p JOIN citadel.captured_statements() s USING (query_id)
		WHERE s.query = 'SELECT count(*) FROM $table' AND p.plan IS NOT NULL";
}

# --- below the limit

is(ask('SELECT level, max_share, left_out, since IS NULL, changes FROM citadel.overhead()'), '0|0.01|{}|t|0', 'nothing is left out');
is(ask("SELECT citadel.health() #>> '{overhead,level}'"), '0', 'health() says so');
unlike(reasons(), qr/leaves out/, 'and has no reason to worry');

# --- above it

my $log = -s $node->logfile;
pretend(0.2);
level_is(5, 'step by step most of the work is left out');
is(ask('SELECT round(share::numeric, 2), cardinality(left_out), since IS NOT NULL, changes FROM citadel.overhead()'), '0.20|5|t|5',
	'overhead() says since when and what');
like(reasons(), qr/more than citadel_opt.max_overhead \(1.00 %\).*leaves out plans and parameters of slow statements;/, 'health() says it');
is(ask("SELECT citadel.health() ->> 'status'"), 'warning', 'with a warning');
my $lines = () = slurp_file($node->logfile, $log) =~ /capture takes 20\.00 % of the time of statements and leaves out more: level [1-5] of 5/g;
is($lines, 5, "the server's log has a line for each step");
like(ask('SELECT citadel.metrics()'), qr/^citadel_overhead_level\{.*\} 5$/m, 'metrics() has the level');
ask("UPDATE citadel.alert_rule SET for_duration = '0' WHERE rule = 'overhead'");
ok($node->poll_query_until($db, q{SELECT count(*) = 1 FROM citadel.alert WHERE rule = 'overhead' AND state = 'open'}), 'an alert is opened');

# What is left out is left out, and what is kept is kept. The session's own reader looks into shared memory.
my $reader = $node->background_psql($db, on_error_stop => 1);
my $reader_pid = $reader->query_safe('SELECT pg_backend_pid()');
$reader->query_safe('SET citadel_opt.slow_query_threshold = -1; SET citadel_opt.statement_history = off');
is($reader->query_safe('SELECT citadel.debug_hold_capture()'), 't', 'reader');
my ($calls, $samples) = ('SELECT coalesce(sum(calls), 0), count(*) FILTER (WHERE calls % 64 <> 0) FROM citadel.debug_take_runs() WHERE query_id <> 0',
	q{SELECT count(*), count(*) FILTER (WHERE kind <> 'slow_statement') FROM citadel.debug_drain_capture()});
$reader->query_safe($calls);
$reader->query_safe($samples);
my $many = 'SELECT count(*) FROM t;' x 6400;
ask("BEGIN; $many COMMIT");
$node->psql($db, 'SELECT count(*) FROM nowhere');
settle($node, $reader_pid);
my ($counted, $odd) = split /\|/, $reader->query_safe($calls);
cmp_ok($counted, '>', 2000, "6,400 runs are counted as about that many ($counted)");
cmp_ok($counted, '<', 14000, 'from one in 64');
is($odd, '0', 'each of which stands for 64');
my ($slow, $repeated) = split /\|/, $reader->query_safe($samples);
is($slow, '6400', 'slow statements are found, all of them') or diag('pg_stat_statements times them');
is($repeated, '0', 'that they are repeated is not noted');
is($reader->query_safe(kept('t')), '0', 'plans and parameters are not kept');
is($reader->query_safe(q{SELECT count(*) FROM citadel.captured_statements() WHERE query = 'SELECT count(*) FROM t'}), '1', 'their text is');

# --- and below it again

pretend(0);
level_is(0, 'all of it is taken in again');
unlike(reasons(), qr/leaves out/, 'health() is content');
like(slurp_file($node->logfile, $log), qr/takes work in again: level 0 of 5/, 'the log says so');
$reader->query_safe($calls);
$reader->query_safe($samples);
ask("BEGIN; " . 'SELECT count(*) FROM u;' x 100 . ' COMMIT');
settle($node, $reader_pid);
is((split /\|/, $reader->query_safe($calls))[0], '100', 'every run is counted again, for one');
is($reader->query_safe($samples), '101|1', 'and repeated ones are noted');
is($reader->query_safe(kept('u')), '1', 'with their plan');
$reader->quit;
ask("UPDATE citadel.alert_rule SET clear_duration = '0' WHERE rule = 'overhead'");
ok($node->poll_query_until($db, q{SELECT count(*) = 0 FROM citadel.alert WHERE rule = 'overhead' AND state <> 'resolved'}), 'the alert is resolved');

# --- a limit of 0, and no pretending

pretend(0.2);
level_is(5, 'once more');
ask('ALTER SYSTEM SET citadel_opt.max_overhead = 0');
$node->reload;
level_is(0, 'max_overhead = 0 leaves nothing out');
my $timed = ask('SELECT timed_runs FROM citadel.overhead()');
ask('ALTER SYSTEM SET citadel_opt.max_overhead = 1');
pretend(-1);
# The numbers are the machine's; that there are any, and which is the larger, is not.
ok($node->poll_query_until($db, "SELECT count(*) FROM t; SELECT timed_runs > $timed AND own_ms > 0 AND busy_ms > own_ms FROM citadel.overhead()", "1000\nt"),
	'what it really takes is measured');
ok($node->poll_query_until($db, 'SELECT count(*) FROM t a, t b; SELECT share > 0 AND share < 1 FROM citadel.overhead()', "1000000\nt"), 'as a share');

$node->stop('fast');
no_crash($node);
done_testing();
