# The advise job among others: it holds nobody's tables while it runs, skips what it cannot plan, keeps the
# recommendations of what it skipped, and stops at any moment without leaving anything.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use AdvisorTest;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = advisor_node('trouble', "max_locks_per_transaction = 20\nmax_connections = 20\n");
my $db = 'citadel_ai';

sql(<<'END');
CREATE ROLE app;
CREATE SCHEMA app AUTHORIZATION app;
SET ROLE app;
CREATE TABLE app.item (id int PRIMARY KEY, owner int, kind int, note text);
INSERT INTO app.item SELECT i, i % 2000, i % 30, 'note ' || i FROM generate_series(1, 40000) i;
CREATE TABLE app.other (id int PRIMARY KEY, owner int, note text);
INSERT INTO app.other SELECT i, i % 2000, 'note ' || i FROM generate_series(1, 40000) i;
CREATE TABLE app.wide (id int, at int NOT NULL) PARTITION BY RANGE (at);
CREATE SEQUENCE app.ran;
CREATE FUNCTION app.side_effect() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN nextval('app.ran'); END $$;
RESET ROLE;
ANALYZE;
END
# More partitions than the lock table has room for; committed in between, because making one locks too.
sql('DO $$ BEGIN FOR i IN 0 .. 2499 LOOP EXECUTE format($f$CREATE TABLE app.wide_%s PARTITION OF app.wide FOR VALUES FROM (%s) TO (%s)$f$, i, i, i + 1); IF i % 50 = 49 THEN COMMIT; END IF; END LOOP; END $$');
sql('ALTER TABLE app.wide OWNER TO app');
watch();

# The indexes that are beyond doubt; what else pays depends on how long the statements took.
sub open_ones { return sql("SELECT coalesce(string_agg(id || ' ' || relation_name, ', ' ORDER BY relation_name, id), '') FROM citadel.index_recommendation WHERE status = 'open' AND definition LIKE '%(owner)'"); }

my $long = "SELECT count(*) FROM item WHERE note = '" . ('x' x 1_000_000) . "'";
# Often enough to weigh something beside the functions and the long text below.
as_app('SELECT count(*) FROM item WHERE owner = 7;' x 50);
as_app('SELECT count(*) FROM other WHERE owner = 7;' x 50);
as_app('SELECT count(*) FROM wide WHERE at = 7');
as_app('SELECT count(*) FROM item WHERE kind = side_effect()');
$node->psql($db, "SET SESSION AUTHORIZATION app; SET search_path = app; SELECT count(*) FROM item WHERE kind = 3 AND $_") foreach 'id < 0', 'id < -1';
{
	my $file = $node->basedir . '/long.sql';
	append_to_file($file, "SET SESSION AUTHORIZATION app; SET search_path = app; $long;\n");
	$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr($db), '-f', $file ], 'a statement of a megabyte');
}
captured(5);
my $called = sql('SELECT last_value FROM app.ran');

my $run = advise();
unlike(skipped($run), qr/wide/, 'a table of 2,500 partitions is no reason to skip what asks for one of them');
like(open_ones(), qr/item.*other/, 'what can be examined is');
is(sql('SELECT last_value FROM app.ran'), $called, 'functions with side effects are not executed');
is(sql("SELECT state FROM citadel.job_run WHERE run_id = $run"), 'succeeded', 'the run ends well');
is(sql("SELECT count(*) FROM citadel.advisor_run WHERE run_id = $run AND examined >= 3"), '1', 'and counts what it did');

# While the run stands still in the middle, somebody alters, and drops, what it looks at.
sql("ALTER SYSTEM SET citadel_opt.debug_fault = 'advise analysed:wait'; SELECT pg_reload_conf()");
my $slow = start_advise();
$node->poll_query_until($db, "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'citadel_opt job' AND wait_event_type = 'Extension'") or die 'the run does not stand still';
is(sql("SELECT coalesce(string_agg(DISTINCT l.relation::regclass::text, ','), '') FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relnamespace = 'app'::regnamespace AND l.pid <> pg_backend_pid()"),
	'', 'no table of the application is locked meanwhile');
sql("SET lock_timeout = '1s'; ALTER TABLE app.item ALTER COLUMN owner TYPE text; DROP TABLE app.other");
sql("ALTER SYSTEM RESET citadel_opt.debug_fault; SELECT pg_reload_conf()");
finish_advise($slow);
pass('the run outlives it');
unlike(sql("SELECT coalesce(string_agg(definition, ' ' ORDER BY id), '') FROM citadel.index_recommendation WHERE last_found > (SELECT started_at FROM citadel.advisor_run WHERE run_id = $slow)"), qr/app\.other/, 'and recommends nothing on what is gone');

# A statement that cannot be examined keeps what was recommended for it.
sql("CREATE TABLE app.other (id int PRIMARY KEY, owner int, note text); ALTER TABLE app.other OWNER TO app; INSERT INTO app.other SELECT i, i % 2000, 'note' FROM generate_series(1, 40000) i; ANALYZE app.other; ALTER TABLE app.item ALTER COLUMN owner TYPE int USING owner::int; ANALYZE app.item");
advise();
my $before = open_ones();
like($before, qr/item.*other/, 'found again');
{
	my ($in, $out, $err, $timer) = ('', '', '', IPC::Run::timer(180));
	my $session = IPC::Run::start([ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr($db) ], '<', \$in, '>', \$out, '2>', \$err, $timer);
	$in .= unwatched("BEGIN; LOCK TABLE app.other IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n");
	IPC::Run::pump($session) until $out =~ /locked/;
	my $blocked = advise();
	like(skipped($blocked), qr/lock timeout/, 'a table that somebody has locked is skipped');
	is(open_ones(), $before, 'and its recommendation stays open');
	$in .= "ROLLBACK;\n\\q\n";
	IPC::Run::finish($session);
}

# Cancelled at many moments: no crash, nothing left, and the next run is well.
for my $delay (1, 3, 10, 30, 60, 100, 150, 250)
{
	my $cancelled = start_advise();
	usleep($delay * 1000);
	sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'citadel_opt job'");
	$node->psql($db, unwatched("CALL citadel.wait_for_job($cancelled)"));
}
is(open_ones(), $before, 'cancelled runs leave the recommendations as they were');
advise();
is(open_ones(), $before, 'and the next run works');
is(sql("SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relnamespace = 'app'::regnamespace AND l.pid <> pg_backend_pid()"), '0', 'no lock is left');

no_crash($node);
$node->stop;
done_testing();
