# Advice that is no index, from captured statements to citadel.advice: each kind is found where it should be, is silent
# beside it, and is closed when it no longer holds.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use AdvisorTest;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = advisor_node('advice', 'track_io_timing = on');

sql(<<'END');
CREATE ROLE app;
CREATE SCHEMA app AUTHORIZATION app;
SET ROLE app;
CREATE TABLE app.sale (id int PRIMARY KEY, at timestamptz NOT NULL, city int NOT NULL, zip int NOT NULL, shop int NOT NULL, note text, plain text);
-- Each zip lies in one city; the shop has nothing to do with either.
INSERT INTO app.sale SELECT i, timestamptz '2026-01-01' + i * interval '1 minute', i * 7919 % 200 / 4, i * 7919 % 200, i * 7907 % 53, 'note ' || i, 'x'
FROM generate_series(1, 40000) i;
CREATE INDEX sale_at ON app.sale (at);
CREATE TABLE app.fresh (id int, kind int);
INSERT INTO app.fresh SELECT i, i % 5 FROM generate_series(1, 5000) i;
CREATE TABLE app.tiny (id int, kind int);
INSERT INTO app.tiny SELECT i, i % 5 FROM generate_series(1, 20) i;
CREATE TABLE app.event (id int, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE app.event_1 PARTITION OF app.event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO app.event SELECT i, date '2026-01-01' + i % 300 FROM generate_series(1, 5000) i;
RESET ROLE;
VACUUM ANALYZE app.sale;
ANALYZE app.event_1;
END
watch();

sub kinds { return sql("SELECT coalesce(string_agg(kind, ',' ORDER BY kind), '') FROM citadel.advice WHERE status = 'open' AND $_[0]"); }

my @statements = (
	"SELECT count(*) FROM sale WHERE city = 7 AND zip = 31",
	"SELECT count(*) FROM sale WHERE city = 7 AND shop = 12",
	"SELECT note FROM sale WHERE id = 31.0",
	"SELECT count(*) FROM sale WHERE at::date = '2026-01-15'",
	"SELECT count(*) FROM sale WHERE date_trunc('hour', at) = '2026-01-15 10:00'",
	"SELECT count(*) FROM sale WHERE at - interval '1 hour' > '2026-01-28 12:00'",
	"SELECT count(*) FROM sale WHERE note LIKE '%te 3999%'",
	"SELECT note FROM sale ORDER BY at LIMIT 10 OFFSET 20000",
	"SELECT note FROM sale ORDER BY id LIMIT 10 OFFSET 20",
	"SELECT count(*) FROM sale WHERE upper(plain) = 'X'",
	"SELECT count(*) FROM fresh WHERE kind = 3",
	"SELECT count(*) FROM tiny WHERE kind = 3",
	"SELECT count(*) FROM event WHERE id = 3",
);
as_app($_) foreach @statements;
captured(scalar(@statements), "query LIKE 'SELECT%'");
advise();

is(sql("SELECT subject || ': ' || remedy FROM citadel.advice WHERE kind = 'correlated_columns'"),
	'app.sale (city, zip): CREATE STATISTICS app.sale_city_zip_stat ON city, zip FROM app.sale; ANALYZE app.sale',
	'columns that depend on each other, and not those that do not');
cmp_ok(sql("SELECT round((evidence ->> 'factor')::numeric) FROM citadel.advice WHERE kind = 'correlated_columns'"), '>=', 30, 'with the factor by which estimates are off');
is(sql("SELECT string_agg(subject || ': ' || remedy, '; ' ORDER BY subject) FROM citadel.advice WHERE kind = 'type_mismatch'"),
	'app.sale: (id)::numeric =: id = $1::integer', 'a value of another type');
is(sql("SELECT string_agg(subject || ': ' || remedy, '; ' ORDER BY subject COLLATE \"C\") FROM citadel.advice WHERE kind = 'rewritable_expression'"),
	q{app.sale: (at - $1) >: at > (the value, computed); app.sale: (at)::date =: at >= $1::date AND at < $1::date + 1; }
	. q{app.sale: date_trunc('hour'::text, at) =: at >= $1 AND at < $1 + interval '1 unit'}, 'expressions that hide an indexed column');
is(kinds("relation_name = 'fresh'"), 'missing_statistics', 'a table that was never analyzed');
is(kinds("relation_name = 'event'"), 'missing_statistics', 'a partitioned table whose partitions alone were');
is(kinds("relation_name = 'tiny'"), '', 'small ones do not matter');
is(sql("SELECT count(*), min(evidence ->> 'largest_offset') FROM citadel.advice WHERE kind = 'offset_paging'"), '1|20000', 'OFFSET that skips many rows, not that of 20');
is(kinds("kind = 'missing_extension'"), sql("SELECT CASE WHEN count(*) > 0 THEN 'missing_extension' ELSE '' END FROM pg_available_extensions WHERE name = 'pg_trgm'"), 'a search inside a text');
is(kinds("kind IN ('jit', 'work_mem', 'random_page_cost')"), '', 'no setting is to blame yet');
is(sql("SELECT bool_and(load_share BETWEEN 0 AND 1 AND cardinality(query_ids) >= 1 AND query_ids <@ (SELECT array_agg(query_id) FROM citadel.statement)) FROM citadel.advice"), 't', 'all of it names its statements');
is(sql("SELECT count(*) FROM citadel.advice WHERE text || coalesce(remedy, '') || subject LIKE ANY ('{%2026-01%,%te 3999%,%31.0%}')"), '0', 'and no constant of theirs');

# What the counters say about settings: the figures are written in, because they depend on the machine.
sql(<<'END');
INSERT INTO citadel.statement_delta
SELECT now(), query_id, user_id, true, 100, 10000, 0, 100, 0, 30000, 100 * 50 * 128, 0, 3000, 4000
FROM citadel.statement WHERE query LIKE '%upper%' LIMIT 1;
END
advise();
is(kinds("kind IN ('jit', 'work_mem', 'random_page_cost')"), 'jit,random_page_cost,work_mem', 'settings that the samples show to be wrong');
is(sql("SELECT string_agg(remedy, '; ' ORDER BY kind) FROM citadel.advice WHERE kind IN ('jit', 'work_mem', 'random_page_cost')"),
	"ALTER ROLE app SET jit = off; ALTER SYSTEM SET random_page_cost = 1.1; ALTER ROLE app SET work_mem = '64MB'", 'with what to set');
sql("ALTER ROLE app SET work_mem = '2GB'");
sql("ALTER SYSTEM SET random_page_cost = 1.1");
sql("SELECT pg_reload_conf()");
# A new worker reads the new setting.
advise();
is(kinds("kind = 'random_page_cost'"), '', 'advice that was followed is closed');

# Followed, and stale again.
sql("ANALYZE app.fresh; ANALYZE app.event; CREATE STATISTICS app.city_zip ON city, zip FROM app.sale; ANALYZE app.sale");
my $first = sql("SELECT first_found FROM citadel.advice WHERE kind = 'type_mismatch'");
advise();
is(kinds("kind IN ('missing_statistics', 'correlated_columns')"), '', 'what was followed is closed');
is(sql("SELECT first_found = '$first' AND last_found > first_found FROM citadel.advice WHERE kind = 'type_mismatch'"), 't', 'what was not is the same row');
sql("UPDATE app.fresh SET kind = kind + 1");
settle($node);
advise();
is(kinds("relation_name = 'fresh'"), 'stale_statistics', 'a table that changed since');

# A statement that cannot be examined keeps its advice; a dropped table does not keep the job from running.
sql("ALTER TABLE app.sale RENAME TO sale_elsewhere");
my $run = advise();
is(sql("SELECT count(*) > 0 FROM citadel.advisor_skipped WHERE run_id = $run AND reason LIKE '%sale%does not exist'"), 't', 'its statements are skipped');
is(kinds("kind = 'type_mismatch'"), 'type_mismatch', 'and their advice stays open');
sql("ALTER TABLE app.sale_elsewhere RENAME TO sale; DROP INDEX app.sale_at");
advise();
is(kinds("kind = 'rewritable_expression'"), '', 'without the index there is nothing to rewrite for');

# Old rows go with the history.
is(sql("SELECT count(*) > 0 FROM citadel.advice WHERE status = 'closed'"), 't', 'closed advice is kept for a while');
sql("UPDATE citadel.advice SET last_found = now() - interval '40 days' WHERE status = 'closed'");
advise();
is(sql("SELECT count(*) FROM citadel.advice WHERE last_found < now() - interval '30 days'"), '0', 'and no longer than the history');

no_crash($node);
$node->stop;
done_testing();
