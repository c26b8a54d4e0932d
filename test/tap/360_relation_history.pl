# Tables and indexes over time, by the real path: minutes, hours and days summed up by the scheduler under a moved clock;
# renamed, detached, dropped and reindexed ones; a dump; retention.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('relations', config => "citadel_opt.sample_interval = '1h'\nautovacuum = off\n");
$node->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.snapshot_state") or die 'no scheduler';

sub query { my ($sql, $database) = @_; return $node->safe_psql($database // $db, $sql); }
sub collect { settle($node); return query('SELECT citadel.collect()', @_); }
# The extension's clock, so many hours ahead; begins at the middle of an hour, so that minutes stay in theirs.
my $to_middle = query(q{SELECT extract(epoch FROM date_trunc('day', now(), 'UTC') + interval '1 day 2 hours 30 minutes' - now())::bigint});
sub clock
{
	my ($hours) = @_;
	set_clock($node, $db, ($to_middle + $hours * 3600) . 's');
	return;
}
sub history { my ($what, $hours, $columns) = @_; return query(<<"END"); }
SELECT $columns FROM citadel.table_history($what, citadel.history_clock() - interval '$hours hours', step => '1 hour')
END

query(<<'END');
CREATE TABLE grown (id int PRIMARY KEY, v text);
CREATE TABLE parted (id int, at int) PARTITION BY RANGE (at);
CREATE INDEX parted_at ON parted (at);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
CREATE ROLE owner_1;
CREATE TABLE theirs (x int);
ALTER TABLE theirs OWNER TO owner_1;
END
clock(0);
collect();
foreach my $hour (1 .. 3)
{
	clock($hour);
	query('INSERT INTO grown SELECT g, repeat(md5(g::text), 10) FROM generate_series(' . (1000 * $hour) . ', ' . (1000 * $hour + 999) . ') AS g');
	query("INSERT INTO parted SELECT g, g % 20 FROM generate_series(1, 2000) AS g; INSERT INTO theirs VALUES (1)");
	query("SET enable_seqscan = off; SELECT v FROM grown WHERE id = $_") for 1000 .. 1004;
	query('SET enable_seqscan = off; SELECT count(*) FROM parted WHERE at = 3');
	collect();
}
is(query("SELECT failure FROM citadel.snapshot_state WHERE source = 'relations'"), '', 'measuring and summing up work');
is(query(q{SELECT count(*) FROM citadel.table_hour h JOIN citadel.watched_relation w USING (relation_id) WHERE relation_name = 'grown'}), '3',
	'an hour that is over has a row, and the one in which it was first measured');
is(history(q{'grown'}, 4, q{string_agg(rows_inserted || ' ' || live_rows, ', ' ORDER BY at) FILTER (WHERE rows_inserted > 0)}),
	'1000 1000, 1000 2000, 1000 3000', 'rows hour by hour, of hours and of the running one');
is(history(q{'grown'}, 4, q{bool_and(total_bytes = table_bytes + index_bytes) AND max(total_bytes) = pg_total_relation_size('grown')}), 't',
	'and the size on disk');
# An hour before that of the first measurement is there when what CREATE TABLE did was counted in it.
is(history(q{'grown'}, 4, q{array_agg(total_bytes ORDER BY at) FILTER (WHERE total_bytes IS NOT NULL)
	= array_agg(DISTINCT total_bytes) FILTER (WHERE total_bytes IS NOT NULL) AND count(total_bytes) >= 3}), 't', 'that grows');
is(history(q{'parted'}, 4, q{string_agg(rows_inserted || ' ' || live_rows, ', ' ORDER BY at) FILTER (WHERE rows_inserted > 0)}),
	'2000 2000, 2000 4000, 2000 6000', 'a partitioned table is the sum of its partitions');
is(query(q{SELECT sum(scans) || ' ' || sum(rows_fetched) FROM citadel.index_history('grown')}), '15 15', 'scans of an index');
is(query(q{SELECT sum(scans) || ' ' || max(size_bytes) FROM citadel.index_history('parted_at')}), '3 '
	. query(q{SELECT sum(pg_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'parted_at'::regclass}), 'of one over partitions');
is(query('SET ROLE owner_1; SELECT string_agg(DISTINCT table_name, \',\'), sum(rows_inserted) FROM citadel.table_history()'), 'theirs|3',
	'owners see their own tables');

# Names, partitions and OIDs change.
my ($oid, $part, $index) = map { query("SELECT '$_'::regclass::oid") } qw(theirs part_1 grown_pkey);
query('ALTER TABLE grown RENAME TO "Grown Up"; ALTER TABLE parted DETACH PARTITION part_1; DROP TABLE theirs');
query('REINDEX INDEX CONCURRENTLY grown_pkey');
clock(4);
query('INSERT INTO part_1 VALUES (1, 1), (2, 2)');
collect();
is(query(q{SELECT max(table_name) || ' ' || sum(rows_inserted) FROM citadel.table_history('"Grown Up"', citadel.history_clock() - interval '5 hours')}),
	'Grown Up 3000', 'a renamed table keeps its history');
is(query(qq{SELECT table_name || ' ' || sum(rows_inserted) || ' ' || (array_agg(total_bytes ORDER BY at DESC))[1] FROM citadel.table_history($oid) GROUP BY table_name}),
	'theirs 3 0', 'a dropped one too, by its OID');
is(history(q{'parted'}, 1, 'live_rows'), "6000\n3000", 'a detached partition leaves the sum');
is(query(q{SELECT sum(rows_inserted) FROM citadel.table_history('parted')}), '6000', 'what was done in it before stays');
is(query(qq{SELECT string_agg(table_name || ' ' || rows_inserted, ', ' ORDER BY at) FROM citadel.table_history(NULL, citadel.history_clock() - interval '1 hour') WHERE relation = $part AND rows_inserted > 0}),
	'part_1 2', 'it goes on alone');
isnt(query("SELECT 'grown_pkey'::regclass::oid"), $index, 'REINDEX CONCURRENTLY makes another index');
is(query(q{SELECT sum(scans) FROM citadel.index_history('grown_pkey')}), '15', 'that takes the history over');

# Days; a clock that was put back; nothing twice.
clock(26);
query('INSERT INTO "Grown Up" SELECT g, NULL FROM generate_series(1, 10) AS g');
collect();
is(query(q{SELECT sum(rows_inserted) FROM citadel.table_day JOIN citadel.watched_relation USING (relation_id) WHERE relation_name = 'Grown Up'}), '3000',
	'a day that is over is summed up');
is(query(q{SELECT string_agg(rows_inserted::text, ',' ORDER BY at) FROM citadel.table_history('"Grown Up"', citadel.history_clock() - interval '30 days') WHERE rows_inserted > 0}),
	'3000,10', 'and read');
clock(2);
collect();
clock(27);
collect();
is(query(q{SELECT sum(rows_inserted) FROM citadel.table_history('"Grown Up"', citadel.history_clock() - interval '3 days', step => '1 day')}), '3010',
	'a clock that went back and forth counts nothing twice');
$node->restart;
$node->poll_query_until($db, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' AND datname = current_database()});
is(query(q{SELECT sum(rows_inserted) FROM citadel.table_history('"Grown Up"', citadel.history_clock() - interval '3 days', step => '1 day')}), '3010',
	'a restart changes nothing');

# A dump takes days and names along; OIDs are new there, and what else has the old ones is not mistaken for them.
my $before = query(q{SELECT count(*), sum(rows_inserted) FROM citadel.table_day});
my $dump = $node->backup_dir . '/relations.dump';
command_ok([ 'pg_dump', '--format=custom', "--file=$dump", '--dbname=' . $node->connstr($db) ], 'a dump');
query('CREATE DATABASE copy', 'postgres');
command_ok([ 'pg_restore', '--dbname=' . $node->connstr('copy'), $dump ], 'restored');
$node->poll_query_until('copy', "SELECT count(*) > 0 FROM citadel.snapshot_state") or die 'no scheduler in the copy';
collect('copy');
is(query(q{SELECT failure FROM citadel.snapshot_state WHERE source = 'relations'}, 'copy'), '', 'the copy is measured');
is(query(q{SELECT sum(rows_inserted) FROM citadel.table_history('"Grown Up"', citadel.history_clock() - interval '3 days', step => '1 day')}, 'copy'),
	'3010', 'and knows its tables again');
is(query(q{SELECT count(*) FROM citadel.table_history(NULL, citadel.history_clock() - interval '3 days', step => '1 day') WHERE table_name = 'theirs'}, 'copy'), '1',
	'those that were gone have their names');

# Retention.
query(q{ALTER SYSTEM SET citadel_opt.day_retention = '10d'});
clock(24 * 20);
my $run = query(q{SELECT citadel.run_job('maintain')});
query("CALL citadel.wait_for_job($run, '5 minutes')");
is(query(q{SELECT count(*) FROM citadel.table_day}), '0', 'days are deleted');
is(query(q{SELECT count(*) FROM citadel.watched_relation WHERE relation_name = 'theirs'}), '0', 'and names of what is gone');
is(query(q{SELECT count(*) > 0 FROM citadel.watched_relation WHERE relation_name = 'Grown Up'}), 't', 'not of what is there');
like(query(q{SELECT citadel.health() -> 'history'}), qr/"bytes"|bytes/, 'health() counts the bytes');
$node->stop('fast');
no_crash($node);
done_testing();
