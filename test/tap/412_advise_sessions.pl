# The advisor seen from another session, stopped from there, cancelled at many moments; and what the job stores of
# indexes that should go.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use AdvisorTest;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = advisor_node('sessions');
my $db = 'citadel_ai';
my $tables = 12;

sql(<<'END');
CREATE ROLE app; CREATE ROLE stranger LOGIN; GRANT pg_monitor TO stranger;
CREATE SCHEMA app AUTHORIZATION app;
SET ROLE app;
CREATE TABLE app.item (id int PRIMARY KEY, owner int, kind int, note text);
INSERT INTO app.item SELECT i, i % 2000, i % 30, 'note ' || i FROM generate_series(1, 40000) i;
CREATE INDEX item_owner ON app.item (owner);
CREATE INDEX item_owner_again ON app.item (owner);
CREATE TABLE app.event (id int PRIMARY KEY, sort int, at int, note text);
INSERT INTO app.event SELECT i, i % 50, i * 7919 % 40000, 'note ' || i FROM generate_series(1, 40000) i;
CREATE INDEX event_sort ON app.event (sort);
RESET ROLE;
END
sql("SET ROLE app; CREATE TABLE app.t$_ (id int PRIMARY KEY, a int, b int, c int, next int); INSERT INTO app.t$_ SELECT i, i % 900, i % 70, i % 2000, (i * 31) % 3000 FROM generate_series(1, 3000) i")
  foreach 0 .. $tables - 1;
sql('VACUUM ANALYZE');
watch();

# ---- Another session looks on.

# Enough to be busy for seconds: joins of four tables, each a statement of its own.
my @workload;
for my $i (0 .. 239)
{
	my @t = map { ($i + $_ * (1 + $i % 3)) % $tables } 0 .. 3;
	push @workload, "SELECT count(*) FROM app.t$t[0] w JOIN app.t$t[1] x ON x.id = w.next JOIN app.t$t[2] y ON y.c = x.c JOIN app.t$t[3] z ON z.a = y.a "
	  . 'WHERE w.a = ' . $i % 70 . ' AND w.b > ' . $i % 7 . ' AND z.' . ('b', 'c', 'next')[ $i % 3 ] . " = $i";
}
my $array = 'ARRAY[' . join(', ', map { "'$_'" } @workload) . ']';
my $recommend = "SELECT 'answer ' || count(*) FROM citadel.recommend_indexes($array)";

sub session
{
	my %session = (in => '', out => '', err => '');
	my $timer = IPC::Run::timer(180);
	$session{run} = IPC::Run::start([ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr($db) ], '<', \$session{in}, '>', \$session{out}, '2>', \$session{err}, $timer);
	return \%session;
}
sub say_and_wait
{
	my ($session, $text, $until) = @_;
	$session->{in} .= "$text\n";
	IPC::Run::pump($session->{run}) until $session->{out} =~ $until;
	return;
}
sub leave { my ($session) = @_; $session->{in} .= "\\q\n"; IPC::Run::finish($session->{run}); return; }
sub progress { return sql("SELECT coalesce(string_agg(($_[0])::text, ';'), 'nobody') FROM citadel.advisor_progress"); }

my $busy = session();
say_and_wait($busy, unwatched("SELECT 'pid ' || pg_backend_pid();"), qr/pid \d+/);
my ($pid) = $busy->{out} =~ /pid (\d+)/;
is(progress('pid'), 'nobody', 'nobody is at it');
is(sql("SELECT citadel.stop_advisor($pid)"), 'f', 'nor can anybody be stopped');
$busy->{in} .= "SET citadel_opt.debug_fault = 'advise analysed:wait';\n$recommend;\n";
IPC::Run::pump_nb($busy->{run});
$node->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.advisor_progress WHERE statements_done >= 239") or die 'no progress';
is(progress("pid = $pid AND user_id = 10 AND phase = 'analysing' AND statements_total = 240 AND started_at < now()"), 'true', 'its statements are counted while it looks at them');
my $refused = sql_error($node, $db, unwatched("SET SESSION AUTHORIZATION stranger; SELECT citadel.stop_advisor($pid)"));
is($refused->{sqlstate}, '42501', 'a stranger cannot stop it');
sql('SELECT pg_reload_conf()');
IPC::Run::pump($busy->{run}) until $busy->{out} =~ /answer (\d+)/;
unlike($busy->{err}, qr/stopped early/, 'nor did he');
$busy->{out} = '';
$busy->{in} .= "SET citadel_opt.debug_fault = 'advise searching:wait';\n$recommend;\n";
IPC::Run::pump_nb($busy->{run});
$node->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.advisor_progress WHERE phase <> 'analysing' AND planner_calls > 240 AND candidates > 0 AND cost_before > 0")
  or die 'no search';
