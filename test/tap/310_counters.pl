# Deltas of the server's counters through resets, crashes, restarts, and sources that cannot be read.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('counters', config => "citadel_opt.sample_interval = '1h'\nautovacuum = off\nrestart_after_crash = on\n");
$node->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.snapshot_state") or die 'no scheduler';

# A scheduler that has just come back takes a moment until it answers.
sub collect { settle($node); $node->poll_query_until($db, 'SELECT true FROM citadel.collect()') or die 'no scheduler answers'; return; }
sub calls   { return $node->safe_psql($db, q{SELECT sum(calls) FROM citadel.statement_delta d JOIN citadel.statement s USING
	(query_id, user_id) WHERE query = 'SELECT count(*) FROM counted'}); }
sub total { my ($column) = @_; return $node->safe_psql($db,
	"SELECT coalesce(sum($column), 0) FROM citadel.table_delta WHERE table_name = 'counted'"); }
sub usage { my ($column) = @_; return $node->safe_psql($db,
	"SELECT $column FROM citadel.index_counter WHERE index_name = 'counted_pkey'"); }
sub run { my ($times) = @_; $node->safe_psql($db, join(';', ('SELECT count(*) FROM counted') x $times)); return; }
sub insert { my ($rows) = @_; $node->safe_psql($db, "INSERT INTO counted (v) SELECT g FROM generate_series(1, $rows) g"); settle($node); return; }
sub look_up { my ($times) = @_; $node->safe_psql($db,
	'SET enable_seqscan = off;' . join(';', ('SELECT v FROM counted WHERE id = 1') x $times)); settle($node); return; }

# What happened before the first snapshot is not this window's.
$node->safe_psql($db, 'CREATE TABLE counted (id serial PRIMARY KEY, v int)');
collect();
run(5);
insert(100);
look_up(7);
collect();
is(calls(), '5', 'calls of a statement');
is(total('rows_inserted'), '100', 'rows inserted');
is(usage('scans_total'), '7', 'index scans');
is($node->safe_psql($db, q{SELECT sum(scans) FROM citadel.index_delta WHERE index = 'counted_pkey'::regclass}), '7',
	'index scans of the window');
is(usage('last_used > now() - interval \'1 minute\''), 't', 'an index has a time of last use');
collect();
is(calls() . '/' . total('rows_inserted') . '/' . usage('scans_total'), '5/100/7', 'a snapshot without activity adds nothing');

# --- resets

run(1);
$node->safe_psql($db, 'SELECT pg_stat_statements_reset()');
run(3);
collect();
is(calls(), '8', 'pg_stat_statements_reset(): what ran since the last snapshot and before the reset is lost, no more');
$node->safe_psql($db, 'SELECT pg_stat_statements_reset()');
run(9);    # more than before the reset: not lower, yet all of it is new
collect();
is(calls(), '17', 'also when the count has already passed the old one');

$node->safe_psql($db, 'SELECT pg_stat_reset()');
insert(50);
look_up(2);
collect();
is(total('rows_inserted'), '150', 'pg_stat_reset(): table counters go on');
is(usage('scans_total'), '9', 'index counters go on');
$node->safe_psql($db, q{SELECT pg_stat_reset_single_table_counters('pg_class'::regclass)});
insert(10);
collect();
is(total('rows_inserted'), '160', 'a reset of another table changes nothing');

# --- an index goes: the table's scans by index are fewer then, and nothing was reset

$node->safe_psql($db, 'CREATE INDEX counted_v ON counted (v)');
$node->safe_psql($db, 'SET enable_seqscan = off; SELECT id FROM counted WHERE v = 1');
collect();
$node->safe_psql($db, 'DROP INDEX counted_v');
collect();
is(total('rows_inserted'), '160', 'a dropped index counts nothing again');

# --- crashes and restarts

