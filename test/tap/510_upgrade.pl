# From an older version to this one: the same catalogue as a fresh installation, nothing lost; and what happens while
# the library and the SQL are not of one version, or the library is not there at all.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest qw(crashes no_crash error_is);
use LifecycleTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $upgrades = "$FindBin::RealBin/../upgrade";
my ($older, $later) = ('0.0.9', '99.0.0');
my ($node) = lifecycle_node('upgrade', config => "citadel_opt.databases = 'app'\ncitadel_opt.slow_query_threshold = 0\nautovacuum = off\n");
sub sql { return $node->safe_psql('app', $_[0]); }
my $version = sql("SELECT extversion FROM pg_extension WHERE extname = 'citadel_opt'");
is(sql('SELECT citadel.library_version()'), $version, 'the library knows its version');

# Everything in the catalogue, by test/upgrade/catalogue.sql.
sub catalogue
{
	my ($database) = @_;
	my ($out, $err) = run_command([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', "$upgrades/catalogue.sql", $node->connstr($database) ]);
	die $err if $err ne '';
	return $out;
}

sub same_catalogue
{
	my ($got, $expected, $name) = @_;
	my %got = map { $_ => 1 } split /\n/, $got;
	my %expected = map { $_ => 1 } split /\n/, $expected;
	ok($got eq $expected, $name)
	  or diag(join("\n", (map { "only after the upgrade: $_" } grep { !$expected{$_} } sort keys %got),
			(map { "only when fresh: $_" } grep { !$got{$_} } sort keys %expected)));
	return;
}

# A dump of the schema, without what differs by the hour.
sub schema_dump
{
	my ($database) = @_;
	# What it says of keys in a circle is no error.
	my ($out) = run_command([ 'pg_dump', '--schema-only', $node->connstr($database) ]);
	die "no dump of $database" unless $out =~ /PostgreSQL database dump complete/;
	$out =~ s/^\\(un)?restrict .*\n//mg;
	return $out;
}

# A database with both extensions in a version, then updated.
sub database_from
{
	my ($name, @versions) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	my @create = map { defined $_ ? "VERSION '$_'" : '' } @versions;
	$node->safe_psql($name, "SET client_min_messages = warning; CREATE EXTENSION citadel_opt $create[0] CASCADE; CREATE EXTENSION citadel_tasks $create[1]");
	foreach my $extension (grep { defined $versions[ $_ eq 'citadel_opt' ? 0 : 1 ] } qw(citadel_opt citadel_tasks))
	{
		$node->safe_psql($name, "ALTER EXTENSION $extension UPDATE");
	}
	return;
}

database_from('fresh', undef, undef);
my $fresh = catalogue('fresh');
cmp_ok(scalar(split /\n/, $fresh), '>', 3000, 'the catalogue is compared in full');
like($fresh, qr/^$_ /m, "it has each kind: $_") foreach qw(dumped member comment first function relation column view constraint index trigger sequence shipped);

# --- from the older version to this one
database_from('stepped', $older, $older);
same_catalogue(catalogue('stepped'), $fresh, 'installed as an older version and updated: the same catalogue');
is(schema_dump('stepped'), schema_dump('fresh'), 'and the same dump');
database_from('old', undef, undef);
$node->safe_psql('old', "ALTER EXTENSION citadel_tasks UPDATE TO '$older'; ALTER EXTENSION citadel_opt UPDATE TO '$older'");
my $old = catalogue('old');
ok($old ne $fresh && $old !~ /recommendation_report/ && $old =~ /citadel\.obsolete/, 'the older version was another one');

# --- every version that was released: its own install script, the steps from there
foreach my $script (sort glob("$upgrades/citadel_opt--*.sql"))
{
	my ($released) = $script =~ /--(.+)\.sql$/ or next;
	next if $released eq $version;
	(my $database = "from_$released") =~ tr/.-/__/;
	database_from($database, $released, -e "$upgrades/citadel_tasks--$released.sql" ? $released : undef);
	same_catalogue(catalogue($database), $fresh, "installed as $released and updated: the same catalogue");
	is(schema_dump($database), schema_dump('fresh'), "$released: the same dump");
}

# --- with everything in it: history, policies, an archive, recommendations, jobs' settings, the tasks
sql('CREATE EXTENSION citadel_tasks');
sql('SELECT citadel_tasks.setup_partitions(7, 3); SELECT citadel_tasks.generate_tasks(2000, 5, date_trunc($$day$$, now(), $$UTC$$), 6)');
my ($table, $policy) = old_table($node, 'schema', 'archive');
sql('CALL citadel.run_lifecycle()');
is(archived($node, $table), "$LifecycleTest::rows_each|$LifecycleTest::rows_each", 'an old partition was archived');
sql("SELECT citadel.place_hold('$table', '2021-01-01', '2021-02-01', 'kept for somebody')");
sql("SELECT citadel.alter_job('maintain', schedule => '3 hours')");
sql("UPDATE citadel.alert_rule SET threshold = 0.77 WHERE rule = 'rollbacks'");
sql('CREATE TABLE app.orders AS SELECT g AS id, g % 5000 AS customer FROM generate_series(1, 50000) g; ANALYZE app.orders');
sql('SELECT count(*) FROM app.orders WHERE customer = 7') for 1 .. 20;
sql('SELECT citadel.collect()');
my $run = sql("SELECT citadel.run_job('advise')");
$node->safe_psql('app', "CALL citadel.wait_for_job($run, '5 min')");
like(sql('SELECT definition FROM citadel.index_recommendation'), qr/\(customer\)/, 'an index is recommended');

sub enable
{
	my ($value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET citadel_opt.enabled = $value");
	$node->reload;
	return;
}

ok(eventually(60, sub { sql('SELECT (SELECT count(*) > 0 FROM citadel.audit_entry) AND NOT EXISTS (SELECT FROM citadel.audit_pending)') eq 't' }),
	'the audit log is written');

# With the workers off nothing changes any more.
enable('off');
ok(eventually(20, sub { sql("SELECT state FROM citadel.worker_status() WHERE kind = 'scheduler' AND database = 'app'") eq 'paused' }), 'the workers pause');

# All rows of all tables in schema citadel, those of the tasks, and the archive; without what 0.0.9 does not have.
sub evidence
{
	return sql(q{
		SELECT format('SELECT %L, count(*), sum(hashtextextended(t::text, 0)) FROM ONLY %s AS t', c.oid::regclass, c.oid::regclass)
		FROM pg_class AS c WHERE c.relkind = 'r' AND c.relname NOT IN ('setting_log', 'job_setting', 'hero_tasks')
			AND c.relnamespace::regnamespace::text IN ('citadel', 'citadel_tasks', 'app', 'citadel_archive')
		ORDER BY c.oid::regclass::text \gexec
		SELECT job_name, enabled, schedule, max_runtime FROM citadel.job_setting ORDER BY 1;
		SELECT count(*), sum(hashtextextended(concat(id, title, status, metadata, created_at), 0)) FROM citadel_tasks.hero_tasks;
		SELECT last_value FROM citadel.lifecycle_operation_operation_id_seq;
		SELECT last_value FROM citadel.index_recommendation_id_seq});
}
my $before = evidence();
like($before, qr/^citadel\.$_\|[1-9]/m, "there are rows to lose: $_") foreach qw(lifecycle_policy hold archive_entry audit_entry index_recommendation statement alert_rule);
like($before, qr/^citadel\.statement_minute\w+\|[1-9]/m, 'there is history to lose');

# --- SQL that is older than the library: everything waits, nothing breaks
sql("ALTER EXTENSION citadel_tasks UPDATE TO '$older'; ALTER EXTENSION citadel_opt UPDATE TO '$older'");
my $logged = -s $node->logfile;
enable('on');
my $message = "the library of citadel_opt is version $version, the extension in this database is version $older";
ok(eventually(60, sub { slurp_file($node->logfile, $logged) =~ /the workers wait: \Q$message\E/ }), 'the workers wait, and say why');
like(slurp_file($node->logfile, $logged), qr/HINT:  Run ALTER EXTENSION citadel_opt UPDATE/, 'and what to do');
is(sql("SELECT citadel.health() ->> 'status', citadel.health() ->> 'version', citadel.health() ->> 'library_version'"), "error|$older|$version",
	'health() answers');
is(sql("SELECT citadel.health() #>> '{reasons,0}'"), "$message. Run ALTER EXTENSION citadel_opt UPDATE in this database.", 'and says what to do');
foreach my $call ('SELECT * FROM citadel.worker_status()', 'SELECT * FROM citadel.recommend_indexes()', 'SELECT citadel.metrics()',
	"SELECT citadel.run_job('maintain')", 'CALL citadel.run_lifecycle()', 'SELECT citadel.verify_audit_log()')
{
	error_is($node, 'app', $call, { sqlstate => '55000', message => $message, hint => 'Run ALTER EXTENSION citadel_opt UPDATE in this database.' }, "refused: $call");
}
is(sql("INSERT INTO $table SELECT 1000 + i, now(), 'meanwhile' FROM generate_series(1, 5) i; SELECT count(*) FROM $table WHERE v = 'meanwhile'"), '5',
	'everybody else works on');
sql("DELETE FROM $table WHERE v = 'meanwhile'");
$node->restart;
is(sql('SELECT count(*) FROM citadel.lifecycle_policy WHERE policy_id = ' . $policy), '1', 'the server restarts so');
$logged = -s $node->logfile;
is(sql('SELECT count(*) FROM app.orders WHERE customer = 8'), '10', 'statements run');

# --- the update
enable('off');
sql('ALTER EXTENSION citadel_opt UPDATE; ALTER EXTENSION citadel_tasks UPDATE');
same_catalogue(catalogue('app'), $fresh, 'the catalogue is that of a fresh installation') if sql(q{UPDATE citadel.alert_rule SET threshold = 0.5 WHERE rule = 'rollbacks' AND threshold = 0.77 RETURNING 1}) eq '1'
  or fail("a rule that was changed has kept its threshold");
sql("UPDATE citadel.alert_rule SET threshold = 0.77 WHERE rule = 'rollbacks'");
is(evidence(), $before, 'no row was lost');
enable('on');
ok(eventually(60, sub { sql("SELECT count(*) FROM citadel.worker_status() WHERE kind = 'scheduler' AND state IN ('idle', 'working')") eq '1' }), 'the workers go on');
is(sql('SELECT citadel.version_problem() IS NULL'), 't', 'nothing is wrong any more');
sql('SELECT count(*) AS after_the_update FROM app.orders WHERE customer = 9');
sql('SELECT citadel.collect()');
is(sql(q{SELECT count(*) FROM citadel.statement WHERE query LIKE '%after_the_update%'}), '1', 'new statements are captured');
sql('CALL citadel.run_lifecycle()');
is(sql('SELECT broken FROM (SELECT first_broken AS broken FROM citadel.verify_audit_log()) AS v'), '', 'the audit log is whole');
is(archived($node, $table), "$LifecycleTest::rows_each|$LifecycleTest::rows_each", 'the archive can be read');

# --- a library that is older than the SQL: the package was put back, or the server not restarted
sql("ALTER EXTENSION citadel_opt UPDATE TO '$later'");
$message = "the library of citadel_opt is version $version, the extension in this database is version $later";
error_is($node, 'app', 'SELECT * FROM citadel.worker_status()', { sqlstate => '55000', message => $message, hint => qr/^Install version $later of the package if it is not there, and restart the server/ },
	'SQL of a later version is not touched');
like(sql("SELECT citadel.health() #>> '{reasons,0}'"), qr/restart the server/, 'health() says what to do');
sql("ALTER EXTENSION citadel_opt UPDATE TO '$version'");
is(sql('SELECT citadel.version_problem() IS NULL'), 't', 'back again');

# --- no library at all: the package was removed too early. A copy of the installation that lacks it.
$node->stop;
my %folder = map { my ($out) = run_command([ 'pg_config', "--$_" ]); $_ => $out } qw(bindir pkglibdir sharedir);
my $copy = PostgreSQL::Test::Utils::tempdir('without');
foreach my $kind (qw(bindir pkglibdir sharedir))
{
	system_or_bail('mkdir', '-p', "$copy$folder{$kind}");
	# A program finds its installation by its own place, so programs are copied and the rest may be links.
	system_or_bail('cp', $kind eq 'bindir' ? '-r' : '-rs', "$folder{$kind}/.", "$copy$folder{$kind}");
}
unlink "$copy$folder{pkglibdir}/citadel_opt.so" or die 'no library to remove';
my @start = ("$copy$folder{bindir}/pg_ctl", 'start', '-w', '-D', $node->data_dir, '-l', $node->logfile);
$logged = -s $node->logfile;
command_fails(\@start, 'a server that shall preload it does not start');
like(slurp_file($node->logfile, $logged), qr/FATAL: .*could not access file "citadel_opt": No such file or directory/, 'and says which file it lacks');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements'");
command_ok(\@start, 'without the preload it starts');
error_is($node, 'app', 'SELECT citadel.health()', { sqlstate => '58P01', message => qr/^could not access file "(?:\$libdir\/)?citadel_opt": No such file or directory$/ }, 'functions say which file they lack');
is(sql("SELECT count(*) FROM citadel.lifecycle_policy WHERE policy_id = $policy"), '1', 'tables can be read');
is(sql("SELECT count(*) FROM app.orders WHERE customer = 7"), '10', 'statements run');
is(archived($node, $table), "$LifecycleTest::rows_each|$LifecycleTest::rows_each", 'the archive can be read');
sql('DROP EXTENSION citadel_tasks; DROP EXTENSION citadel_opt');
is(archived_by_hand(), $LifecycleTest::rows_each, 'DROP EXTENSION works, and takes no archive');
command_ok([ "$copy$folder{bindir}/pg_ctl", 'stop', '-w', '-m', 'fast', '-D', $node->data_dir ], 'stopped');

sub archived_by_hand
{
	my $archive = sql("SELECT c.oid::regclass FROM pg_class AS c WHERE c.relnamespace = 'citadel_archive'::regnamespace AND c.relkind = 'r'");
	return sql("SELECT count(*) FROM $archive");
}

no_crash($node);
done_testing();