is(sql("SELECT citadel.stop_advisor($pid)"), 't', 'who may, stops it');
sql('SELECT pg_reload_conf()');
IPC::Run::pump($busy->{run}) until $busy->{out} =~ /answer (\d+)/;
like($busy->{err}, qr/stopped early: this is the best that was found until then/, 'and it says that it was stopped');
is(progress('pid'), 'nobody', 'it is no longer listed');

# Left alone, the same session answers in full.
$busy->{in} .= "RESET citadel_opt.debug_fault;\n";
$busy->{out} = $busy->{err} = '';
say_and_wait($busy, "$recommend;", qr/answer \d+/);
my ($full) = $busy->{out} =~ /answer (\d+)/;
cmp_ok($full, '>', 3, 'and left alone, it finds them all');
unlike($busy->{err}, qr/stopped early/, 'to the end');

# ---- Cancelled at many moments, in one session: no trace of an index that is none, of memory, of progress.

$busy->{out} = $busy->{err} = '';
my $small = 'ARRAY[' . join(', ', map { "'$_'" } @workload[ 0 .. 19 ]) . ']';
my $traces = "SELECT 'traces ' || (SELECT coalesce(string_agg(replace(name, ' ', '_'), ','), '-') FROM pg_backend_memory_contexts WHERE name LIKE 'citadel%' AND name <> 'citadel_opt errors') || ' ' || (SELECT sum(total_bytes) FROM pg_backend_memory_contexts) || ' ' || (SELECT count(*) FROM citadel.advisor_progress WHERE pid = pg_backend_pid());";
my $hidden = "EXPLAIN (COSTS OFF) SELECT * FROM app.t0 WHERE c = 7 AND b = 3;";
$busy->{in} .= "SELECT count(*) FROM citadel.recommend_indexes($small); $hidden\n"; # what is loaded once
say_and_wait($busy, $traces, qr/traces .+\n/);
my ($contexts, $bytes) = $busy->{out} =~ /traces (\S+) (\d+) 0/;
$busy->{out} = '';
# The time that is up may be that of the statement which puts it off.
my $reset = 'RESET statement_timeout; ' x 3;
foreach my $round (1 .. 2)
{
	foreach my $limit (1, 2, 3, 5, 8, 12, 17, 25, 40, 60, 90, 130, 200)
	{
		# One at a time: a pipe holds only so much for a psql that is waiting.
		say_and_wait($busy, "SET statement_timeout = $limit; SELECT count(*) FROM citadel.recommend_indexes($small);\n"
			  . "SELECT count(*) FROM citadel.what_if('SELECT * FROM app.t0 WHERE c = 7', ARRAY['CREATE INDEX ON app.t0 (c)']); $reset $hidden SELECT 'round $round, $limit ms';",
			qr/round $round, $limit ms/);
	}
}
say_and_wait($busy, $traces, qr/traces .+\n/);
my ($contexts_after, $bytes_after, $listed) = $busy->{out} =~ /traces (\S+) (\d+) (\d+)/;
like($busy->{err}, qr/statement timeout|stopped early/, 'timeouts struck');
unlike($busy->{out}, qr/Index/, 'and no plan afterwards uses an index that does not exist');
# The last error is freed with the next one.
like($contexts_after, qr/^(?:\Q$contexts\E|citadel_opt_error)$/, 'no memory context is left');
cmp_ok($bytes_after, '<', $bytes + 1_500_000, 'nor memory');
is($listed, 0, 'nor an advisor that runs');
leave($busy);

