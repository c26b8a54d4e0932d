# Values that nobody may learn from us: rows behind row-level security, literals of others' statements, passwords. Each is
# a word that occurs nowhere else; it is looked for in everything that a role may call or read, in all tables of the
# extension, and in the server's log.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use TrustTest;
use PostgreSQL::Test::Utils;
use Test::More;

# What the server writes into its log of its own accord is switched off: what remains is ours.
my ($node, $numbers) = trust_node('canaries', config => <<'END');
log_statement = none
log_min_error_statement = panic
log_min_duration_statement = -1
citadel_opt.maintenance = 'act'
END
my $db = 'app';
sub sql { return $node->safe_psql($db, $_[0]); }

# A table with row-level security: others see no row of it, and it is full of canaries. Often enough for each kind of
# index, statistics of columns together, findings, samples and drops.
sql(q{CREATE ROLE clerk LOGIN; CREATE SCHEMA files AUTHORIZATION clerk; GRANT USAGE ON SCHEMA files TO PUBLIC});
as($node, 'clerk', q{
	CREATE TABLE files.person (id int, name text, state text, city text, born date, doc jsonb, note text, amount numeric);
	INSERT INTO files.person SELECT g, 'canaryname' || g % 50, CASE WHEN g % 100 = 0 THEN 'canarystate' ELSE 'canaryusual' END, 'canarycity' || g % 7,
		'1913-01-01'::date + g % 300, jsonb_build_object('canarykey', 'canaryvalue' || g % 90), 'canarynote ' || g, 91827364 + g % 3 FROM generate_series(1, 30000) g;
	CREATE TABLE files.claim AS SELECT g AS id, CASE WHEN g % 20 = 0 THEN 'canarystate' ELSE 'canaryusual' || g % 3 END AS state, g % 5000 AS amount FROM generate_series(1, 100000) g;
	CREATE TABLE files.ticket AS SELECT id, CASE WHEN id % 20 = 0 THEN 'open' ELSE 'closed' || id % 3 END AS state, amount FROM files.claim;
	CREATE TABLE files.doctor (id int PRIMARY KEY, name text);
	INSERT INTO files.doctor SELECT g, 'canarydoctor' || g FROM generate_series(1, 500) g;
	CREATE INDEX ON files.person (id);
	ALTER TABLE files.person ENABLE ROW LEVEL SECURITY; ALTER TABLE files.doctor ENABLE ROW LEVEL SECURITY; ALTER TABLE files.claim ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON files.person USING (name = current_user); CREATE POLICY own ON files.doctor USING (name = current_user);
	GRANT SELECT ON files.person, files.doctor TO PUBLIC;
	ANALYZE files.person, files.doctor, files.claim, files.ticket});
