# Mode act of the maintain job beside other sessions and through a crash; estimates that were wrong; a changed setting.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use JobsTest ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('maintenance', config => "citadel_opt.maintenance = 'act'\nautovacuum = off\nrestart_after_crash = on\ncitadel_opt.slow_query_threshold = 0\n");
sub query { my ($sql) = @_; return $node->safe_psql($db, $sql); }
sub run_maintain
{
	my $run = query(q{SELECT citadel.run_job('maintain')});
	my ($status, $out, $err) = $node->psql($db, "CALL citadel.wait_for_job($run, '300 s')");
	return ($status, $err, $run);
}
sub actions { my ($table) = @_; return query("SELECT string_agg(status || coalesce(' ' || error, ''), ', ' ORDER BY action_id) FROM citadel.maintenance_action WHERE kind = 'analyze' AND relation_name = '$table'"); }

# A locked table is not waited for; three failures are enough for a day.
query('CREATE TABLE busy AS SELECT generate_series(1, 5000) AS x; CREATE TABLE free AS SELECT generate_series(1, 5000) AS x');
my $locker = $node->background_psql($db);
$locker->query_safe('BEGIN; LOCK TABLE busy IN ACCESS EXCLUSIVE MODE');
foreach (1 .. 4)
{
	my ($status, $err) = run_maintain();
	is($status, 0, 'the job ends well beside a locked table') or diag($err);
}
is(actions('busy'), 'failed the table is locked, failed the table is locked, failed the table is locked, proposed', 'locked: tried three times');
is(actions('free'), 'done', 'the other table was done at once');
$locker->quit;
query(q{UPDATE citadel.maintenance_action SET started_at = started_at - interval '2 days' WHERE status = 'failed'});
run_maintain();
like(actions('busy'), qr/, done$/, 'and done when it is free');

# Killed in between: the next run does it, once.
query('CREATE TABLE cut AS SELECT generate_series(1, 5000) AS x');
JobsTest::set_fault($node, 'maintain.action:crash');
my $run = query(q{SELECT citadel.run_job('maintain')});
ok($node->poll_query_until($db, "SELECT current_setting('is_superuser') = 'on' AND EXISTS (SELECT FROM citadel.job_run WHERE run_id = $run AND state = 'failed')"), 'the run went down with its worker');
JobsTest::set_fault($node, '');
is(actions('cut'), 'proposed', 'what was not done is still proposed');
run_maintain();
is(actions('cut'), 'done', 'and done by the next run');

# A wrong estimate in a plan: rows have changed, too few for any threshold.
query('CREATE TABLE skewed (k int, pad text); INSERT INTO skewed SELECT g, repeat($$x$$, 10) FROM generate_series(1, 100000) g');
settle($node);
query('ANALYZE skewed');
query('UPDATE skewed SET k = 7 WHERE k <= 5000');
query('SELECT citadel.collect()');
foreach (1 .. 3) { query('SELECT count(*) FROM skewed WHERE k = 7'); query('SELECT citadel.collect()'); }
ok($node->poll_query_until($db, q{SELECT EXISTS (SELECT FROM citadel.plan p, citadel.plan_nodes(p.plan) n WHERE p.has_row_counts AND n.relation = 'skewed'::regclass)}), 'a plan with row counts was captured');
run_maintain();
is(actions('skewed'), 'done', 'it is analyzed');
like(query(q{SELECT reason FROM citadel.maintenance_action WHERE relation_name = 'skewed'}), qr/^a scan brought 5,000 rows where the planner expected \d+, and 5,000 rows changed since/, 'because the estimate was wrong');
run_maintain();
is(actions('skewed'), 'done', 'and not again');
$node->stop('fast');
done_testing();