# A process that dies in the middle leaves no entry either.
my $victim = session();
say_and_wait($victim, unwatched("SELECT 'pid ' || pg_backend_pid();"), qr/pid \d+/);
($pid) = $victim->{out} =~ /pid (\d+)/;
$victim->{in} .= "SET citadel_opt.debug_fault = 'advise analysed:sleep=60000';\n$recommend;\n";
IPC::Run::pump_nb($victim->{run});
$node->poll_query_until($db, "SELECT count(*) > 0 FROM citadel.advisor_progress WHERE pid = $pid") or die 'no progress';
sql("SELECT pg_terminate_backend($pid)");
$node->poll_query_until($db, 'SELECT count(*) = 0 FROM citadel.advisor_progress') or die 'its entry stayed';
pass('a terminated advisor is no longer listed');
eval { IPC::Run::finish($victim->{run}) };

# ---- Drops and replacements, as the job stores them.

as_app("SELECT count(note) FROM item WHERE owner = $_") foreach 1 .. 8;
as_app("SELECT note FROM event WHERE sort = $_ AND at > 39000 ORDER BY at LIMIT 3") foreach 1 .. 20;
captured(2, "query LIKE 'SELECT%'");
advise();
sub stored { return sql("SELECT coalesce(string_agg(concat_ws(' ', action, relation_name, (SELECT relname FROM pg_class WHERE oid = index_oid), status), ', ' ORDER BY relation_name, action), '') FROM citadel.index_recommendation WHERE schema_name = 'app' AND $_[0]"); }
like(stored("relation_name = 'item'"), qr/^drop item item_owner(_again)? open$/, 'one of two equal indexes is to be dropped');
is(stored("relation_name = 'event'"), 'replace event event_sort open', 'an index that a longer one makes superfluous is to be replaced');
my $drop = sql("SELECT id FROM citadel.index_recommendation WHERE action = 'drop'");
my $replace = sql("SELECT id FROM citadel.index_recommendation WHERE action = 'replace'");
like(sql("SELECT definition FROM citadel.index_recommendation WHERE id = $drop"), qr/^DROP INDEX CONCURRENTLY app\.item_owner/, 'with its statement');
like(sql("SELECT definition FROM citadel.index_recommendation WHERE id = $replace"), qr/^CREATE INDEX CONCURRENTLY \w+ ON app\.event USING btree \(sort, at\)/, 'as the new index with its own');
like(sql("SELECT citadel.explain_recommendation($_)"), qr/item_owner|event_sort/, 'explained by name') foreach $drop, $replace;
is(sql("SELECT string_agg(statement, '; ' ORDER BY step_no) FROM citadel.index_build_plan($replace)") =~ /CREATE INDEX CONCURRENTLY.*DROP INDEX CONCURRENTLY/ ? 'both' : 'not both', 'both', 'a replacement is built before the old one goes');
advise();
is(sql("SELECT string_agg(id::text, ',' ORDER BY id) FROM citadel.index_recommendation WHERE status = 'open' AND action <> 'create' AND schema_name = 'app'"), join(',', sort { $a <=> $b } $drop, $replace), 'found again: the same rows');
# Followed.
sql(sql("SELECT definition FROM citadel.index_recommendation WHERE id = $drop"));
sql(sql("SELECT definition FROM citadel.index_recommendation WHERE id = $replace"));
sql('DROP INDEX app.event_sort');
advise();
like(stored("relation_name = 'item'"), qr/^drop item applied$/, 'a dropped index closes its recommendation');
is(stored("relation_name = 'event'"), 'replace event applied', 'as does a built one');

no_crash($node);
$node->stop;
done_testing();
