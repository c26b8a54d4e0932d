# Statements become slower for known reasons, many at the same time, and each is found within two minutes with its own.
#
# CITADEL_ATTRIBUTION_RUNS (6) says how many: index dropped, statistics spoiled, parameter skew by turns, each with tables
# and details drawn from its seed. At least nine in ten have to be right.
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
my $runs = $ENV{CITADEL_ATTRIBUTION_RUNS} // 6;
my $node = citadel_node('attribution', config => <<'END');
citadel_opt.slow_query_threshold = '100ms'
citadel_opt.statement_flush_interval = '200ms'
max_parallel_workers_per_gather = 0
autovacuum = off
jit = off
END
$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';

sub ask { my ($sql) = @_; return $node->safe_psql($db, $sql); }

sub collect
{
	settle($node);
	ok(eventually(60, sub { ($node->psql($db, 'SELECT citadel.collect()', on_error_stop => 1))[0] == 0 }), 'collected') or die;
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

# A statement has: kind, what makes it (setup), the statement (sql), what happens (flip), and the statement then (after).
sub by_index
{
	my ($seed) = @_;
	my $t = "orders_$seed";
	my $rows = 60000 + 4000 * int(rand 10);
	my @drops = ("DROP INDEX ${t}_customer", "DROP INDEX CONCURRENTLY ${t}_customer", "DROP INDEX IF EXISTS nothing, ${t}_customer",
		"DO \$\$ BEGIN EXECUTE 'DROP INDEX ${t}_customer'; END \$\$");
	return {kind => 'index', setup => <<"END", sql => "SELECT count(*), max(note) FROM $t WHERE customer = 77", flip => $drops[rand @drops]};
CREATE TABLE $t AS SELECT g AS id, g % 20000 AS customer, repeat('x', 50) AS note FROM generate_series(1, $rows) g;
CREATE INDEX ${t}_customer ON $t (customer);
VACUUM ANALYZE $t;
END
}

sub by_statistics
{
	my ($seed) = @_;
	my $t = "tasks_$seed";
	my $rows = 60000 + 4000 * int(rand 10);
	my $spoiled = int($rows * (0.4 + 0.05 * int(rand 8)));
	my $vacuum = rand() < 0.5 ? "VACUUM $t;" : '';
	# ANALYZE ran at the wrong moment: a nested loop becomes a hash join of all.
	return {kind => 'statistics', setup => <<"END", sql => "SELECT count(*), max(d.note) FROM $t JOIN ${t}_detail d ON d.id = $t.id WHERE $t.state = 'open'", flip => <<"FLIP"};
CREATE TABLE $t AS SELECT g AS id, CASE WHEN g % 2000 = 0 THEN 'open' ELSE 'done' END AS state FROM generate_series(1, $rows) g;
CREATE INDEX ${t}_state ON $t (state);
CREATE TABLE ${t}_detail AS SELECT g AS id, repeat('x', 50) AS note FROM generate_series(1, $rows) g;
CREATE INDEX ${t}_detail_id ON ${t}_detail (id);
VACUUM ANALYZE $t, ${t}_detail;
END
UPDATE $t SET state = 'open' WHERE id <= $spoiled;
ANALYZE $t;
UPDATE $t SET state = 'done' WHERE id <= $spoiled AND id % 2000 <> 0;
$vacuum
FLIP
}

sub by_parameters
{
	my ($seed) = @_;
	my $t = "visits_$seed";
	my $rows = 60000 + 4000 * int(rand 10);
	my $share = 3 + int(rand 4);
	my $setup = <<"END";
CREATE TABLE $t AS SELECT g AS id, CASE WHEN g % 10 < $share THEN 1 ELSE g % 20000 END AS customer, repeat('x', 50) AS note
FROM generate_series(1, $rows) g;
CREATE INDEX ${t}_customer ON $t (customer);
CREATE INDEX ${t}_id ON $t (id);
VACUUM ANALYZE $t;
END
	return {kind => 'parameters', setup => $setup, sql => "SELECT count(*), max(note) FROM $t WHERE customer = 77", flip => '',
		after => "SELECT count(*), max(note) FROM $t WHERE customer = 1"}
	  if rand() < 0.6;
	# The same plan that reads much more.
	return {kind => 'parameters', setup => $setup, sql => "SELECT count(*), max(note) FROM $t WHERE id BETWEEN 100 AND 110", flip => '',
		after => "SELECT count(*), max(note) FROM $t WHERE id BETWEEN 100 AND 40000"};
}

my @makers = (\&by_index, \&by_statistics, \&by_parameters);
my @statements;
foreach my $seed (1 .. $runs)
{
	srand($seed);
	push @statements, {%{ $makers[$seed % 3]->($seed) }, seed => $seed};
}

# Those whose time comes later, and one to which nothing happens.
my %later = (
	setting => {kind => 'setting', setup => <<'END', sql => 'SELECT count(*), max(note) FROM settled WHERE customer = 77'},
CREATE TABLE settled AS SELECT g AS id, g % 20000 AS customer, repeat('x', 50) AS note FROM generate_series(1, 60000) g;
CREATE INDEX settled_customer ON settled (customer);
VACUUM ANALYZE settled;
END
	data => {kind => 'data', setup => <<'END', sql => 'SELECT count(*), max(note) FROM growing WHERE note IS NOT NULL'},
CREATE TABLE growing AS SELECT g AS id, repeat('x', 50) AS note FROM generate_series(1, 5000) g;
VACUUM ANALYZE growing;
END
	waiting => {kind => 'waiting', setup => <<'END', sql => 'UPDATE locked SET n = n + 1 WHERE id = 1'},
CREATE TABLE locked AS SELECT g AS id, 0 AS n FROM generate_series(1, 10) g;
VACUUM ANALYZE locked;
END
	trigger => {kind => 'ddl', setup => <<'END', sql => 'UPDATE guarded SET n = n + 1 WHERE id = 1'},
CREATE TABLE guarded AS SELECT g AS id, 0 AS n FROM generate_series(1, 10) g;
VACUUM ANALYZE guarded;
CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.03); RETURN NEW; END';
END
);
my $quiet = {kind => 'none', setup => <<'END', sql => 'SELECT count(*), max(note) FROM quiet WHERE customer = 77'};
CREATE TABLE quiet AS SELECT g AS id, g % 20000 AS customer, repeat('x', 50) AS note FROM generate_series(1, 60000) g;
CREATE INDEX quiet_customer ON quiet (customer);
VACUUM ANALYZE quiet;
END
# One that always has two plans, both far from slow.
my $two_plans = {kind => 'none', setup => <<'END', sql => join('; ', map { "SELECT count(*), max(note) FROM skewed WHERE customer = $_" } 77, 77, 77, 1)};
CREATE TABLE skewed AS SELECT g AS id, CASE WHEN g % 2 = 0 THEN 1 ELSE g % 20000 END AS customer, repeat('x', 50) AS note
FROM generate_series(1, 5000) g;
CREATE INDEX skewed_customer ON skewed (customer);
VACUUM ANALYZE skewed;
END
my @all = (@statements, $quiet, $two_plans, values %later);

