# Days of history are days of UTC, of 24 hours, also where the server's time zone puts its clock forward or back.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('time_zone', config => <<'END');
timezone = 'Europe/Berlin'
citadel_opt.hour_retention = '36500d'
citadel_opt.minute_retention = '36500d'
citadel_opt.history_retention = '36500d'
autovacuum = off
END
$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';

sub ask { my ($sql) = @_; return $node->safe_psql($db, $sql); }
sub collect { settle($node); return ask('SELECT citadel.collect()'); }

# One run and one scan in each hour, about both changes of the clock in 2024.
ask('CREATE TABLE scanned (id int)');
collect();
ask(<<'END');
BEGIN;
CREATE TABLE citadel.statement_hour_2024 PARTITION OF citadel.statement_hour FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2025-01-01 00:00+00');
CREATE TABLE citadel.table_delta_2024 PARTITION OF citadel.table_delta FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2025-01-01 00:00+00');
CREATE TEMP TABLE hours AS SELECT at FROM (VALUES ('2024-03-30 00:00+00'::timestamptz), ('2024-10-26 00:00+00')) AS v (begins),
	generate_series(v.begins, v.begins + interval '71 hours', '1 hour') AS at;
INSERT INTO citadel.statement_hour SELECT at, 4711, 1, 1, 0, 2, 2, 1, 0, 0, 0, 10, true, '\x01' FROM hours;
INSERT INTO citadel.table_delta SELECT at, 'scanned'::regclass, 'public', 'scanned', 1, 0, 0, 0, 0, 0, 0 FROM hours;
UPDATE citadel.watched_relation SET oid_since = '-infinity' WHERE relation_name = 'scanned';
UPDATE citadel.bucket_state SET done_until = '2024-03-30 00:00+00' WHERE step = 'day';
UPDATE citadel.relation_state SET done_until = '2024-03-30 00:00+00' WHERE step = 'day';
COMMIT;
END
collect();
my $each = join "\n", map { "$_ 00:00:00|24" } qw(2024-03-30 2024-03-31 2024-04-01 2024-10-26 2024-10-27 2024-10-28);
is(ask("SELECT at AT TIME ZONE 'UTC', calls FROM citadel.statement_day WHERE query_id = 4711 ORDER BY at"), $each,
	'each day is the sum of its own 24 hours');
is(ask("SELECT d.at AT TIME ZONE 'UTC', d.seq_scans FROM citadel.table_day AS d JOIN citadel.watched_relation AS w USING (relation_id)
	WHERE w.relation_name = 'scanned' AND d.at < '2025-01-01' ORDER BY 1"), $each, 'those of tables, too');

# A window that begins within such a day has the rest of it by the hour, and nothing from before.
foreach my $zone (qw(UTC Europe/Berlin America/New_York))
{
	is(ask("SET timezone = '$zone'; SELECT sum(calls), max(until) AT TIME ZONE 'UTC' FROM citadel.statement_buckets(4711, '2024-03-31 00:30+00', '2024-04-02 00:00+00')"),
		'47|2024-04-02 00:00:00', "a window that begins within a short day, in $zone");
	is(ask("SET timezone = '$zone'; SELECT sum(calls) FROM citadel.statement_totals('2024-10-27 00:00+00', '2024-10-29 00:00+00') WHERE query_id = 4711"),
		'48', "one that is two days, in $zone");
}
is(ask('SELECT string_agg(source, $$, $$) FROM citadel.snapshot_state WHERE failure IS NOT NULL'), '', 'nothing failed on the way');
no_crash($node);
$node->stop;
done_testing();
