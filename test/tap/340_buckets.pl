# What every statement did, minute by minute, hours and days: exact, bounded, and whatever happens to clock and server.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use JobsTest qw(eventually);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $db = 'citadel_ai';
my $node = citadel_node('buckets', config => <<'END');
citadel_opt.slow_query_threshold = -1
citadel_opt.statement_flush_interval = '200ms'
citadel_opt.history_retention = '400d'
restart_after_crash = on
autovacuum = off
END
$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';

sub ask { my ($sql) = @_; return $node->safe_psql($db, $sql); }
my @staying;
sub collect { settle($node, @staying); return ask('SELECT citadel.collect()'); }
# After a restart the scheduler takes a moment.
sub collect_soon
{
	my $since = time;
	until (($node->psql($db, 'SELECT citadel.collect()', on_error_stop => 1))[0] == 0)
	{
		return 0 if time - $since > 60;
		usleep(200_000);
	}
	return 1;
}
# A table's name is the mark of a statement: it makes its query id.
sub mark { my ($mark) = @_; ask("CREATE TABLE $mark AS SELECT g AS id FROM generate_series(1, 100) g; ANALYZE $mark"); return; }
sub query_id
{
	my ($sql) = @_;
	my ($id) = ask("SET compute_query_id = on; EXPLAIN (VERBOSE) $sql") =~ /Query Identifier: (-?\d+)/;
	return $id;
}
sub calls { my ($id, $table) = @_; return ask('SELECT coalesce(sum(calls), 0) FROM citadel.statement_' . ($table // 'minute') . " WHERE query_id = $id"); }

# --- exact

mark('counted');
my $sql = 'SELECT count(*) FROM counted WHERE id = 7';
my $id = query_id($sql);
ask("$sql;" x 500);
$node->psql($db, 'SELECT 1 / (id - 7) FROM counted') foreach 1 .. 3;
collect();
is(ask("SELECT sum(calls), sum(errors), sum(rows), sum(citadel.latency_calls(latency)), count(DISTINCT plan_id) FROM citadel.statement_minute WHERE query_id = $id"),
	'500|0|500|500|1', 'every run is counted once');
is(ask('SELECT sum(calls), sum(errors), citadel.merge_error_classes(array_agg(error_classes)) FROM citadel.statement_minute
	WHERE error_classes IS NOT NULL AND query_id <> 0'), '3|3|{"22": 3}', 'and those that failed, by the class of the error');
is(ask("SELECT bool_and(citadel.latency_percentile(latency, 1) BETWEEN max_ms * 0.93 AND max_ms * 1.07
	AND total_ms <= max_ms * calls AND at = date_trunc('minute', at) AND toplevel)
	FROM citadel.statement_minute WHERE query_id = $id"), 't', 'with a latency histogram that agrees');

# What pg_stat_statements knows or forgets does not matter.
ask('SELECT count(*) FROM pg_stat_statements_reset()');
ask("$sql;" x 20);
collect();
is(calls($id), '520', 'a reset of pg_stat_statements changes nothing');

# --- an idle session reports without being asked, also after an error, which takes the server's timers away

mark('idle_mark');
my $idle_id = query_id('SELECT count(*) FROM idle_mark');
my $idle = $node->background_psql($db, on_error_stop => 0);
push @staying, $idle->query_safe('SELECT pg_backend_pid()');
$idle->query_safe('SELECT count(*) FROM idle_mark');
sub idle_calls
{
	my ($wanted) = @_;
	my $since = time;
	while (time - $since < 30)
	{
		collect();
		return 1 if calls($idle_id) == $wanted;
		usleep(100_000);
	}
	return 0;
}
ok(idle_calls(1), 'an idle session reports what it did');
$idle->query('SELECT count(*) FROM idle_mark; SELECT 1 / 0');
ok(idle_calls(2), 'also when an error was the last thing it did');
$idle->quit;
@staying = ();

# Without being asked a minute is stored soon after its end.
mark('minute_mark');
my $minute_id = query_id('SELECT count(*) FROM minute_mark');
ask('SELECT count(*) FROM minute_mark');
set_clock($node, $db, '1min');
ok($node->poll_query_until($db, "SELECT EXISTS (SELECT FROM citadel.statement_minute WHERE query_id = $minute_id)"),
	'the scheduler stores a minute once it is over');

# --- hours and days

collect();
my $total = calls($id);
set_clock($node, $db, '65min');
ask("$sql;" x 7);
collect();
set_clock($node, $db, '200min');
collect();
my $figures = 'sum(calls), sum(errors), round(sum(total_ms)::numeric, 6), max(max_ms), sum(rows), citadel.latency_merge(array_agg(latency))';
is(ask("SELECT $figures FROM citadel.statement_hour WHERE query_id = $id"), ask("SELECT $figures FROM citadel.statement_minute WHERE query_id = $id"),
	'hours are the sum of their minutes, histograms too');
is(calls($id, 'hour'), $total + 7, 'nothing is missing');
cmp_ok(ask("SELECT count(DISTINCT at) FROM citadel.statement_hour WHERE query_id = $id"), '>=', 2, 'of two hours');
my $classes = 'citadel.merge_error_classes(array_agg(error_classes) FILTER (WHERE error_classes IS NOT NULL))';
is(ask("SELECT $classes FROM citadel.statement_hour"), ask("SELECT $classes FROM citadel.statement_minute WHERE at < (SELECT done_until FROM citadel.bucket_state WHERE step = 'hour')"),
	'errors by class, too');
set_clock($node, $db, '2d');
collect();
is(ask("SELECT $figures FROM citadel.statement_day WHERE query_id = $id"), ask("SELECT $figures FROM citadel.statement_minute WHERE query_id = $id"),
	'and days that of their hours');

# --- the reports agree, whatever they are made of

foreach my $step ('1 minute', '30 minutes', '1 hour', '1 day')
{
	is(ask("SELECT sum(calls) FROM citadel.query_history($id, from_time => now() - interval '1 day', step => '$step')"), $total + 7, "query_history by $step");
}
is(ask("SELECT count(*), sum(calls), min(time_share) FROM citadel.plan_history($id)"), '1|' . ($total + 7) . '|1', 'plan_history');
is(ask("SELECT p95_ms = citadel.latency_percentile((SELECT citadel.latency_merge(array_agg(latency)) FROM citadel.statement_minute WHERE query_id = $id), 0.95),
	p50_ms <= p95_ms AND p95_ms <= p99_ms FROM citadel.analyze_slow_queries('3 days', min_mean_ms => 0, max_rows => 1000) WHERE query_id = $id"),
	't|t', 'analyze_slow_queries has the percentiles of all runs');

# --- the clock is put back: what comes late is summed up anew, and nothing twice

set_clock($node, $db, '0');
is(ask("SELECT p50_ms > 0 AND p50_ms <= p95_ms AND p95_ms <= p99_ms, errors FROM citadel.query_performance WHERE query_id = $id"), 't|0', 'query_performance has them, too');
ask("$sql;" x 11);
collect();
set_clock($node, $db, '2d');
collect();
foreach my $table (qw(minute hour day))
{
	is(calls($id, $table), $total + 7 + 11, "$table: right after the clock went back and forth");
}
is(ask('SELECT count(*) FROM (SELECT FROM citadel.statement_hour GROUP BY at, query_id, plan_id, user_id, toplevel HAVING count(*) > 1) AS d'),
	'0', 'an hour has one row a statement');
set_clock($node, $db, '0');

# --- bounds: all-unique statements

ask('ALTER SYSTEM SET citadel_opt.history_statements = 20');
$node->reload;
collect();
my $unique = join '', map { 'SELECT ' . join(', ', ('id') x $_) . ' FROM counted LIMIT 1;' } 1 .. 300;
my $before = ask('SELECT coalesce(sum(calls), 0) FROM citadel.statement_minute');
my $rows = ask('SELECT count(*) FROM citadel.statement_minute');
ask($unique);
# The scheduler may store a minute that ends just now by itself, and then on request the rest of them.
collect();
cmp_ok(ask('SELECT count(*) FROM citadel.statement_minute') - $rows, '<=', 2 * (20 + 2), '300 statements take 20 rows and one for the rest');
cmp_ok(ask('SELECT sum(calls) FROM citadel.statement_minute') - $before, '>=', 300, 'in which all of them are counted');
cmp_ok(ask('SELECT sum(calls) FROM citadel.statement_minute WHERE query_id = 0'), '>=', 250, 'the rest has query_id 0');
cmp_ok(ask('SELECT avg(pg_column_size(m.*)) FROM citadel.statement_minute AS m'), '<', 200, 'a row takes less than 200 bytes');
ask('ALTER SYSTEM RESET citadel_opt.history_statements');
$node->reload;

# --- restart and crash

collect();
$total = calls($id);
ask("$sql;" x 5);
collect();
$node->restart;
ok(collect_soon(), 'after a restart the scheduler answers');
is(calls($id), $total + 5, 'a restart keeps what was stored');
ask("$sql;" x 6);
collect();
is(calls($id), $total + 11, 'and capture goes on');

# kill -9 of a backend restarts the server: what was not stored yet (about a minute) is lost.
my $victim = $node->background_psql($db, on_error_stop => 0);
my $pid = $victim->query_safe('SELECT pg_backend_pid()');
$victim->query_safe($sql);
kill 'KILL', $pid;
eventually(60, sub { crashes($node) > 0 }) or die 'no crash';
eval { $victim->quit };
$node->poll_query_until('postgres', 'SELECT true') or die 'not back';
ok(collect_soon(), 'after kill -9 of a backend the scheduler answers again');
my $kept = calls($id);
ok($kept == $total + 11 || $kept == $total + 12, 'what was stored is there');
ask("$sql;" x 9);
collect();
is(calls($id), $kept + 9, 'and capture goes on');

# --- a partition dropped by hand is made again

# (That of now: some runs were under a clock that was ahead, maybe in another day.)
my $partition = ask("SELECT tableoid::regclass FROM citadel.statement_minute WHERE query_id = $id AND at <= citadel.history_clock() ORDER BY at DESC LIMIT 1");
ask("DROP TABLE $partition");
ask("$sql;" x 4);
collect();
is(ask("SELECT sum(calls) FROM citadel.statement_minute WHERE query_id = $id AND tableoid = '$partition'::regclass"), '4',
	'a partition dropped by hand is made again');

# --- retention: each step its own

ask("ALTER SYSTEM SET citadel_opt.minute_retention = '1d'");
ask("ALTER SYSTEM SET citadel_opt.hour_retention = '3d'");
ask("ALTER SYSTEM SET citadel_opt.day_retention = '8d'");
$node->reload;
sub maintain { return ask(q{DO $$ BEGIN PERFORM set_config('test.run', citadel.run_job('maintain')::text, false); END $$;
	CALL citadel.wait_for_job(current_setting('test.run')::bigint, '2 minutes')}); }
sub left { return join ',', map { ask("SELECT count(*) > 0 FROM citadel.statement_$_ WHERE query_id = $id") } qw(minute hour day); }
set_clock($node, $db, '60h');
collect();
maintain();
is(left(), 'f,t,t', 'minutes are dropped first');
set_clock($node, $db, '130h');
maintain();
is(left(), 'f,f,t', 'then hours');
set_clock($node, $db, '12d');
maintain();
is(left(), 'f,f,f', 'then days');

is(ask(q{SELECT string_agg(source || ': ' || failure, ', ') FROM citadel.snapshot_state WHERE failure IS NOT NULL}), '', 'nothing failed on the way');
done_testing();