foreach my $statement (@all)
{
	# ANALYZE in a session of its own: one that counts rows it inserted before would report them after it.
	my ($rest, $vacuum) = $statement->{setup} =~ /\A(.*)(VACUUM ANALYZE .*)\z/s;
	ask($rest);
	ask($vacuum);
	($statement->{id}) = ask("SET compute_query_id = on; EXPLAIN (VERBOSE) $statement->{sql}") =~ /Query Identifier: (-?\d+)/;
}

sub minute_of_load
{
	my (@which) = @_;
	ask(join('', map { "$_->{sql};" x 25 } @which));
	collect();
	minute_passes();
	return;
}

# An hour of history (yesterday's part of it, if it is that early, goes to a default partition), made of one minute that ran;
# a scheduler that starts learns from what is stored.
ask(join('', map { "$_->{sql};" x 25 } @all));
collect();
ask(<<'END');
CREATE TABLE citadel.statement_minute_before PARTITION OF citadel.statement_minute DEFAULT;
INSERT INTO citadel.statement_minute SELECT at - n * interval '1 minute', query_id, plan_id, calls, errors, total_ms, max_ms, rows, shared_hit,
	shared_read, temp_blocks, user_id, toplevel, latency, error_classes
FROM (SELECT * FROM citadel.statement_minute WHERE at = (SELECT max(at) FROM citadel.statement_minute)) AS m, generate_series(1, 60) AS n;
DELETE FROM citadel.table_delta;
END
$node->restart;
collect();
minute_passes();
minute_of_load(@all) foreach 1 .. 3;
is(ask("SELECT count(*), count(plan) FROM citadel.plan_history($two_plans->{id})"), '2|2', 'both plans of a fast statement that has two are known');