insert(5);
collect();
my $pid = $node->safe_psql($db, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' AND datname = current_database()});
like($pid, qr/^\d+$/, 'the scheduler runs');
kill 'KILL', $pid;
$node->poll_query_until($db, qq{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' AND datname = current_database() AND pid <> $pid})
	or die 'the scheduler did not come back';
insert(3);
run(2);
look_up(4);
collect();
is(total('rows_inserted'), '168', 'kill -9: the counters began anew, the deltas did not');
is(calls(), '19', 'nor those of statements');
is(usage('scans_total'), '13', 'nor those of indexes');

$node->stop('immediate');
$node->start;
$node->poll_query_until($db, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' AND datname = current_database()}) or die;
insert(2);
run(1);
collect();
is(total('rows_inserted') . '/' . calls(), '170/20', 'an immediate stop likewise');

$node->restart;
$node->poll_query_until($db, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' AND datname = current_database()}) or die;
insert(2);
run(1);
collect();
is(total('rows_inserted') . '/' . calls(), '172/21', 'a clean restart keeps counters and adds nothing twice');
is($node->safe_psql($db, 'SELECT count(*) FROM citadel.statement_delta WHERE calls < 0 OR total_ms < 0 OR rows < 0'), '0',
	'no delta is ever negative');
is($node->safe_psql($db, 'SELECT count(*) FROM citadel.table_delta WHERE least(seq_scans, rows_inserted, rows_updated) < 0'), '0',
	'nor one of tables');

# --- names, other sources

$node->safe_psql($db, 'ALTER INDEX counted_pkey RENAME TO "Renamed Key"');
collect();
is($node->safe_psql($db, q{SELECT scans_total FROM citadel.index_counter WHERE index_name = 'Renamed Key'}), '13',
	'a renamed index keeps its history');
$node->safe_psql($db, 'REINDEX TABLE CONCURRENTLY counted');
collect();
is($node->safe_psql($db, q{SELECT scans_total FROM citadel.index_counter WHERE index = '"Renamed Key"'::regclass}), '13',
	'and one that REINDEX CONCURRENTLY replaced');
$node->safe_psql($db, 'DROP TABLE counted');
collect();
is($node->safe_psql($db, q{SELECT count(*) FROM citadel.index_counter WHERE index_name = 'Renamed Key'}), '0',
	'a dropped index is forgotten');

$node->safe_psql($db, 'CREATE SCHEMA "Odd Place"; ALTER EXTENSION pg_stat_statements SET SCHEMA "Odd Place"');
$node->safe_psql($db, 'SELECT 1 + 1 AS moved');
collect();
is($node->safe_psql($db, q{SELECT sum(calls) FROM citadel.statement_delta d JOIN citadel.statement s USING (query_id, user_id)
	WHERE query = 'SELECT $1 + $2 AS moved'}), '1', 'pg_stat_statements is found wherever it is');

# A utility statement's text is not kept, its figures are.
$node->safe_psql($db, q{CREATE ROLE hidden PASSWORD 'do not keep'});
collect();
is($node->safe_psql($db, q{SELECT count(*) FROM citadel.statement WHERE query ~* 'create role|do not keep'}), '0',
	'the text of a utility statement is not stored');
is($node->safe_psql($db, q{SELECT count(*) > 0 FROM citadel.statement_delta d LEFT JOIN citadel.statement s USING (query_id, user_id)
	WHERE s.query IS NULL AND d.query_id <> 0}), 't', 'its figures are');

# More statements than rows are kept for: the rest is one row, and nothing is lost from the sum.
$node->safe_psql($db, join(';', map { 'SELECT ' . join(',', (1) x $_) } 1 .. 600));
my $before = $node->safe_psql($db, 'SELECT coalesce(sum(calls), 0) FROM citadel.statement_delta');
collect();
is($node->safe_psql($db, q{SELECT count(*), count(*) FILTER (WHERE query_id = 0), sum(calls) >= 600 FROM citadel.statement_delta
	WHERE at = (SELECT max(at) FROM citadel.statement_delta)}), '501|1|t', 'at most 500 statements a snapshot, and one row for the rest');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'citadel_opt'");
$node->restart;
$node->poll_query_until($db, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' AND datname = current_database()}) or die;
$node->safe_psql($db, 'CREATE TABLE still (id int); INSERT INTO still VALUES (1)');
collect();
like($node->safe_psql($db, q{SELECT failure FROM citadel.snapshot_state WHERE source = 'statements'}),
	qr/pg_stat_statements must be loaded/, 'a source that cannot be read is reported');
is($node->safe_psql($db, q{SELECT rows_inserted FROM citadel.table_delta WHERE table_name = 'still'}), '1',
	'and does not stop the others');

$node->stop('fast');
is(crashes($node), 1, 'the server saw the one crash that was made');
done_testing();
