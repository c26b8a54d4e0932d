# A statement loses its index: found within two minutes, with both plans, and over when the index is back.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $db = 'citadel_ai';
my $node = citadel_node('regressions', config => <<'END');
citadel_opt.slow_query_threshold = -1
citadel_opt.statement_flush_interval = '200ms'
max_parallel_workers_per_gather = 0
autovacuum = off
jit = off
END
$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';

sub ask { my ($sql) = @_; return $node->safe_psql($db, $sql); }
sub collect_soon
{
	settle($node);
	my $since = time;
	until (($node->psql($db, 'SELECT citadel.collect()', on_error_stop => 1))[0] == 0)
	{
		die 'no answer' if time - $since > 60;
		usleep(200_000);
	}
	return;
}
# Minutes pass by the clock of the extension.
my $minutes = 0;
sub minute_passes
{
	++$minutes;
	set_clock($node, $db, "${minutes}min");
	return;
}
my $sql = 'SELECT count(*) FROM orders WHERE customer = 77';
sub minute_of_load { ask("$sql;" x 40); collect_soon(); minute_passes(); return; }

ask(<<'END');
CREATE TABLE orders AS SELECT g AS id, g % 50000 AS customer, repeat('x', 50) AS note FROM generate_series(1, 300000) g;
CREATE INDEX orders_customer ON orders (customer);
VACUUM ANALYZE orders;
END
my ($id) = ask("SET compute_query_id = on; EXPLAIN (VERBOSE) $sql") =~ /Query Identifier: (-?\d+)/;

# An hour of history (yesterday's part of it, if it is that early, goes to a default partition), made of one minute that ran; a scheduler that starts learns from what is stored.
ask("$sql;" x 40);
collect_soon();
is(ask("SELECT count(*) > 0 FROM citadel.statement_minute WHERE query_id = $id"), 't', 'a minute is stored');
ask(<<"END");
CREATE TABLE citadel.statement_minute_before PARTITION OF citadel.statement_minute DEFAULT;
INSERT INTO citadel.statement_minute SELECT at - n * interval '1 minute', query_id, plan_id, calls, errors, total_ms, max_ms, rows, shared_hit,
	shared_read, temp_blocks, user_id, toplevel, latency, error_classes
FROM (SELECT * FROM citadel.statement_minute WHERE query_id = $id ORDER BY at DESC LIMIT 1) AS m, generate_series(1, 60) AS n;
END
$node->restart;
collect_soon();
minute_passes();

minute_of_load() foreach 1 .. 3;
is(ask('SELECT count(*) FROM citadel.regression'), '0', 'nothing is wrong yet');

ask('DROP INDEX orders_customer');
minute_of_load() foreach 1 .. 2;
is(ask("SELECT state, cause, usual_ms < 2, ms > 3 * usual_ms FROM citadel.regression WHERE query_id = $id"), 'open|plan|t|t',
	'a lost index is found within two minutes, and that the plan has changed (of which tables nobody knows without samples)');
is(ask("SELECT (SELECT array_agg(plan_id ORDER BY first_seen) FROM citadel.plan_history($id))
	= ARRAY[(evidence ->> 'plan_before')::bigint, (evidence ->> 'plan_after')::bigint] FROM citadel.regression WHERE query_id = $id"),
	't', 'with both plans');
is(ask("SELECT count(*) FROM citadel.regression"), '1', 'and nothing else');

# A restart does not forget it, and does not find it twice.
$node->restart;
collect_soon();
minute_of_load() foreach 1 .. 2;
is(ask("SELECT count(*), min(state), bool_and(last_seen > since + interval '1 minute') FROM citadel.regression"), '1|open|t', 'a restart does not find it again');
ok($node->poll_query_until($db, "SELECT EXISTS (SELECT FROM citadel.figure_value WHERE figure = 'regression' AND subject = '$id' AND value > 1.5)"),
	'alerts read it as a figure');

ask('CREATE INDEX orders_customer ON orders (customer)');
# At least six minutes as they were before; a busy machine has others among them.
foreach (1 .. 24)
{
	minute_of_load();
	last if ask('SELECT min(state) FROM citadel.regression') eq 'over';
}
is(ask("SELECT count(*), min(state), bool_and(closed_at > since) FROM citadel.regression"), '1|over|t', 'it is over when the index is back');

is(ask(q{SELECT string_agg(source || ': ' || failure, ', ') FROM citadel.snapshot_state WHERE failure IS NOT NULL}), '', 'nothing failed on the way');
done_testing();
