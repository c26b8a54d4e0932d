# Planning a superuser's statement again must not run code that somebody else has put in its way meanwhile.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('trust', config => <<END);
citadel_opt.slow_query_threshold = 0
autovacuum = off
END
$node->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.snapshot_state") or die 'no scheduler';
$node->safe_psql($db, <<'END');
CREATE ROLE mallory LOGIN;
CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
CREATE SCHEMA m AUTHORIZATION mallory;
GRANT USAGE ON SCHEMA m TO PUBLIC;
CREATE TABLE ours AS SELECT g AS id, g % 100 AS a, g % 10 AS b FROM generate_series(1, 20000) g;
ANALYZE ours;
GRANT SELECT ON ours TO mallory, watcher;
SET ROLE mallory;
CREATE TABLE m.theirs AS SELECT g AS id, g % 100 AS a FROM generate_series(1, 20000) g;
CREATE FUNCTION m.f() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 5; END $$;
CREATE VIEW m.v AS SELECT * FROM ours WHERE b = 5;
GRANT SELECT ON ALL TABLES IN SCHEMA m TO PUBLIC;
RESET ROLE;
ANALYZE m.theirs;
SELECT citadel.collect();
END

# What a superuser ran while it was harmless; and what Mallory ran.
$node->safe_psql($db, $_) for (
	'SELECT count(*) FROM ours WHERE a = m.f()',
	'SELECT id FROM ours WHERE id = 3 AND a < (SELECT m.f())',
	'SELECT count(*) FROM m.v WHERE a = 1',
	'SELECT count(*) FROM m.theirs WHERE a = 1',
	'SELECT b FROM ours WHERE a = 1',
	'SET ROLE mallory; SELECT max(id) FROM m.theirs WHERE a = m.f()');
$node->safe_psql($db, 'SELECT citadel.collect()');

# Now it no longer is.
$node->safe_psql($db, <<'END');
SET ROLE mallory;
CREATE FUNCTION m.strike() RETURNS int VOLATILE LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> 'mallory' THEN
        RAISE LOG 'struck as %', current_user;
        EXECUTE 'ALTER ROLE mallory SUPERUSER';
    END IF;
    RETURN 5;
END $$;
CREATE OR REPLACE FUNCTION m.f() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT m.strike()); END $$;
CREATE OR REPLACE VIEW m.v AS SELECT * FROM ours WHERE b = m.f();
CREATE INDEX ON m.theirs (id) WHERE m.f() = 5;
END

my $log = -s $node->logfile;
my $run = $node->safe_psql($db, q{SELECT citadel.run_job('advise')});
$node->safe_psql($db, "CALL citadel.wait_for_job($run)");
$node->safe_psql($db, 'SELECT * FROM citadel.recommend_indexes()', extra_params => [ '-U', 'watcher' ]);

is($node->safe_psql($db, q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'}), 'f', 'nobody became a superuser');
unlike(slurp_file($node->logfile, $log), qr/struck as/, 'no code of others ran with the rights of a superuser');
is($node->safe_psql($db, qq{SELECT count(*), min(reason) FROM citadel.advisor_skipped WHERE run_id = $run AND reason LIKE '%superuser%'}),
	'4|its user is a superuser, and it uses what role mallory owns and may change', 'the statements are skipped and it says why');
is($node->safe_psql($db, qq{SELECT query, k.reason FROM citadel.statement s LEFT JOIN citadel.advisor_skipped k
	ON k.run_id = $run AND k.query_id = s.query_id AND k.user_id = s.user_id
	WHERE query LIKE 'SELECT b FROM ours%' OR query LIKE 'SELECT max(id)%' ORDER BY 1}),
	"SELECT b FROM ours WHERE a = \$1|\nSELECT max(id) FROM m.theirs WHERE a = m.f()|",
	'those that use nothing of others, and those of ordinary users, are examined');

$node->stop;
done_testing();
