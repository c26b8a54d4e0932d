# A hostile owner's code in what policies do beside their runs: conversion and splitting of a plain table, moves in batches,
# restores (as a partition, as rows, beside), archives that are adopted, content that is hashed by a superuser. It runs as
# himself, or as the one who asked for exactly that table, never as somebody else.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest ();
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $archives) = lifecycle_node('operations', config => "log_min_messages = warning\ncitadel_opt.lifecycle_load = 1\n");
sub sql { return $node->safe_psql('app', $_[0]); }

hostile_owner($node);
sql(q{SET ROLE hostile;
	CREATE FUNCTION evil.equal(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
		RAISE WARNING 'EVIL operator runs as %', current_user; RETURN true; END $$;
	CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equal)});

my $columns = q{v text DEFAULT evil.tell('default'), d evil.dom DEFAULT 'x', g int GENERATED ALWAYS AS (evil.number('generated')) STORED,
	CHECK (v <> evil.tell('check constant'))};
sub hang_on
{
	my ($table) = @_;
	return qq{CREATE INDEX ON $table ((v || evil.tell('index constant')));
		CREATE INDEX ON $table (id) WHERE evil.number('predicate constant') = 1;
		CREATE STATISTICS ${table}_s ON (v || evil.tell('statistics')), d FROM $table;
		CREATE TRIGGER row_trigger BEFORE INSERT OR UPDATE OR DELETE ON $table FOR EACH ROW EXECUTE FUNCTION evil.fire();
		CREATE TRIGGER statement_trigger AFTER INSERT OR UPDATE OR DELETE ON $table FOR EACH STATEMENT EXECUTE FUNCTION evil.fire();
		CREATE CONSTRAINT TRIGGER deferred_trigger AFTER INSERT OR UPDATE OR DELETE ON $table DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW EXECUTE FUNCTION evil.fire();
		ALTER TABLE $table ENABLE ALWAYS TRIGGER row_trigger, ENABLE ALWAYS TRIGGER deferred_trigger;
		CREATE VIEW ${table}_v AS SELECT *, evil.tell('view') AS told FROM $table;};
}