is(as($node, $_, 'SELECT count(*) FROM files.person'), '0', "$_ sees no row") foreach 'other', 'owner', 'monitor';
foreach my $round (1 .. 6)
{
	as($node, 'clerk', $_) foreach (
		"SELECT count(*) FROM files.person WHERE state = 'canarystate' AND amount > 91827364",
		"SELECT id FROM files.person WHERE name = 'canaryname7' AND city = 'canarycity3' ORDER BY born LIMIT 3",
		"SELECT count(*) FROM files.person WHERE doc \@> '{\"canarykey\": \"canaryvalue5\"}'",
		"SELECT count(*) FROM files.person WHERE note LIKE 'canarynote 12%' OR lower(name) = 'canaryname9'",
		"SELECT count(*) FROM files.person p JOIN files.doctor d ON d.name = p.name WHERE p.born < '1913-05-01' AND d.name <> 'canarydoctor1'",
		"WITH x AS (SELECT * FROM files.person WHERE city IN ('canarycity1', 'canarycity2')) SELECT state, count(*) FROM x GROUP BY 1 ORDER BY 2",
		"UPDATE files.person SET note = 'canarynote new' WHERE id = $round",
		"PREPARE p (text) AS SELECT count(*) FROM files.person WHERE name = \$1 AND state = 'canarystate'; EXECUTE p ('canaryname8')",
		"DECLARE c CURSOR WITH HOLD FOR SELECT * FROM files.person WHERE name = 'canaryname11'; FETCH 1 FROM c",
		"DO \$\$ BEGIN PERFORM count(*) FROM files.person WHERE name = 'canaryname12'; END \$\$",
		"SELECT id FROM files.claim WHERE state = 'canarystate' AND amount = 200",
		"SELECT id FROM files.ticket WHERE state = 'open' AND amount = 200",
		"COPY (SELECT * FROM files.person WHERE name = 'canaryname13') TO STDOUT");
	# Errors carry values, too.
	$node->psql($db, $_, extra_params => [ '-U', 'clerk' ]) foreach (
		"SELECT count(*) FROM files.person WHERE name::int = 5",
		"INSERT INTO files.doctor VALUES (1, 'canarydoctor twice')",
		"SELECT 'canaryliteral'::int");
}
# Policies, holds and archives with canaries in rows, not in names.
as($node, 'clerk', q{
	CREATE TABLE files.visit (id int, at timestamptz NOT NULL, why text) PARTITION BY RANGE (at);
	CREATE TABLE files.visit_old PARTITION OF files.visit FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
	INSERT INTO files.visit SELECT g, '2020-01-02+00', 'canaryvisit ' || g FROM generate_series(1, 50) g;
	SELECT citadel.create_lifecycle_policy('files.visit', 'at', premake => 1, retain => '12 months', quarantine => '0');
	SELECT citadel.place_hold('files.visit', NULL, '2020-01-01', 'case 7', 'why = ''canaryvisit 5''')});
sql('CALL citadel.run_lifecycle()');
as($node, 'clerk', "SELECT citadel.place_hold('files.person', NULL, NULL, 'case 8', '1 / (length(name) - length(''canaryname1'')) = 0')");
sql('SELECT citadel.collect()');
run_job($node, $_) foreach 'advise', 'maintain';
sql('SELECT citadel.collect()');
cmp_ok(sql("SELECT count(*) FROM citadel.index_recommendation WHERE schema_name = 'files'"), '>', 2, 'there are recommendations');
foreach my $pair ([ ticket => 'open', 't' ], [ claim => 'canarystate', 'f' ])
{
	my ($table, $state, $partial) = @$pair;
	is(sql("SELECT coalesce(bool_or(definition ~ 'WHERE'), false) FROM citadel.recommend_indexes(ARRAY['SELECT id FROM files.$table WHERE state = ''$state'' AND amount = 200'])"),
		$partial, $partial eq 't' ? 'a status may be in the predicate of an index' : 'but not of a table that hides rows');
}
cmp_ok(sql("SELECT count(*) FROM citadel.statement WHERE query LIKE '%files.person%'"), '>', 5, 'and statements');
cmp_ok(sql("SELECT count(*) FROM citadel.archive WHERE origin_schema = 'files'"), '>', 0, 'and an archive');

my $canary = qr/canary(?:name|state|usual|city|value|note|doctor|literal|visit|key)|91827364|91827365|1913-/;
my @rows = grep { $_->{kind} =~ /^(function|table|view)$/ && $_->{call} !~ /^CALL/ } privileges();
my @calls = map { fill($_->{call} ne '' ? $_->{call} : "SELECT * FROM citadel.$_->{name}", $numbers) } @rows;
my @more = ("SELECT * FROM citadel.recommend_indexes()", "SELECT * FROM citadel.index_recommendation AS r, citadel.index_build_plan(r.id)",
	"SELECT r.id, citadel.explain_recommendation(r.id), citadel.recommendation_report(r.id) FROM citadel.index_recommendation AS r",
	"SELECT * FROM citadel.statement AS s, citadel.plan_history(s.query_id), citadel.query_history(s.query_id)",
	"SELECT * FROM citadel.what_if('SELECT count(*) FROM files.person WHERE state = ''x''', '{CREATE INDEX ON files.person (state)}')",
	"SELECT * FROM citadel.recommend_indexes('{SELECT count(*) FROM files.person WHERE state = ''x'' AND city = ''y''}')");
