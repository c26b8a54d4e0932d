# The advise job, from captured statements to stored recommendations: who it plans as, what it skips, what becomes of
# recommendations whose index is built or whose table goes.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use AdvisorTest;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = advisor_node('advise');
my $db = 'citadel_ai';

sql(<<'END');
CREATE ROLE app; CREATE ROLE watcher; GRANT pg_monitor TO watcher;
CREATE SCHEMA app AUTHORIZATION app;
SET ROLE app;
CREATE TABLE app.item (id int PRIMARY KEY, owner int, note text);
INSERT INTO app.item SELECT i, i % 2000, 'note ' || i FROM generate_series(1, 40000) i;
CREATE TABLE app.doomed (id int PRIMARY KEY, owner int, note text);
INSERT INTO app.doomed SELECT i, i % 2000, 'note ' || i FROM generate_series(1, 40000) i;
-- What planning writes is rolled back; sequences are not, so they tell: one for each role and outcome.
-- Claims to be immutable, so that the planner calls it; notes who it runs as, and tries to become somebody else.
CREATE FUNCTION app.note() RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    BEGIN
        SET LOCAL ROLE postgres;
        PERFORM nextval(format('app.%s_escaped', current_user));
    EXCEPTION WHEN OTHERS THEN
        PERFORM nextval(format('app.%s_refused', current_user));
    END;
    RETURN 7;
END $$;
CREATE FUNCTION app.spy() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT app.note()); END $$;
CREATE SEQUENCE app.app_refused; CREATE SEQUENCE app.app_escaped; CREATE SEQUENCE app.postgres_refused; CREATE SEQUENCE app.postgres_escaped;
CREATE SEQUENCE app.watcher_refused; CREATE SEQUENCE app.watcher_escaped;
RESET ROLE;
ANALYZE app.item, app.doomed;
END
# Watched from here on: rows loaded in the watched time would count as writes, and an index costs those.
watch();

# Nothing captured yet of the application: an empty answer says so.
my $first = advise();
like(sql("SELECT summary FROM citadel.advisor_run WHERE run_id = $first"), qr/^examined 0 of \d+ statements/, 'a run without a workload is recorded');

# The application runs; unqualified names, in its own search_path.
as_app("SELECT count(*) FROM item WHERE owner = $_") foreach 1 .. 5;
# Often enough to weigh something, though one of the others was held up.
as_app("SELECT count(*) FROM $_ WHERE owner = 5;" x 30) foreach qw(item doomed);
as_app('SELECT count(*) FROM item WHERE id = spy()');
as_app("SELECT count(*) FROM pg_class WHERE relname = 'x'");
as_app('CREATE TEMP TABLE passing AS SELECT 1 AS a; SELECT * FROM passing WHERE a = 1');
sub spied { return sql("SELECT coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = 'app' AND sequencename = 'app_refused'"); }
sub spied_as { return sql("SELECT string_agg(sequencename, ', ') FROM pg_sequences WHERE schemaname = 'app' AND last_value IS NOT NULL"); }
my $spied = spied();
captured(5);
ok($spied > 0, 'the spy ran for the application itself');

my $run = advise();
is(sql("SELECT string_agg(relation_name || ' ' || status, ', ' ORDER BY relation_name) FROM citadel.index_recommendation WHERE schema_name = 'app'"),
	'doomed open, item open', 'the indexes are found');
is(sql("SELECT definition FROM citadel.index_recommendation WHERE relation_name = 'item'"),
	'CREATE INDEX CONCURRENTLY item_owner_idx ON app.item USING btree (owner)', 'with the statement that builds it');
is(sql("SELECT cost_after < cost_before, improvement > 0, size_bytes > 0, queries_helped >= 1, relation_oid = 'app.item'::regclass FROM citadel.index_recommendation WHERE relation_name = 'item'"),
	't|t|t|t|t', 'and sound figures');
is(sql("SELECT s -> 'plan_before' -> 0 -> 'Plan' IS NOT NULL, s -> 'plan_after' #>> '{0}' LIKE '%Index%', s::text LIKE '%owner = 5%' FROM citadel.index_recommendation, jsonb_array_elements(evidence -> 'statements') s WHERE relation_name = 'item' LIMIT 1"),
	't|t|f', 'plans before and after are evidence, without constants');
is(sql("SELECT count(*) > 0, bool_and(q.cost_after < q.cost_before) FROM citadel.index_recommendation r JOIN citadel.index_recommendation_query q ON q.recommendation_id = r.id JOIN citadel.statement USING (query_id, user_id) WHERE r.relation_name = 'item' AND user_id = 'app'::regrole"),
	't|t', 'linked to the statements that it helps');

# Who planned.
cmp_ok(spied(), '>', $spied, 'planning ran the function');
is(spied_as(), 'app_refused', 'as the statement\'s user, who could not become anybody else');

# What was skipped, and why.
like(sql("SELECT summary FROM citadel.advisor_run WHERE run_id = $run"), qr/^examined \d+ of \d+ statements; skipped: .*system catalog/, 'the run says what it skipped');
is(sql("SELECT count(*) > 0 FROM citadel.advisor_skipped k JOIN citadel.statement s USING (query_id, user_id) WHERE run_id = $run AND s.query LIKE '%passing%'"), 't', 'a temporary table');
is(sql("SELECT count(*) FROM citadel.advisor_run_log WHERE examined + (SELECT count(*) FROM citadel.advisor_skipped k WHERE k.run_id = $run) <> statements AND run_id = $run"), '0', 'examined and skipped make up all');

