# Memory stays flat: of the scheduler over 1,000 cycles of collecting, of a backend over 1,000 rounds of our functions, of
# a backend over 30,000 captured statements.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $db = 'citadel_ai';
my $node = citadel_node('memory', config => <<'END');
fsync = off
log_statement = none
citadel_opt.sample_interval = 1s
END

# What private memory may grow by, in kB: AddressSanitizer keeps 16 MB of what was freed (suite_sanitize.sh).
my $kept_back = $ENV{CITADEL_OPT_SANITIZED} ? 20 * 1024 : 0;

# Private memory of a process in kB: the server's contexts and the C++ heap, without shared memory.
sub private_kb
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m ? $1 : die "no RssAnon of $pid";
}

# The least of it after each of so many looks: what malloc holds back for the next call comes and goes, by a megabyte or two.
sub least_kb
{
	my ($pid, $work) = @_;
	my $least;
	for (1 .. 25)
	{
		$work->();
		my $now = private_kb($pid);
		$least = $now if !defined $least || $now < $least;
	}
	return $least;
}

my $scheduler = '';
for (1 .. 300)
{
	$scheduler = $node->safe_psql($db, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' AND datname = '$db'");
	last if $scheduler;
	sleep(0.1);
}
ok($scheduler, 'a scheduler runs');

$node->safe_psql($db, <<'END');
CREATE TABLE item (id int PRIMARY KEY, customer int, note text);
INSERT INTO item SELECT g, g % 1000, 'note ' || g FROM generate_series(1, 20000) g;
ANALYZE item;
CREATE FUNCTION slow(times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..times LOOP PERFORM count(*) FROM item WHERE customer = i % 10; END LOOP;
END $$;
END

# --- the scheduler: each collect() is a cycle that drains samples and takes a snapshot
my $collector = $node->background_psql($db, on_error_stop => 1);
$collector->set_query_timer_restart; # 180 seconds for each of its statements, not for all
$collector->query_safe('SET citadel_opt.slow_query_threshold = 0');
sub cycles
{
	my ($times) = @_;
	for (1 .. $times)
	{
		# A statement of its own each time, so that there is a sample, and now and then a new text and plan.
		$collector->query_safe("SELECT count(*) FROM item WHERE id > $_ AND customer = " . ($_ % 7));
		$collector->query_safe('SELECT citadel.collect()');
	}
	return;
}
cycles(250);
my $before = least_kb($scheduler, sub { cycles(1) });
cycles(1000);
my $grown = least_kb($scheduler, sub { cycles(1) }) - $before;
cmp_ok($grown, '<=', 512 + $kept_back, "the scheduler's memory is flat over 1,000 cycles ($grown kB more)");
cmp_ok($node->safe_psql($db, 'SELECT count(*) FROM citadel.sample'), '>=', 1250, 'which stored a sample each');
is($node->safe_psql($db, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'citadel_opt scheduler' AND datname = '$db'"), $scheduler,
	'it is still the same process');
$collector->quit;

# --- a backend that calls our functions
my $session = $node->background_psql($db, on_error_stop => 1);
$session->set_query_timer_restart;
my $pid = $session->query_safe('SELECT pg_backend_pid()');
my @calls = grep { $node->safe_psql($db, "SELECT to_regproc('citadel.' || '" . ($_ =~ /citadel\.(\w+)/)[0] . "') IS NOT NULL") eq 't' } (
	q{SELECT (citadel.what_if('SELECT * FROM item WHERE customer = 7', ARRAY['CREATE INDEX ON item (customer)'])).cost_after},
	q{SELECT count(*) FROM citadel.recommend_indexes(ARRAY['SELECT * FROM item WHERE customer = 7', 'SELECT note FROM item ORDER BY customer LIMIT 5'])},
	q{SELECT count(*) FROM citadel.get_table_statistics('item')},
	q{SELECT count(*) FROM citadel.get_index_statistics('item')},
	q{SELECT citadel.preloaded(), citadel.capture_counters()},
);
# A function that fails each time, in the same measure.
my $failing = q{DO $$ BEGIN PERFORM citadel.what_if('SELECT nothing', ARRAY[]::text[]); EXCEPTION WHEN OTHERS THEN NULL; END $$};
sub rounds
{
	my ($times) = @_;
	my $script = join('; ', @calls, $failing);
	$session->query_safe($script) for 1 .. $times;
	return;
}
rounds(200);
my $contexts = q{SELECT sum(total_bytes) FROM pg_backend_memory_contexts};
my ($contexts_before, $rss_before) = ($session->query_safe($contexts), least_kb($pid, sub { rounds(1) }));
rounds(1000);
my $contexts_grown = $session->query_safe($contexts) - $contexts_before;
$grown = least_kb($pid, sub { rounds(1) }) - $rss_before;
# The server's caches may still take a block or two.
cmp_ok($contexts_grown, '<=', 65536, "memory contexts of a backend are flat over 1,000 rounds ($contexts_grown bytes more)");
cmp_ok($grown, '<=', 1024 + $kept_back, "so is its private memory ($grown kB more)");

# --- a backend whose statements are captured
$session->query_safe('SET citadel_opt.slow_query_threshold = 0; SET citadel_opt.capture_nested = on');
$session->query_safe('SELECT slow(2000)');
my $some = sub { $session->query_safe('SELECT slow(100)') };
($contexts_before, $rss_before) = ($session->query_safe($contexts), least_kb($pid, $some));
$session->query_safe('SELECT slow(10000)') for 1 .. 3;
$contexts_grown = $session->query_safe($contexts) - $contexts_before;
$grown = least_kb($pid, $some) - $rss_before;
cmp_ok($contexts_grown, '<=', 65536, "a captured backend's contexts are flat over 30,000 statements ($contexts_grown bytes more)");
cmp_ok($grown, '<=', 1024 + $kept_back, "so is its private memory ($grown kB more)");
$session->quit;

$node->stop('fast');
no_crash($node);
done_testing();
