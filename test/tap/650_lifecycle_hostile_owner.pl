# Code of a table's owner (triggers, defaults, index functions, checks, generated columns, domains, policies, deferred
# triggers, predicates of holds) runs as him and nobody else, whoever runs the job.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $archives) = lifecycle_node('hostile', config => "log_min_messages = warning\n");
sub sql { return $node->safe_psql('app', $_[0]); }

hostile_owner($node);

sub hostile_table
{
	my ($name, $more) = @_;
	sql(qq{SET ROLE hostile;
		CREATE TABLE evil.$name (id int, at timestamptz NOT NULL, v text DEFAULT evil.tell('default'), d evil.dom DEFAULT 'x',
			g int GENERATED ALWAYS AS (evil.number('generated')) STORED,
			CHECK (v <> evil.tell('check ' || 'constant'))) PARTITION BY RANGE (at);
		CREATE INDEX ON evil.$name ((v || evil.tell('index constant')));
		CREATE INDEX ON evil.$name (id) WHERE evil.number('predicate constant') = 1;
		CREATE INDEX ON evil.$name ((evil.tell('index of ' || coalesce(v, ''))));
		CREATE TRIGGER row_trigger BEFORE INSERT OR UPDATE OR DELETE ON evil.$name FOR EACH ROW EXECUTE FUNCTION evil.fire();
		CREATE TRIGGER statement_trigger AFTER INSERT OR UPDATE OR DELETE ON evil.$name FOR EACH STATEMENT EXECUTE FUNCTION evil.fire();
		CREATE CONSTRAINT TRIGGER deferred_trigger AFTER INSERT OR UPDATE OR DELETE ON evil.$name DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION evil.fire();
		CREATE POLICY p ON evil.$name USING (evil.tell('row security') IS NOT NULL);
		$more});
	return;
}

hostile_table('fresh', '');
hostile_table('filled', q{
	CREATE TABLE evil.filled_old PARTITION OF evil.filled FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
	CREATE TABLE evil.filled_older PARTITION OF evil.filled FOR VALUES FROM ('2019-12-01+00') TO ('2020-01-01+00');
	CREATE TABLE evil.filled_rest PARTITION OF evil.filled DEFAULT;
	ALTER TABLE evil.filled_rest ENABLE ALWAYS TRIGGER row_trigger;
	ALTER TABLE evil.filled_rest ENABLE ALWAYS TRIGGER deferred_trigger;
	INSERT INTO evil.filled (id, at) SELECT i, '2019-12-20+00'::timestamptz + i * interval '6 hours' FROM generate_series(1, 100) i;
	INSERT INTO evil.filled (id, at) SELECT 1000 + i, now() - interval '3 months' FROM generate_series(1, 10) i});
hostile_table('dropped', q{
	CREATE TABLE evil.dropped_old PARTITION OF evil.dropped FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
	INSERT INTO evil.dropped (id, at) SELECT i, '2020-01-02+00'::timestamptz FROM generate_series(1, 10) i});
hostile_table('moved', q{
	CREATE TABLE evil.moved_old PARTITION OF evil.moved FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
	INSERT INTO evil.moved (id, at) SELECT i, '2020-01-02+00'::timestamptz FROM generate_series(1, 10) i});

sql(qq{SET ROLE hostile;
	SELECT citadel.create_lifecycle_policy('evil.fresh', 'at', premake => 2);
	SELECT citadel.create_lifecycle_policy('evil.filled', 'at', premake => 1, retain => '12 months', archive_to => 'file:$archives/evil', quarantine => '0');
	SELECT citadel.create_lifecycle_policy('evil.dropped', 'at', premake => 1, retain => '12 months', on_expiry => 'drop', quarantine => '1 day');
	SELECT citadel.create_lifecycle_policy('evil.moved', 'at', premake => 1, retain => '12 months');
	SELECT citadel.place_hold('evil.filled', '2019-12-01+00', '2020-01-01+00', 'case', predicate => 'evil.tell(''hold'') IS NULL AND id > 0')});

