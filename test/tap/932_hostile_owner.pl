# Code of an ordinary role in every place where a table, of his or of a superuser, can carry some: no worker and no report
# runs it as anybody but himself. Each function of his is harmless while others use it, and strikes afterwards.
# (What lifecycle policies do with a hostile owner's tables: 650_lifecycle_hostile_owner.pl.)
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('hostile_owner', config => <<END);
citadel_opt.slow_query_threshold = 0
citadel_opt.max_overhead = 0
citadel_opt.maintenance = 'act'
constraint_exclusion = on
autovacuum = off
END
$node->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.snapshot_state") or die 'no scheduler';
sub sql { return $node->safe_psql($db, $_[0]); }

sql(q{
	CREATE ROLE mallory LOGIN; CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE SCHEMA m AUTHORIZATION mallory; GRANT USAGE ON SCHEMA m TO PUBLIC; CREATE SCHEMA ours; GRANT USAGE ON SCHEMA ours TO mallory;
	SET ROLE mallory;
	CREATE FUNCTION m.struck(place text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$;
	CREATE FUNCTION m.f(place text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.struck(place); RETURN 5; END $$;
	CREATE FUNCTION m.same(place text, value text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.struck(place); RETURN true; END $$;
	CREATE FUNCTION m.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM m.struck('trigger ' || TG_NAME); RETURN coalesce(NEW, OLD); END $$;
	CREATE FUNCTION m.equal(a text, b text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.struck('operator'); RETURN true; END $$;
	CREATE OPERATOR m.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = m.equal);
	CREATE FUNCTION m.step(int, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.struck('aggregate'); RETURN $1 + $2; END $$;
	CREATE AGGREGATE m.total(int) (SFUNC = m.step, STYPE = int, INITCOND = '0');
	CREATE DOMAIN m.dom AS text CHECK (m.same('domain', VALUE));
	CREATE FUNCTION m.distance(a float8, b float8) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM m.struck('range type'); RETURN a - b; END $$;
	CREATE TYPE m.span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = m.distance)});

# Each place: the table (made by its owner), and what a superuser asked of it while all was harmless. A role that has
# put Mallory's code into its own table is not at fault here: the server runs it whenever the role plans; we may not.
my @places = (
	[ 'index predicate', 'CREATE TABLE {table} {filled}; CREATE INDEX ON {table} (id) WHERE m.f(\'index predicate\') = 5' ],
	[ 'index expression', 'CREATE TABLE {table} {filled}; CREATE INDEX ON {table} ((id + m.f(\'index expression\')))' ],
	[ 'check constraint', 'CREATE TABLE {table} (id int, a int, b int, CHECK (a <> m.f(\'check constraint\') * 1000)); {fill}' ],
	[ 'statistics', 'CREATE TABLE {table} {filled}; CREATE STATISTICS {table}_s ON (a + m.f(\'statistics\')), b FROM {table}; ANALYZE {table}' ],
	[ 'generated column', 'CREATE TABLE {table} (id int, a int, b int, g int GENERATED ALWAYS AS (id + m.f(\'generated column\')) STORED); {fill}' ],
	[ 'default', 'CREATE TABLE {table} (id int, a int, b int DEFAULT m.f(\'default\')); {fill}' ],
	[ 'partition key', 'CREATE TABLE {table} (id int, a int, b int) PARTITION BY RANGE ((id + m.f(\'partition key\'))); CREATE TABLE {table}_1 PARTITION OF {table} DEFAULT; {fill}' ],
	[ 'policy', 'CREATE TABLE {table} {filled}; ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON {table} USING (m.f(\'policy\') = 5)' ],
	[ 'domain', 'CREATE TABLE {table} AS SELECT g AS id, g % 100 AS a, g % 10 AS b, \'x\'::m.dom AS d FROM generate_series(1, 20000) g', 'SELECT count(*) FROM {table} WHERE a = 1 AND d = \'x\'::m.dom' ],
	[ 'range type', 'CREATE TABLE {table} AS SELECT g AS id, g % 100 AS a, g % 10 AS b, m.span(g, g + 1) AS r FROM generate_series(1, 20000) g; ANALYZE {table}', 'SELECT count(*) FROM {table} WHERE a = 1 AND r @> 5.0::float8' ],
	[ 'operator', 'CREATE TABLE {table} {filled}', 'SELECT count(*) FROM {table} WHERE a = 1 AND \'x\' OPERATOR(m.===) \'y\'' ],
	[ 'aggregate', 'CREATE TABLE {table} {filled}', 'SELECT m.total(id) FROM {table} WHERE a = 1' ],
	[ 'view', 'CREATE TABLE {table} {filled}; CREATE VIEW {table}_v AS SELECT * FROM {table} WHERE b = m.f(\'view\')', 'SELECT count(*) FROM {table}_v WHERE a = 1' ],
	[ 'rule', 'CREATE TABLE {table} {filled}; CREATE RULE r AS ON UPDATE TO {table} DO ALSO SELECT m.f(\'rule\')', 'UPDATE {table} SET b = 1 WHERE a = 1' ],
	[ 'inlined function', 'CREATE TABLE {table} {filled}; CREATE FUNCTION {table}_f() RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT m.f(\'inlined function\') $$', 'SELECT count(*) FROM {table} WHERE a = {table}_f()' ],
	[ 'function in a function', 'CREATE TABLE {table} {filled}; CREATE FUNCTION {table}_f() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN m.f(\'function in a function\'); END $$', 'SELECT count(*) FROM {table} WHERE a = {table}_f()' ],
	[ 'foreign key', 'CREATE TABLE {table} (id int PRIMARY KEY, a int, b int); INSERT INTO {table} SELECT g, g % 100, g % 10 FROM generate_series(10, 20000) g; GRANT REFERENCES ON {table} TO mallory; SET ROLE mallory; CREATE TABLE m.child_{name} (id int, v int); INSERT INTO m.child_{name} SELECT 10, g FROM generate_series(1, 5000) g; ALTER TABLE m.child_{name} ADD FOREIGN KEY (id) REFERENCES {table}; CREATE INDEX ON m.child_{name} (v) WHERE m.f(\'foreign key\') = 5', 'DELETE FROM {table} WHERE id = 700 AND a = 0' ],
	[ 'trigger', 'CREATE TABLE {table} {filled}; CREATE TRIGGER t BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION m.fire(); CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION m.fire()' ],
);
my $number = 0;
foreach my $place (@places)
{
	my ($name, $make, $ask) = @$place;
	++$number;
	foreach my $table ("ours.t$number", "m.t$number")
	{
		my $as = $table =~ /^m/ ? 'SET ROLE mallory;' : '';
		my %words = (table => $table, name => $table =~ s/\W/_/r, filled => 'AS SELECT g AS id, g % 100 AS a, g % 10 AS b FROM generate_series(1, 20000) g',
			fill => "INSERT INTO $table SELECT g, g % 100, g % 10 FROM generate_series(1, 20000) g");
		sql("SET citadel_opt.slow_query_threshold = -1; $as " . ($make =~ s/\{(\w+)\}/$words{$1}/gr));
		foreach my $statement ($ask // (), 'SELECT count(*) FROM {table} WHERE a = 1', 'SELECT b FROM {table} WHERE id = 7 AND a = 7',
			'UPDATE {table} SET b = 1 WHERE id = 3', 'INSERT INTO {table} (id, a) VALUES (1, 1)')
		{
			sql($as . ($statement =~ s/\{table\}/$table/gr));
		}
	}
}
sql('SELECT citadel.collect()');

# Now it is harmless no longer.
sql(q{SET ROLE mallory;
	CREATE OR REPLACE FUNCTION m.struck(place text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'STRUCK % as %', place, current_user; END $$});

sub struck
{
	my ($from) = @_;
	my %seen;
	my $log = slurp_file($node->logfile, $from);
	$seen{$2}{$1}++ while $log =~ /STRUCK (.*) as (\w+)/g;
	return \%seen;
}
sub told { my ($seen) = @_; return join(', ', sort keys %{ $seen // {} }); }

# Each on its own, so that what strikes is known by its name.
sub nobody_else
{
	my ($what, $work) = @_;
	my $from = -s $node->logfile;
	$work->();
	my $seen = struck($from);
	my $own = delete $seen->{mallory};
	is(join('; ', map { "$_: " . told($seen->{$_}) } sort keys %$seen), '', "$what: as nobody else") or diag('as himself: ' . told($own));
	return told($own);
}
sub job
{
	my ($name) = @_;
	my $run = sql("SELECT citadel.run_job('$name')");
	my ($status, undef, $err) = $node->psql($db, "CALL citadel.wait_for_job($run, '10 min')");
	is($status, 0, "the job $name ends well") or diag($err);
	return;
}
my $himself = nobody_else('advise', sub { job('advise') });
like($himself, qr/index predicate/, "his own statements were planned as himself: $himself");
cmp_ok(sql("SELECT count(*) FROM citadel.advisor_skipped WHERE reason LIKE '%superuser%mallory%'"), '>=', 30, 'statements of the superuser that use his code are skipped, and it says why');
nobody_else('recommend_indexes by pg_monitor', sub { $node->psql($db, 'SELECT * FROM citadel.recommend_indexes()', extra_params => [ '-U', 'watcher' ]) });
nobody_else('recommend_indexes by a superuser', sub { $node->psql($db, 'SELECT * FROM citadel.recommend_indexes()') });
nobody_else('reports', sub { sql("SELECT * FROM $_") for qw(citadel.get_table_statistics() citadel.get_index_statistics() citadel.health() citadel.metrics()
	citadel.analyze_slow_queries() citadel.query_performance citadel.table_performance citadel.index_usage citadel.preview_lifecycle() citadel.heap_bloat(NULL)) });
nobody_else('the scheduler', sub { sql('SELECT citadel.collect()') });
# ANALYZE of a superuser's own table runs what that table is made of, as autovacuum does: there the tables are not his.
sql("SELECT format('DROP TABLE ours.t%s CASCADE', n) FROM generate_series(1, $number) n \\gexec");
$himself = nobody_else('maintain', sub { job('maintain') });
like($himself, qr/index expression.*range type.*statistics/, "ANALYZE ran his code as himself: $himself");
is(sql("SELECT count(*) FROM citadel.maintenance_action WHERE status = 'done' AND kind = 'analyze' AND schema_name = 'm'") >= 10 ? 1 : 0, 1, 'his tables were analyzed');
is(sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'"), 'f', 'he is still nobody');
no_crash($node);
$node->stop;
done_testing();