foreach my $role ('other', 'owner', 'monitor')
{
	my ($err, @results) = calls_as($node, $role, [ @calls, @more ]);
	foreach my $n (0 .. $#results)
	{
		my @found = $results[$n][1] =~ /(.{0,60}$canary.{0,40})/g;
		is(join("\n", @found[ 0 .. ($#found > 2 ? 2 : $#found) ]), '', "$role: " . ($n < @rows ? $rows[$n]{name} : $more[ $n - @rows ]));
	}
	unlike($err, $canary, "$role: notices and errors");
}

# Passwords: no table of ours, whatever is kept of parameters, and no line in the log.
sql(q{CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink;
	CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere', dbname 'x'); GRANT USAGE ON FOREIGN SERVER far TO clerk});
foreach my $keep ('memory', 'store')
{
	my $set = "SET citadel_opt.sample_parameters = '$keep'; SET citadel_opt.slow_query_threshold = 0;";
	sql("$set $_") foreach (
		"CREATE ROLE secret1_$keep PASSWORD 'hushpassword'", "ALTER ROLE secret1_$keep PASSWORD 'hushpassword2'",
		"DO \$\$ BEGIN EXECUTE 'CREATE ROLE secret2_$keep PASSWORD ''hushpassword3'''; END \$\$",
		"CREATE FUNCTION public.make_$keep() RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN EXECUTE 'ALTER ROLE secret1_$keep PASSWORD ''hushpassword4'''; END \$\$; SELECT public.make_$keep()",
		"CREATE USER MAPPING IF NOT EXISTS FOR clerk SERVER far OPTIONS (user 'u', password 'hushmapping')", "ALTER USER MAPPING FOR clerk SERVER far OPTIONS (SET password 'hushmapping2')");
	$node->psql($db, "$set $_") foreach ("CREATE ROLE secret1_$keep PASSWORD 'hushtwice'", "CREATE ROLE wrong PASSWORD 'hushsyntax' NONSENSE", "CREATE SUBSCRIPTION s_$keep CONNECTION 'host=/nowhere password=hushsubscription' PUBLICATION p");
}
sql("SET citadel_opt.slow_query_threshold = 0; SELECT 'hushliteral', length('password=hushliteral2')");
$node->psql($db, "SET citadel_opt.slow_query_threshold = 0; SELECT dblink_connect('host=/nowhere password=hushdblink')");
# A destination that cannot be reached: the error names the server, not the password.
as($node, 'clerk', q{CREATE TABLE files.far (id int, at timestamptz NOT NULL) PARTITION BY RANGE (at);
	CREATE TABLE files.far_old PARTITION OF files.far FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
	INSERT INTO files.far VALUES (1, '2020-01-02+00');
	SELECT citadel.create_lifecycle_policy('files.far', 'at', premake => 1, retain => '12 months', archive_to => 'server:far', quarantine => '0')});
my ($status, undef, $stderr) = $node->psql($db, "CALL citadel.run_lifecycle('files.far')");
unlike($stderr, qr/hush/, 'a server that cannot be reached: no password in the error');
isnt($status, 0, 'which it is');
sql('SELECT citadel.collect()');
run_job($node, 'advise');
foreach my $table (split /\n/, sql(q{SELECT c.oid::regclass FROM pg_class AS c WHERE c.relnamespace::regnamespace::text IN ('citadel', 'citadel_archive') AND c.relkind IN ('r', 'm') ORDER BY 1}))
{
	is(sql("SET citadel_opt.slow_query_threshold = -1; SELECT string_agg(substring(t::text FROM '.{0,60}hush.{0,40}'), E'\\n') FROM $table AS t WHERE t::text ~ 'hush'"), '', "no secret in $table");
}
is(sql("SELECT count(*) FROM citadel.captured_statements() AS c WHERE c::text ~ 'hush(password|mapping|twice|syntax|subscription)'"), '0', 'nor in shared memory');
my $log = slurp_file($node->logfile);
is(join("\n", $log =~ /(.*hush.*)/g), '', 'no secret in the log');
unlike($log =~ s/.*(?:ERROR|STATEMENT|DETAIL|CONTEXT|HINT|FATAL):.*//gr, $canary, 'and no canary of ours');
$node->stop;
done_testing();
