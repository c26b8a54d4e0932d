# From a slow statement to analyze_slow_queries: in time, to whom it belongs, and whatever happens meanwhile.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use JobsTest qw(eventually);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $db = 'citadel_ai';
my $interval = 2;
my $node = citadel_node('history', config => <<END);
citadel_opt.sample_interval = '${interval}s'
citadel_opt.slow_query_threshold = '100ms'
autovacuum = off
END

# The scheduler runs once a collect() was answered.
$node->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.snapshot_state") or die 'no scheduler';
$node->safe_psql($db, <<'END');
SELECT citadel.collect();
CREATE ROLE app LOGIN;
CREATE ROLE other LOGIN;
CREATE TABLE orders AS SELECT g AS id, g % 1000 AS customer, repeat('x', 100) AS note FROM generate_series(1, 200000) g;
ANALYZE orders;
GRANT SELECT ON orders TO app;
END

# Statements that differ in a column's name alone are one statement (same query id), hence the odd columns below.

# --- in time

$node->safe_psql($db, 'SELECT pg_sleep(0.3) FROM orders WHERE id = 77');
my $ended = time;
my $shown = eventually($interval + 2, sub { $node->safe_psql($db,
		q{SELECT count(*) FROM citadel.analyze_slow_queries() WHERE query LIKE 'SELECT pg_sleep%orders%'}) });
is($shown, 1, 'a slow statement shows by itself (took ' . sprintf('%.1f', time - $ended) . ' s)');

is($node->safe_psql($db, <<'END'), '1|t|t|t|t|SELECT pg_sleep($1) FROM orders WHERE id = $2', 'and it has its figures');
SELECT calls, total_ms BETWEEN 300 AND 5000, max_ms = total_ms, mean_ms = total_ms, load_share BETWEEN 0 AND 1, query
FROM citadel.analyze_slow_queries() WHERE query LIKE 'SELECT pg_sleep%orders%'
END
# Once pg_stat_statements' snapshot has counted it too, it is still one run.
$node->safe_psql($db, 'SELECT citadel.collect()');
is($node->safe_psql($db, q{SELECT calls FROM citadel.analyze_slow_queries() WHERE query LIKE 'SELECT pg_sleep%orders%'}),
	'1', 'which a snapshot does not count twice');

# --- causes

foreach (1 .. 3)
{
	$node->safe_psql($db, q{SET citadel_opt.slow_query_threshold = 1; SELECT count(*) FROM orders WHERE customer = 7});
}
$node->safe_psql($db, 'SELECT citadel.collect()');
my $causes = $node->safe_psql($db,
	q{SELECT causes FROM citadel.analyze_slow_queries() WHERE query = 'SELECT count(*) FROM orders WHERE customer = $1'});