# Found again: the same rows.
my $ids = sql("SELECT string_agg(id::text, ',' ORDER BY id) FROM citadel.index_recommendation WHERE status = 'open'");
advise();
is(sql("SELECT string_agg(id::text, ',' ORDER BY id) FROM citadel.index_recommendation WHERE status = 'open'"), $ids, 'a second run keeps the rows');

# From SQL: each captured statement as its own user; a caller who may not read the table learns nothing.
is(sql("SELECT count(*) FROM citadel.recommend_indexes() WHERE relation = 'app.item'::regclass"), '1', 'recommend_indexes() uses what was captured');
my ($status, $out, $err) = $node->psql($db, unwatched('SET SESSION AUTHORIZATION watcher; SELECT count(*) FROM citadel.recommend_indexes()'));
is("$status $out", '0 0', 'a monitor without rights on the tables gets nothing');
like($err, qr/permission denied for (table item|schema app)/, 'and is told why');
is(spied_as(), 'app_refused', 'nor did anything run as the monitor');

# Built, and gone.
sql(sql("SELECT definition FROM citadel.index_recommendation WHERE relation_name = 'item'"));
sql('DROP TABLE app.doomed');
my $last = advise();
is(sql("SELECT string_agg(relation_name || ' ' || status, ', ' ORDER BY relation_name) FROM citadel.index_recommendation WHERE schema_name = 'app'"),
	'doomed obsolete, item applied', 'a built index closes its recommendation, so does a dropped table');
like(sql("SELECT string_agg(reason, ',') FROM citadel.advisor_skipped WHERE run_id = $last"), qr/relation "doomed" does not exist/, 'whose statement is skipped');

# Indexes on expressions with functions of the application. Where table, function and statements are one role's, the job
# describes the index as that role, as which it would be built; else it says why there is none.
sql(<<'END');
CREATE ROLE other; CREATE SCHEMA o AUTHORIZATION other; GRANT USAGE ON SCHEMA o TO app; GRANT USAGE, CREATE ON SCHEMA app TO other;
SET ROLE app;
CREATE FUNCTION app.folded(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN pg_catalog.lower($1); END $$;
-- Would tell who folds it.
CREATE FUNCTION app.spying(text, int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM app.spy(); RETURN $1; END $$;
CREATE FUNCTION app.constant() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM app.spy(); RETURN 1; END $$;
CREATE TABLE app.own (id int PRIMARY KEY, name text); INSERT INTO app.own SELECT i, 'Name ' || i FROM generate_series(1, 30000) i;
CREATE TABLE app.shared (id int PRIMARY KEY, name text); INSERT INTO app.shared SELECT i, 'Name ' || i FROM generate_series(1, 30000) i;
CREATE TABLE app.borrowing (id int PRIMARY KEY, name text); INSERT INTO app.borrowing SELECT i, 'Name ' || i FROM generate_series(1, 30000) i;
GRANT SELECT ON app.shared TO other;
SET ROLE other;
CREATE FUNCTION o.theirs(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN pg_catalog.upper($1); END $$;
RESET ROLE;
ANALYZE app.own, app.shared, app.borrowing;
END
as_app("SELECT id FROM own WHERE app.spying(name, app.constant()) = 'name $_'") foreach 1 .. 3;
as_app("SELECT id FROM shared WHERE app.folded(id::text || name) = 'name $_'") foreach 1 .. 3;
as_app("SELECT id FROM borrowing WHERE o.theirs(name) = 'NAME $_'") foreach 1 .. 3;
$node->safe_psql($db, "SET SESSION AUTHORIZATION other; SELECT max(id) FROM app.shared WHERE app.folded(id::text || name) < 'a'");
sql('SELECT citadel.collect()');
$node->poll_query_until($db, "SELECT count(DISTINCT query_id) >= 4 FROM citadel.statement WHERE query ~ 'spying|folded|theirs' AND user_id IN ('app'::regrole, 'other'::regrole)") or die 'not captured';
my $ours = spied();
advise();
is(sql("SELECT string_agg(regexp_replace(definition, '.* USING ', ''), '; ') FROM citadel.index_recommendation WHERE status = 'open' AND schema_name = 'app' AND relation_name IN ('own', 'shared', 'borrowing')"),
	'btree ((app.spying(name, 1)))', 'an index on an expression with the owner\'s own function');
cmp_ok(spied(), '>', $ours, 'which ran meanwhile');
is(spied_as(), 'app_refused', 'as its owner alone');
is(sql("SELECT string_agg(subject || ' ' || (text LIKE '%for statements of other roles%'), '; ' ORDER BY subject) FROM citadel.advice WHERE kind = 'untrusted_expression' AND status = 'open'"),
	'app.borrowing: o.theirs(pg_catalog.text) false; app.shared: app.folded(pg_catalog.text) true', 'where others are concerned, the advice says why there is none');

no_crash($node);
$node->stop;
done_testing();