# As a superuser: previews, a run on request, a run by the scheduler.
sql('SELECT count(*) FROM citadel.preview_lifecycle()');
sql('CALL citadel.run_lifecycle()');
sql("SELECT citadel.alter_job('lifecycle', enabled => true, schedule => '1 s')");
my $before = sql('SELECT coalesce(max(run_id), 0) FROM citadel.job_run');
ok(eventually(15, sub { sql("SELECT count(*) FROM citadel.job_run WHERE run_id > $before AND state = 'succeeded'") > 0 }), 'the job ran by schedule');
sql("SELECT citadel.alter_job('lifecycle', enabled => false)");
my $operation = sql("SELECT operation_id FROM citadel.lifecycle_step WHERE state = 'quarantined'");
sql("CALL citadel.undo_expiry($operation)");
is(sql("SET ROLE hostile; SELECT count(*) FROM evil.dropped"), '10', 'undone');
is(sql("SET ROLE hostile; SELECT count(*) FROM evil.filled WHERE at < '2021-01-01'"), '0', 'archived and dropped');
is(sql("SET ROLE hostile; SELECT count(*) FROM evil.filled_rest"), '0', 'moved out of the default partition');
is(sql("SET ROLE hostile; SELECT count(*) FROM evil.filled"), '10', 'which still holds them');
is(sql("SELECT count(*) FROM pg_inherits WHERE inhparent = 'evil.fresh'::regclass"), '3', 'partitions ahead were made');
is(sql("SELECT bool_and(pg_get_userbyid(relowner) = 'hostile') FROM pg_class WHERE relnamespace = 'evil'::regnamespace AND relkind = 'r'"), 't', 'and belong to the owner');
is(sql("SELECT count(*) FROM citadel.archive WHERE state = 'complete'"), '3', 'two archives in files, one in a schema');

my $log = slurp_file($node->logfile);
my %seen;
$seen{$2}{$1}++ while $log =~ /EVIL (.*?) runs as (\w+)/g;
cmp_ok(scalar(keys %{ $seen{hostile} // {} }), '>', 3, 'his code did run as himself: ' . join(', ', sort keys %{ $seen{hostile} // {} }));
delete $seen{hostile};
is(join('; ', map { "$_: " . join(', ', sort keys %{ $seen{$_} }) } sort keys %seen), '', 'and as nobody else');

# What he cannot do.
sub refused
{
	my ($role, $sql, $pattern, $name) = @_;
	my ($status, $out, $err) = $node->psql('app', "\\set VERBOSITY verbose\nSET ROLE $role;\n$sql", on_error_stop => 1);
	like($err, $pattern, $name);
	return;
}
my ($table, $policy) = old_table($node, 'schema', 'archive');
sql('GRANT USAGE ON SCHEMA app TO hostile');
refused('hostile', "SELECT citadel.alter_lifecycle_policy($policy, retain => '1 month', on_expiry => 'drop')", qr/42501/, "another's policy cannot be changed");
refused('hostile', "SELECT citadel.drop_lifecycle_policy($policy)", qr/42501/, 'nor dropped');
refused('hostile', "SELECT citadel.suspend_lifecycle_policy($policy)", qr/42501/, 'nor suspended');
refused('hostile', "SELECT * FROM citadel.preview_lifecycle('$table')", qr/42501/, 'nor seen');
refused('hostile', "CALL citadel.run_lifecycle('$table')", qr/42501/, 'nor run');
refused('hostile', "SELECT citadel.create_lifecycle_policy('$table', 'at')", qr/42501/, 'nor made');
refused('hostile', 'SELECT * FROM citadel.lifecycle_policy', qr/42501/, 'the tables are closed');
refused('hostile', "UPDATE citadel.lifecycle_operation SET state = 'dropping'", qr/42501/, 'the state machine, too');
is(sql("SET ROLE hostile; SELECT count(*) FROM citadel.partition_runway WHERE policy_id = $policy"), '0', 'views show his own');
is(sql("SELECT count(*) FROM citadel.lifecycle_step s JOIN citadel.lifecycle_policy p USING (policy_id) WHERE p.schema_name = 'evil'") > 0 ? 1 : 0, 1, 'which there are');
$node->stop;
done_testing();
