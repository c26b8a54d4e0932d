# pg_dump into a new database, with workers running in both: evidence comes along, and nothing is in its way.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('history_dump', config => <<'END');
citadel_opt.sample_interval = '1s'
citadel_opt.slow_query_threshold = '100ms'
citadel_opt.sample_parameters = 'store'
END
$node->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.snapshot_state") or die 'no scheduler';
$node->safe_psql($db, <<'END');
CREATE TABLE "Kept Things" (id int PRIMARY KEY, v text);
INSERT INTO "Kept Things" SELECT g, g FROM generate_series(1, 1000) g;
SELECT citadel.collect();
END
$node->safe_psql($db, 'SET enable_seqscan = off; SELECT pg_sleep(0.2), v FROM "Kept Things" WHERE id = 5');
settle($node);
$node->safe_psql($db, 'SELECT citadel.collect()');

my $evidence = <<'END';
SELECT 'sample', count(*), sum(hashtextextended(s::text, 0)) FROM citadel.sample s
UNION ALL SELECT 'statement', count(*), sum(hashtextextended(s::text, 0)) FROM citadel.statement s
UNION ALL SELECT 'plan', count(*), sum(hashtextextended(s::text, 0)) FROM citadel.plan s
UNION ALL SELECT 'statement_delta', count(*), sum(hashtextextended(s::text, 0)) FROM citadel.statement_delta s
UNION ALL SELECT 'table_delta', count(*), sum(hashtextextended(s::text, 0)) FROM citadel.table_delta s
UNION ALL SELECT 'parameter_set', count(*), sum(hashtextextended(s::text, 0)) FROM citadel.parameter_set s
ORDER BY 1
END
# The workers here stand still meanwhile, so that there is one state to compare with.
$node->safe_psql($db, q{ALTER SYSTEM SET citadel_opt.databases = 'copy,copy_custom'});
$node->reload;
$node->poll_query_until($db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' AND datname = current_database()}) or die;
my $before = $node->safe_psql($db, $evidence);
like($before, qr/^sample\|[1-9]/m, 'there is something to dump');
my $used = $node->safe_psql($db, q{SELECT scans_total, last_used FROM citadel.index_counter WHERE index_name = 'Kept Things_pkey'});
like($used, qr/^1\|2/, 'an index was used');

my $plain = $node->basedir . '/dump.sql';
my $custom = $node->basedir . '/dump.custom';
$node->command_ok([ 'pg_dump', '-f', $plain, $node->connstr($db) ], 'pg_dump, plain');
$node->command_ok([ 'pg_dump', '-Fc', '-f', $custom, $node->connstr($db) ], 'pg_dump, custom format');

# The restore pauses right after its DDL: whoever wanted to make partitions of his own has all the time to do so.
my $script = slurp_file($plain);
$script =~ s/^(COPY )/SELECT pg_catalog.pg_sleep(4);\n$1/m or die 'no COPY in the dump';
$script =~ s/^(CREATE TABLE citadel\.)/SELECT pg_catalog.pg_sleep(4);\n$1/m or die 'no partition in the dump';
my $slow = $node->basedir . '/slow.sql';
append_to_file($slow, $script);

$node->safe_psql('postgres', 'CREATE DATABASE copy; CREATE DATABASE copy_custom');
# What the restore itself runs is not to become a sample of the copy before it is compared.
$ENV{PGOPTIONS} = '-c citadel_opt.slow_query_threshold=-1';
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $slow, $node->connstr('copy') ],
	'psql restores without an error, with a scheduler running there');
is($node->safe_psql('copy', $evidence), $before, 'all evidence is there');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $node->connstr('copy_custom'), $custom ],
	'pg_restore, with two jobs');
is($node->safe_psql('copy_custom', $evidence), $before, 'all evidence is there as well');
delete $ENV{PGOPTIONS};

# Then the history goes on in the copy.
foreach my $copy ('copy', 'copy_custom')
{
	$node->safe_psql($copy, 'SELECT citadel.collect()');
	is($node->safe_psql($copy, 'SELECT count(*) FROM citadel.snapshot_state WHERE failure IS NOT NULL'), '0', "$copy: all sources are read");
	is($node->safe_psql($copy, q{SELECT scans_total, last_used FROM citadel.index_counter WHERE index = '"Kept Things_pkey"'::regclass}),
		$used, "$copy: the index has kept its usage, under its new OID");
	is($node->safe_psql($copy, 'SELECT count(*) FROM citadel.index_counter WHERE database <> (SELECT oid FROM pg_database WHERE datname = current_database())'),
		'0', "$copy: no row of the other database is left");
	is($node->safe_psql($copy, q{SELECT count(*) FROM citadel.table_delta WHERE table_name = 'Kept Things' AND rows_inserted >= 1000}), '1',
		"$copy: rows that the restore itself wrote are no workload");
	$node->safe_psql($copy, 'SELECT pg_sleep(0.3), 1, 2, 3');
	$node->safe_psql($copy, 'SELECT citadel.collect()');
	is($node->safe_psql($copy, q{SELECT calls FROM citadel.analyze_slow_queries() WHERE query LIKE '%pg_sleep($1), $2, $3, $4'}), '1',
		"$copy: new statements are captured");
}

$node->stop('fast');
no_crash($node);

# A standby is idle; promoted, it does not take what it counted before for the work of one minute.
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements, citadel_opt'\nmax_worker_processes = 16\ncitadel_opt.max_overhead = 0\ncitadel_opt.sample_interval = '1s'\n");
$primary->start;
$primary->safe_psql('postgres', "CREATE DATABASE $db");
create_citadel($primary, $db);
$primary->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.snapshot_state WHERE source = 'statements'") or die 'no scheduler';
$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->start;
$standby->poll_query_until($db, "SELECT true") or die;
$standby->safe_psql($db, join(';', ('SELECT 1, 2, 3, 4, 5') x 20));
is($standby->safe_psql($db, 'SELECT count(*) FROM citadel.analyze_slow_queries()'), '0', 'reports work on a standby');
$standby->promote;
$standby->poll_query_until($db, 'SELECT true FROM citadel.collect()') or die 'no scheduler after the promotion';
$standby->safe_psql($db, join(';', ('SELECT 1, 2, 3, 4, 5') x 2));
$standby->safe_psql($db, 'SELECT citadel.collect()');
is($standby->safe_psql($db, q{SELECT sum(calls) FROM citadel.statement_delta JOIN citadel.statement USING (query_id, user_id) WHERE query = 'SELECT $1, $2, $3, $4, $5'}),
	'2', 'after promotion only what came after counts');
$standby->stop('fast');
$primary->stop('fast');
no_crash($standby);
done_testing();
