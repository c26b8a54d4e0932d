# Names that want to be SQL: of roles, schemas, tables, columns, indexes, constraints, partitions, tablespaces, servers,
# functions. Everything works over them, and nothing that they say is run.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest ();
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $archives) = lifecycle_node('names', config => <<'END');
allow_in_place_tablespaces = on
citadel_opt.slow_query_threshold = 0
citadel_opt.max_overhead = 0
citadel_opt.advise_interval = 0
citadel_opt.maintenance = 'act'
citadel_opt.lifecycle_load = 1
autovacuum = off
END
my $db = 'app';
sub sql { return $node->safe_psql($db, $_[0]); }
my $far = CitadelTest::citadel_node('far', preload => '', database => 'far', extension => 0, config => "password_encryption = 'scram-sha-256'\n");
my ($host, $port) = ($far->host, $far->port);
$far->safe_psql('far', q{CREATE ROLE storer LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE far TO storer});
my $hba = $far->data_dir . '/pg_hba.conf';
unlink $hba;
append_to_file($hba, "local all storer scram-sha-256\nlocal all all trust\n");
$far->reload;
sql(q{CREATE SEQUENCE public.pwned; GRANT ALL ON SEQUENCE public.pwned TO PUBLIC; CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink});

my @names = (
	q{x"; SELECT nextval('pwned'); --}, q{'; SELECT nextval('pwned'); --}, q{$$; SELECT nextval('pwned'); $$}, q{back\\slash\\'n}, "new\nline; --\n\"",
	('é' x 31), q{UPPER Case}, q{%I%s%1$L%n}, q|{a,"b",\\c}|, q{a.b"."c}, q{/* */ -- [1] ($1)}, q{select});
sub literal { my ($text) = @_; $text =~ s/'/''/g; return $text =~ /\\/ ? " E'" . ($text =~ s/\\/\\\\/gr) . "'" : "'$text'"; }
sub ident { my ($text) = @_; return '"' . ($text =~ s/"/""/gr) . '"'; }
# A name of at most 63 bytes, cut at a character, with something before it, so that the objects of one round differ.
sub of { my ($prefix, $name) = @_; return substr("$prefix$name", 0, 63) =~ s/[\xC0-\xFF]$//r; }

sub runs
{
	my ($what, $table) = @_;
	my ($status, undef, $err) = $node->psql($db, 'CALL citadel.run_lifecycle(' . literal($table) . ')');
	is($status, 0, $what) or diag($err);
	return;
}

my $number = 0;
foreach my $name (@names)
{
	my $n = ++$number;
	my $said = $name =~ s/\n/ /gr;
	my ($role, $schema, $table, $column, $value, $index, $constraint, $partition, $space, $server, $function) =
	  map { ident(of($_, $name)) } ('', '', '', '', 'v', 'i', 'c', 'p', 's', 'f', 'u');
	my $whole = "$schema.$table";
	sql(qq{CREATE ROLE $role; GRANT pg_write_server_files TO $role; CREATE SCHEMA $schema AUTHORIZATION $role;
		CREATE TABLE public.y$n AS SELECT 1 AS id});
	sql("CREATE TABLESPACE $space LOCATION ''"); sql("GRANT CREATE ON TABLESPACE $space TO $role");
	sql(qq{CREATE SERVER $server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'far');
		GRANT USAGE ON FOREIGN SERVER $server TO $role; CREATE USER MAPPING FOR $role SERVER $server OPTIONS (user 'storer', password 'secret')});
	my $as = "SET ROLE $role;";
	my $policy_of = sub {
		my ($relation, $options) = @_;
		return sql("$as SELECT citadel.create_lifecycle_policy(" . literal($relation) . ', ' . literal(of('', $name)) . ", premake => 1, quarantine => '0', $options)");
	};
	my $bare = literal(of('', $name));

	# Partitioned, archived to two of the four destinations in turn, with a hold; restored.
	foreach my $destination ('schema', ("schema:" . of('', $name), "file:d$n", "server:" . of('f', $name))[ $n % 3 ])
	{
		my ($kind) = $destination =~ /^(\w+)/;
		my $own = ident(of($kind eq 'schema' ? length($destination) > 6 ? 'b' : 'a' : substr($kind, 0, 2), $name));
		my $relation = "$schema.$own";
		my $part = "$schema." . ident(of(substr($kind, 0, 2) . 'p' . length($destination) % 10, $name));
		sql(qq{$as CREATE TABLE $relation (id int CONSTRAINT $constraint CHECK (id > 0), $column timestamptz NOT NULL, $value text) PARTITION BY RANGE ($column);
			CREATE INDEX ON $relation ($value); CREATE TABLE $part PARTITION OF $relation FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
			INSERT INTO $relation SELECT g, '2020-01-02+00', 'row ' || g FROM generate_series(1, 20) g});
		my $options = "retain => '12 months', archive_to => " . literal($destination);
		$options .= ', archive_tablespace => ' . literal(of('s', $name)) if $destination eq 'schema';
		$policy_of->($relation, $options);
		my $hold = sql("$as SELECT citadel.place_hold(" . literal($relation) . ", NULL, NULL, $bare, " . literal("$value = 'row 3' AND $value <> $bare") . ')');
		runs("$said, $kind: with a hold", $relation);
		is(sql("$as SELECT count(*) FROM $relation"), '20', "$said, $kind: held");
		sql("$as SELECT citadel.release_hold($hold, $bare)");
		runs("$said, $kind: the run", $relation) for 1 .. 2;
		is(sql("$as SELECT count(*) FROM $relation"), '0', "$said, $kind: archived");
		my ($archive, $from) = split /\|/, sql("SELECT archive_id || '|' || replace(read_from, E'\\n', chr(1)) FROM citadel.archive WHERE origin_name = " . literal($own =~ s/^"|"$//gr =~ s/""/"/gr) . " AND state = 'complete'"), 2;
		$from =~ s/\x01/\n/g;
		is(sql("$as SELECT count(*) FROM $from"), '20', "$said, $kind: read from the archive");
		my ($status, undef, $err) = $node->psql($db, "$as CALL citadel.restore_archive($archive, NULL, 'beside')");
		is($status, 0, "$said, $kind: restored") or diag($err);
	}

	# Plain: converted and split; kept, its old rows moved.
	sql(qq{$as CREATE TABLE $whole (id int CONSTRAINT $constraint PRIMARY KEY, $column timestamptz NOT NULL, $value text DEFAULT $bare);
		CREATE FUNCTION $schema.$function(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT \$1';
		INSERT INTO $whole SELECT g, now() - g * interval '1 day', 'row ' || g % 50 FROM generate_series(1, 60) g; CREATE INDEX $index ON $whole ($schema.$function($value))});
	my $policy = $policy_of->($whole, "plain_table => 'convert', extend_keys => true, split_after_conversion => true");
	ok(eventually(30, sub { $node->psql($db, 'CALL citadel.run_lifecycle(' . literal($whole) . ')');
		return sql("SELECT coalesce(string_agg(state, ' ' ORDER BY operation_id), '') FROM citadel.lifecycle_operation WHERE policy_id = $policy AND kind IN ('convert', 'split')") eq 'done done'; }),
		"$said: converted and split");
	is(sql("$as SELECT count(*), count(DISTINCT id) FROM $whole"), '60|60', "$said: all rows are there");
	my $kept = "$schema." . ident(of('k', $name));
	sql(qq{$as CREATE TABLE $kept (id int PRIMARY KEY, $column timestamptz, $value text); INSERT INTO $kept SELECT g, '2020-01-02+00', 'x' FROM generate_series(1, 20) g; CREATE INDEX ON $kept ($column)});
	$policy_of->($kept, "retain => '12 months', plain_table => 'keep'");
	runs("$said: old rows are moved", $kept);
	is(sql("$as SELECT count(*) FROM $kept"), '0', "$said: and gone");

	# Captured, advised, built as the plan says.
	my $big = "$schema." . ident(of('g', $name));
	sql(qq{SET citadel_opt.slow_query_threshold = -1; $as CREATE TABLE $big AS SELECT g AS $column, 'row ' || g AS $value FROM generate_series(1, 5000) g});
	sql($as . join(";\n", map { "SELECT count(*) FROM $big WHERE $value = 'row $_'" } 1 .. 200));
	my $definition = sql("SELECT definition FROM citadel.recommend_indexes(ARRAY[" . literal("SELECT count(*) FROM $big WHERE $value = 'row 7'") . '])');
	like($definition, qr/^CREATE INDEX/, "$said: recommended");
	is(sql('SELECT cost_after < cost_before FROM citadel.what_if(' . literal("SELECT count(*) FROM $big WHERE $value = 'row 7'") . ', ARRAY[' . literal($definition) . '])'), 't', "$said: what if");
	is(sql("SELECT rows FROM citadel.content_hash(" . literal($big) . ', ' . literal("$value <> $bare") . ')'), '5000', "$said: content_hash");
}
sql('SELECT citadel.collect()');
foreach my $job ('advise', 'maintain')
{
	my $run = sql("SELECT citadel.run_job('$job')");
	my ($status, undef, $err) = $node->psql($db, "CALL citadel.wait_for_job($run)");
	is($status, 0, "the job $job") or diag($err);
}
my @recommended = split /\n/, sql(q{SELECT id FROM citadel.index_recommendation WHERE relation_name LIKE 'g%' AND status = 'open'});
is(scalar(@recommended), scalar(@names), 'each of the tables got a recommendation');
foreach my $id (@recommended)
{
	my ($status, undef, $err) = $node->psql($db, "SELECT statement FROM citadel.index_build_plan($id) WHERE statement IS NOT NULL ORDER BY step_no \\gexec");
	is($status, 0, "recommendation $id can be built") or diag($err);
	sql("SELECT citadel.explain_recommendation($id), citadel.recommendation_report($id)");
}
sql("SELECT * FROM $_") foreach qw(citadel.get_table_statistics() citadel.get_index_statistics() citadel.preview_lifecycle() citadel.partition_runway citadel.lifecycle_step
	citadel.archive citadel.hold citadel.analyze_slow_queries() citadel.query_performance citadel.table_performance citadel.index_usage citadel.maintenance_action citadel.audit_log
	citadel.verify_audit_log() citadel.health() citadel.metrics() citadel.advice citadel.metric_table);
is(sql('SELECT first_broken IS NULL FROM citadel.verify_audit_log()'), 't', 'the audit log holds');
unlike(sql('SELECT citadel.metrics()'), qr/^(?!#|\w+(?:\{(?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? \S+$).+$/m, 'metrics are well-formed');
cmp_ok(sql("SELECT count(*) FROM citadel.maintenance_action WHERE kind = 'analyze' AND status = 'done'"), '>=', scalar(@names), 'tables were analyzed');
is(sql('SELECT is_called FROM public.pwned'), 'f', 'nothing that a name says was run');
is(sql("SELECT count(*) FROM pg_class WHERE relname ~ '^y[0-9]+\$' AND relnamespace = 'public'::regnamespace"), scalar(@names), 'no table is gone');
CitadelTest::no_crash($node);
$node->stop;
$far->stop;
done_testing();