sub found_since
{
	my ($since, $statement) = @_;
	my ($cause, $why) = split /\|/, ask("SELECT cause, why FROM citadel.regression WHERE query_id = $statement->{id} AND since >= '$since' ORDER BY id LIMIT 1"), 2;
	return ($cause // 'not found', $why // '');
}

# For the log of a test that failed.
sub known_of
{
	my ($statement) = @_;
	return join("\n", ask("SELECT id, since, cause, evidence FROM citadel.regression WHERE query_id = $statement->{id}"),
		ask("SELECT at, plan_id, calls, round(total_ms) FROM citadel.statement_minute WHERE query_id = $statement->{id} ORDER BY at DESC LIMIT 10"),
		ask("SELECT plan_id, captured_at, length(plan::text) FROM citadel.plan WHERE query_id = $statement->{id}"),
		ask("SELECT citadel.history_clock(), now(), count(DISTINCT at) FROM citadel.statement_minute WHERE query_id = $statement->{id}"));
}

# All of them at once, beside things that have nothing to do with them.
my $since = ask(q{SELECT date_trunc('minute', citadel.history_clock())});
foreach my $statement (@statements)
{
	$node->safe_psql($db, $statement->{flip}) if $statement->{flip} ne '';
	$statement->{sql} = $statement->{after} if defined $statement->{after};
}
ask('CREATE TABLE other (a int); CREATE INDEX ON other (a); DROP TABLE other; ANALYZE settled; CREATE ROLE somebody; ALTER ROLE somebody SET work_mem = 12345');
minute_of_load(@all) foreach 1 .. 2;
my $right = 0;
foreach my $statement (@statements)
{
	my ($cause, $why) = found_since($since, $statement);
	++$right if $cause eq $statement->{kind};
	note("seed $statement->{seed}: $statement->{kind}, found: $cause: $why");
	diag("seed $statement->{seed}: $statement->{kind}, found: $cause: $why\n" . known_of($statement)) if $cause ne $statement->{kind};
}
diag("$right of $runs attributed rightly") if $runs > 6 || $right < $runs;
# Of a few, one may drown in what else the machine does; bench/history/attribution tries many.
cmp_ok($right, '>=', $runs > 10 ? 0.9 * $runs : $runs - 1, "at least nine of ten are found within two minutes and attributed rightly");
is(ask("SELECT count(*) FROM citadel.regression WHERE query_id = $quiet->{id}"), '0', 'what did not change is not found');
is(ask(<<"END"), 't', 'both plans are there to be read, also that of the fast statement');
SELECT bool_and(h.plan IS NOT NULL) AND count(*) = 2 FROM citadel.regression r, citadel.plan_history(r.query_id) h
WHERE r.query_id = (SELECT min(query_id) FROM citadel.regression WHERE cause = 'index' AND since >= '$since')
AND h.plan_id IN ((r.evidence ->> 'plan_before')::bigint, (r.evidence ->> 'plan_after')::bigint)
END
ok(eventually(60, sub { ask("SELECT EXISTS (SELECT FROM citadel.figure_value WHERE figure = 'regression' AND detail LIKE '%cause: index: index orders_%DROP INDEX%')") eq 't' }),
	'an alert says why');

# What needs a time of its own.
sub becomes_slower
{
	my ($which, $flip, $end) = @_;
	my $statement = $later{$which};
	my $from = ask(q{SELECT date_trunc('minute', citadel.history_clock())});
	$flip->();
	minute_of_load($statement) foreach 1 .. 2;
	my ($cause, $why) = found_since($from, $statement);
	is($cause, $statement->{kind}, "$which: $why")
	  or diag(ask("SELECT at, calls, total_ms FROM citadel.statement_minute WHERE query_id = $statement->{id} ORDER BY at DESC LIMIT 6"));
	$end->() if defined $end;
	return;
}

becomes_slower(
	'setting',
	sub {
		ask("ALTER SYSTEM SET $_ = off") foreach qw(enable_indexscan enable_bitmapscan enable_indexonlyscan);
		$node->reload;
		eventually(30, sub { ask('SHOW enable_indexonlyscan') eq 'off' }) or die;
	},
	sub {
		is(ask(q{SELECT string_agg(setting || ' ' || old_value || ' ' || new_value, ', ' ORDER BY setting) FROM citadel.setting_log WHERE setting LIKE 'enable%'}),
			'enable_bitmapscan on off, enable_indexonlyscan on off, enable_indexscan on off', 'the log of settings');
	});
becomes_slower('data', sub { ask("INSERT INTO growing SELECT g, repeat('x', 50) FROM generate_series(1, 200000) g") });
becomes_slower('trigger', sub { ask('CREATE TRIGGER guard BEFORE UPDATE ON guarded FOR EACH ROW EXECUTE FUNCTION guard()') });
# Twenty-one sessions that wait for one that holds the row.
sub minute_of_waiting
{
	my @psql = ('psql', '-XAtq', '-d', $node->connstr($db), '-c');
	my $holder = IPC::Run::start([@psql, 'BEGIN; UPDATE locked SET n = n + 1 WHERE id = 1; SELECT pg_sleep(1800)'], '>', '/dev/null', '2>', '/dev/null');
	eventually(60, sub { ask(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) eq '1' }) or die 'no lock';
	my @waiting = map { IPC::Run::start([@psql, $later{waiting}{sql}], '>', '/dev/null', '2>', '/dev/null') } 1 .. 21;
	eventually(60, sub { ask(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query_start < now() - interval '1 second'}) eq '21' })
	  or die 'nobody waits';
	ask(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
	$_->finish foreach $holder, @waiting;
	collect();
	minute_passes();
	return;
}
{
	my $from = ask(q{SELECT date_trunc('minute', citadel.history_clock())});
	minute_of_waiting() foreach 1 .. 2;
	my ($cause, $why) = found_since($from, $later{waiting});
	is($cause, 'waiting', "waiting: $why")
	  or diag(ask("SELECT at, calls, total_ms FROM citadel.statement_minute WHERE query_id = $later{waiting}{id} ORDER BY at DESC LIMIT 6"));
	like($why, qr/mainly Lock/, 'and what for');
}
is(ask(q{SELECT string_agg(source || ': ' || failure, ', ') FROM citadel.snapshot_state WHERE failure IS NOT NULL}), '', 'nothing failed on the way');
no_crash($node);
done_testing();