like($causes, qr/sequential scan on public\.orders reads (about )?\d+,\d+ rows and keeps \d+ \(0\.1 %/, 'the cause is named');

$node->psql($db, q{SET statement_timeout = '1s'; SELECT pg_sleep(20), true AS stopped});
$node->safe_psql($db, 'SELECT citadel.collect()');
like($node->safe_psql($db, q{SELECT causes FROM citadel.analyze_slow_queries() WHERE query LIKE '%AS stopped'}),
	qr/1 of 1 slow runs did not finish: 1 stopped by statement_timeout/, 'a statement that timed out is there, and says so');

# --- whose

$node->safe_psql($db, 'SELECT pg_sleep(0.2) AS of_app', extra_params => [ '-U', 'app' ]);
$node->safe_psql($db, 'SELECT citadel.collect()');
is($node->safe_psql($db, 'SELECT query FROM citadel.analyze_slow_queries()', extra_params => [ '-U', 'app' ]),
	'SELECT pg_sleep($1) AS of_app', 'an ordinary user sees its own statements');
is($node->safe_psql($db, 'SELECT count(*) FROM citadel.analyze_slow_queries(min_mean_ms => 0)', extra_params => [ '-U', 'other' ]),
	'0', 'and nobody else\'s');
error_is($node, $db, 'SET ROLE app; SELECT citadel.collect()', { sqlstate => '42501' }, 'collect() is not for everybody');

# --- parameters are stored only when asked for

$node->safe_psql($db, 'SELECT citadel.collect()');
is($node->safe_psql($db, 'SELECT count(*) FROM citadel.parameter_set'), '0', 'no literal is stored by default');
is($node->safe_psql($db, q{SELECT count(*) FROM citadel.statement s, citadel.plan p WHERE s.query || p.plan::text LIKE '%0.3%'}),
	'0', 'nor in texts and plans');
$node->safe_psql($db, q{ALTER SYSTEM SET citadel_opt.sample_parameters = 'store'});
$node->reload;
usleep(500_000);
$node->safe_psql($db, q{SELECT pg_sleep(0.2), 'secret' AS stored});
$node->safe_psql($db, 'SELECT citadel.collect()');
is($node->safe_psql($db, q{SELECT literals FROM citadel.parameter_set JOIN citadel.statement USING (query_id, user_id)
	WHERE query LIKE '%AS stored'}), q{{0.2,'secret'}}, 'with sample_parameters = store they are');
error_is($node, $db, 'SET ROLE pg_monitor; SELECT * FROM citadel.parameter_set', { sqlstate => '42501' },
	'for superusers alone');

# --- what else may happen

$node->safe_psql($db, 'DROP TABLE orders');
like($node->safe_psql($db, q{SELECT causes FROM citadel.analyze_slow_queries() WHERE query = 'SELECT count(*) FROM orders WHERE customer = $1'}),
	qr/no plan|none found|sequential scan on public\.orders/, 'a relation dropped between capture and report is no error');

# A tick that fails leaves its samples for the next one.
$node->safe_psql($db, q{ALTER SYSTEM SET citadel_opt.sample_interval = '1h'});
$node->reload;
$node->safe_psql($db, 'SELECT pg_sleep(0.2), 1, 2 AS kept_meanwhile');
my $blocker = $node->background_psql($db);
$blocker->query_safe('BEGIN; LOCK TABLE citadel.sample IN ACCESS EXCLUSIVE MODE;');
error_is($node, $db, q{SELECT citadel.collect('1 second')}, { sqlstate => '55000' }, 'collect() gives up after its timeout');
$blocker->query_safe('SELECT pg_sleep(6)');    # past the scheduler's lock_timeout
$blocker->quit;
$node->safe_psql($db, 'SELECT citadel.collect()');
is($node->safe_psql($db, q{SELECT count(*) FROM citadel.sample JOIN citadel.statement USING (query_id, user_id)
	WHERE query LIKE '%kept_meanwhile'}), '1',
	'samples that could not be stored are stored later');
is($node->safe_psql($db, 'SELECT count(*) FROM citadel.snapshot_state WHERE failure IS NOT NULL'), '0',
	'and the source is well again');

# By itself the scheduler comes when the interval is over, and not before; on a clock that is moved, for an hour is long.
sub of_interval { return $node->safe_psql($db, q{SELECT count(*) FROM citadel.sample JOIN citadel.statement USING (query_id, user_id) WHERE query LIKE '%by_interval'}); }
my $cycles = "SELECT cycles FROM citadel.worker_status() WHERE kind = 'scheduler' AND database = '$db'";
$node->safe_psql($db, 'SELECT pg_sleep(0.2), 1, 2, 3 AS by_interval');
set_clock($node, $db, '50min');
my $passed = $node->safe_psql($db, $cycles);
$node->poll_query_until($db, "SELECT ($cycles) > $passed + 1") or die 'the scheduler stands still';
is(of_interval(), '0', 'a sample waits for the sample_interval');
set_clock($node, $db, '61min');
is(eventually(10, \&of_interval), '1', 'and is stored after it');
set_clock($node, $db, '0');

# Two databases do not see each other's.
$node->safe_psql('postgres', 'CREATE DATABASE second');
create_citadel($node, 'second');
$node->poll_query_until('second', "SELECT count(*) > 0 FROM citadel.snapshot_state") or die 'no scheduler in second';
$node->safe_psql('second', 'SELECT pg_sleep(0.2) AS in_second');
$node->safe_psql('second', 'SELECT citadel.collect()');
$node->safe_psql($db, 'SELECT citadel.collect()');
# (On a busy machine other statements of the test may be slow as well.)
is($node->safe_psql('second', q{SELECT query FROM citadel.analyze_slow_queries() WHERE query LIKE '%pg_sleep%'}), 'SELECT pg_sleep($1) AS in_second',
	'each database has its own history');
is($node->safe_psql($db, q{SELECT count(*) FROM citadel.analyze_slow_queries() WHERE query LIKE '%in_second'}), '0',
	'and no other\'s');
$node->safe_psql('postgres', 'DROP DATABASE second');
pass('a database with history can be dropped');

# DROP EXTENSION takes all of it, partitions too; a new one starts empty.
$node->safe_psql($db, 'DROP EXTENSION citadel_opt');
is($node->safe_psql($db, q{SELECT count(*) FROM pg_namespace WHERE nspname = 'citadel'}), '0', 'DROP EXTENSION leaves nothing');
$node->safe_psql($db, 'CREATE EXTENSION citadel_opt');
is($node->safe_psql($db, q{SELECT count(*) FROM citadel.analyze_slow_queries() WHERE query LIKE '%pg_sleep%'}), '0', 'and starts anew');

$node->stop('fast');
no_crash($node);

# Without preload the reports work over what there is, and collect() says what it needs.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements'\ncitadel_opt.sample_interval = '1h'");
$node->start;
is($node->safe_psql($db, q{SELECT count(*) FROM citadel.analyze_slow_queries() WHERE query LIKE '%pg_sleep%'}), '0',
	'reports work without preload');
error_is($node, $db, 'SELECT citadel.collect()', { sqlstate => '55000', hint => qr/shared_preload_libraries/ },
	'collect() needs it');
$node->stop('fast');
done_testing();