my $from;
sub evil_since
{
	my %seen;
	my $log = slurp_file($node->logfile, $from);
	$seen{$2}{$1}++ while $log =~ /EVIL (.*?) runs as (\w+)/g;
	return \%seen;
}
# Runs $work; whoever ran his code meanwhile was himself, or $asker.
sub himself
{
	my ($what, $work, $asker) = @_;
	$from = -s $node->logfile;
	$work->();
	my $seen = evil_since();
	my $own = delete $seen->{hostile};
	delete $seen->{$asker} if defined $asker;
	is(join('; ', map { my $who = $_; "$who: " . join(', ', sort keys %{ $seen->{$who} }) } sort keys %$seen), '', "$what: as nobody else");
	return join(', ', sort keys %{ $own // {} });
}
sub run_policy
{
	my ($table) = @_;
	my ($status, undef, $err) = $node->psql('app', "SET client_min_messages = error; CALL citadel.run_lifecycle('$table')");
	return $status == 0 ? '' : $err;
}

# Converted and split.
sql("SET client_min_messages = error; SET ROLE hostile; CREATE TABLE evil.plain (id int PRIMARY KEY, at timestamptz NOT NULL, $columns);
	INSERT INTO evil.plain (id, at) SELECT g, now() - g * interval '2 days' FROM generate_series(1, 60) g; " . hang_on('evil.plain'));
my $policy = sql("SET client_min_messages = error; SET ROLE hostile; SELECT citadel.create_lifecycle_policy('evil.plain', 'at', premake => 1, plain_table => 'convert', extend_keys => true, split_after_conversion => true)");
my $said = '';
my $own = himself('conversion and splitting', sub {
	ok(eventually(20, sub {
		$said = run_policy('evil.plain');
		return sql("SELECT coalesce(string_agg(kind || ' ' || state, ', ' ORDER BY operation_id), '') FROM citadel.lifecycle_operation WHERE policy_id = $policy AND kind IN ('convert', 'split')") =~ /^convert done, split/;
	}), 'it is converted') or diag($said);
	run_policy('evil.plain') for 1 .. 3;
});
like($own, qr/index constant|check constant/, "his code ran as himself: $own");
is(sql('SET client_min_messages = error; SET ROLE hostile; SELECT count(*) FROM evil.plain'), '60', 'all rows are there');

# Moved in batches, and restored as rows.
sql("SET client_min_messages = error; SET ROLE hostile; CREATE TABLE evil.kept (id int PRIMARY KEY, at timestamptz, $columns);
	INSERT INTO evil.kept (id, at) SELECT g, '2020-01-02+00' FROM generate_series(1, 20) g; " . hang_on('evil.kept') . "
	SELECT citadel.create_lifecycle_policy('evil.kept', 'at', retain => '12 months', plain_table => 'keep', quarantine => '0')");
$own = himself('moving rows', sub { is(run_policy('evil.kept'), '', 'rows are moved') });
like($own, qr/trigger/, "his code ran as himself: $own");
my $archive = sql("SELECT archive_id FROM citadel.archive WHERE origin_name = 'kept' AND state = 'complete'");
$own = himself('a restore as rows, by a superuser', sub {
	my ($status, undef, $err) = $node->psql('app', "SET client_min_messages = error; CALL citadel.restore_archive($archive, 'evil.kept', 'rows')");
	is($status, 0, 'restored') or diag($err) });
like($own, qr/trigger|default|check/, "his code ran as himself: $own");

# Partitions in files: restored as a partition and beside, read, adopted, hashed.
sql("SET client_min_messages = error; SET ROLE hostile; CREATE TABLE evil.parted (id int, at timestamptz NOT NULL, $columns) PARTITION BY RANGE (at);
	CREATE TABLE evil.parted_old PARTITION OF evil.parted FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
	INSERT INTO evil.parted (id, at) SELECT g, '2020-01-02+00' FROM generate_series(1, 20) g; " . hang_on('evil.parted') . "
	SELECT citadel.create_lifecycle_policy('evil.parted', 'at', premake => 1, retain => '12 months', archive_to => 'file:evil', quarantine => '0')");
himself('archiving in files', sub { run_policy('evil.parted') for 1 .. 2 });
$archive = sql("SELECT archive_id FROM citadel.archive WHERE origin_name = 'parted' AND state = 'complete'");
my $view = sql("SELECT read_from FROM citadel.archive WHERE archive_id = $archive");
$own = himself('a superuser reads the archive', sub { is(sql("SET client_min_messages = error; SELECT count(*) FROM $view"), '20', 'read') }, 'postgres');
foreach my $how ("NULL, 'beside'", "'evil.parted', 'partition'")
{
	$own = himself("a restore ($how), by a superuser", sub {
		my ($status, undef, $err) = $node->psql('app', "SET client_min_messages = error; CALL citadel.restore_archive($archive, $how)");
		is($status, 0, 'restored') or diag($err) });
}
himself('archives are adopted', sub {
	sql("SET client_min_messages = error; DROP EXTENSION citadel_opt CASCADE; CREATE EXTENSION citadel_opt CASCADE; SELECT count(*) FROM citadel.adopt_archives()") });
# Who hashes a table reads it: planning that runs what a SELECT of his own would, with his rights.
himself('a table is hashed by a superuser', sub { sql("SET client_min_messages = error; SELECT * FROM citadel.content_hash('evil.parted')") }, 'postgres');
himself('reports', sub { sql("SET client_min_messages = error; SELECT count(*) FROM $_") foreach qw(citadel.get_table_statistics() citadel.get_index_statistics() citadel.preview_lifecycle() citadel.partition_runway) });
CitadelTest::no_crash($node);
$node->stop;
done_testing();
