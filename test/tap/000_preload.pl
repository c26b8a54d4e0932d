# With and without preload, and in either order with pg_stat_statements.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';

foreach my $order ('pg_stat_statements, citadel_opt', 'citadel_opt, pg_stat_statements')
{
	my $node = citadel_node($order =~ /^citadel/ ? 'first' : 'last', preload => $order);
	is($node->safe_psql($db, 'SELECT citadel.preloaded()'), 't', "preloaded as '$order'");
	is($node->safe_psql($db, 'SELECT calls > 0 FROM pg_stat_statements WHERE query LIKE \'%preloaded%\''), 't',
		'pg_stat_statements counts beside us');
	# Its buffer counters are zero when somebody sets up the instrumentation with the timer alone.
	is($node->safe_psql($db, <<'END'), 't', 'and sees buffers');
SELECT 1 FROM pg_catalog.pg_class WHERE relpages = 12345678;
SELECT sum(shared_blks_hit) > 0 FROM pg_stat_statements WHERE query LIKE 'SELECT $1 FROM pg_catalog.pg_class %';
END
	# Dropping and creating again, with workers about.
	$node->safe_psql($db, 'DROP EXTENSION citadel_opt; CREATE EXTENSION citadel_opt');
	is($node->safe_psql($db, 'SELECT citadel.preloaded()'), 't', 'dropped and created again');
	$node->stop('fast');
	no_crash($node);
}

# Without preload: installed all the same, for what needs no shared memory.
my $node = citadel_node('without', preload => '');
is($node->safe_psql($db, 'SELECT citadel.preloaded()'), 'f', 'not preloaded');
is($node->safe_psql($db, "SELECT extname FROM pg_extension WHERE extname = 'citadel_opt'"), 'citadel_opt', 'but created');
is($node->safe_psql($db, q{LOAD 'citadel_opt'; SHOW citadel_opt.slow_query_threshold}), '1s', 'LOAD works');
error_is($node, $db, q{LOAD 'citadel_opt'; SET citadel_opt.unheard_of = 1}, { sqlstate => '42602' },
	'unknown names are refused once loaded');
is($node->safe_psql($db, 'SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE \'citadel%\''), '0', 'no workers');

# Each function of ours either works or says what is missing; none crashes or gives a bare failure. Those without
# arguments, or with defaults for all, can be called blindly.
my @callable = split /\n/, $node->safe_psql($db, <<'END');
SELECT format('%I.%I', n.nspname, p.proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'citadel' AND p.prokind = 'f' AND p.pronargs = p.pronargdefaults
  AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
ORDER BY 1
END
my $working = 0;
foreach my $function (@callable)
{
	my $error = sql_error($node, $db, "SELECT * FROM $function()");
	if (!defined $error)
	{
		pass("$function() works without preload");
		$working++;
	}
	else
	{
		ok($error->{sqlstate} eq '55000' && ($error->{hint} // '') =~ /shared_preload_libraries/,
			"$function() says that preload is missing") or diag($error->{text});
	}
}
cmp_ok($working, '>', 0, 'some functions work without preload');

# In a session where the library was loaded by hand nothing is captured and nothing breaks.
is($node->safe_psql($db, q{LOAD 'citadel_opt'; SELECT count(*) FROM generate_series(1, 10)}), '10', 'statements run');

# Several databases at once, and another one without the extension.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements, citadel_opt'");
$node->restart;
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(second bare);
create_citadel($node, 'second');
is($node->safe_psql($_, 'SELECT citadel.preloaded()'), 't', "preloaded in $_") foreach ($db, 'second');
$node->safe_psql('postgres', 'DROP DATABASE bare');
$node->safe_psql('postgres', 'DROP DATABASE second');
is($node->safe_psql($db, 'SELECT citadel.preloaded()'), 't', 'databases come and go');

$node->stop('fast');
no_crash($node);
done_testing();
