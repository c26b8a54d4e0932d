# A simulated day of statements to which nothing happens raises no alarm: steady, daily-seasonal and slowly growing ones. One
# that does become slower in it is found, so that the test can tell.
#
# The runs are put into the shared memory of the fast path; from there they go the server's own way: scheduler, minutes,
# baseline, regressions, alerts.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use JobsTest qw(eventually);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $each = 8; # statements of each kind
my $node = citadel_node('quiet_days', config => "citadel_opt.debug_clock_offset = '26h'\ncitadel_opt.alert_interval = '1s'\ncitadel_opt.history_statements = 1000\n");
$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';

sub ask { my ($sql) = @_; return $node->safe_psql($db, $sql); }

ask(q{CREATE FUNCTION simulate_load(bigint, bigint, bigint, float8, int) RETURNS boolean AS '$libdir/citadel_test', 'citadel_test_simulate_load' LANGUAGE C});

# Minutes are counted since 2000-01-01. One session for all, because the load of a statement goes on in it.
my $start = ask(q{SELECT (extract(epoch FROM date_trunc('hour', citadel.history_clock())) / 60)::bigint - 15778080 - 25 * 60});
ask(<<"END");
DO \$\$
DECLARE
	added boolean;
	waited int;
BEGIN
	FOR part IN 0 .. 143 LOOP
		SELECT bool_and(simulate_load(1000 + k * 100 + s, 1, $start + m,
			10 * s * CASE k WHEN 0 THEN 1
				WHEN 1 THEN exp(0.35 * sin(2 * pi() * (m % 1440) / 1440)) -- twice as slow at noon as at midnight
				WHEN 2 THEN 2 ^ (m / 1440.0) -- doubles in the day
				ELSE CASE WHEN m < 1200 THEN 1 ELSE 6 END END, 30)) INTO added
		FROM generate_series(part * 10, part * 10 + 9) AS m, generate_series(0, 3) AS k, generate_series(1, $each) AS s
		WHERE k < 3 OR s = 1;
		IF NOT added THEN
			RAISE 'no room for part %', part;
		END IF;
		-- Ten minutes at a time: what is older makes room there. The scheduler commits by itself, which nobody has to wait for in a transaction of his own.
		PERFORM citadel.collect('5 minutes');
	END LOOP;
END \$\$;
END
is(ask('SELECT count(DISTINCT query_id), count(DISTINCT at) FROM citadel.statement_minute WHERE query_id BETWEEN 1000 AND 2000'),
	(3 * $each + 1) . '|1440', 'a day of minutes is stored');
is(ask('SELECT sum(calls) FROM citadel.statement_minute WHERE query_id BETWEEN 1000 AND 2000'), (3 * $each + 1) * 1440 * 30, 'with all runs');
is(ask(q{SELECT count(*) FROM citadel.statement_minute WHERE query_id = 0}), '0', 'and no rest');
is(ask("SELECT string_agg(format('%s since minute %s: %s -> %s', query_id, (extract(epoch FROM since) / 60)::bigint - 15778080 - $start, usual_ms, ms), ', ')
	FROM citadel.regression WHERE query_id BETWEEN 1000 AND 1299"), '', 'steady, seasonal and growing load raise no alarm');
is(ask("SELECT (extract(epoch FROM since) / 60)::bigint - 15778080 - $start, state, ms > 4 * usual_ms FROM citadel.regression WHERE query_id = 1301"),
	'1200|open|t', 'what becomes slower is found, from its first minute on');
ok(eventually(30, sub { ask(q{SELECT string_agg(subject, ', ') FROM citadel.alert WHERE rule = 'regression'}) eq '1301' }), 'and makes the only alert');
is(ask(q{SELECT string_agg(source || ': ' || failure, ', ') FROM citadel.snapshot_state WHERE failure IS NOT NULL}), '', 'nothing failed on the way');
no_crash($node);
done_testing();
