# Alerts in whole servers: NOTIFY, a flood, durations on a moved clock, restart, crash, two databases, figures that fail.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('alerts', config => "citadel_opt.alert_interval = '1s'\n");

sub rule
{
	my ($name, $figure, $rest, $database) = @_;
	$node->safe_psql($database // $db, "INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, for_duration, clear_duration, subject_pattern) VALUES ('$name', '$figure', $rest)");
	return;
}
sub becomes { my ($condition, $name, $database) = @_; return ok($node->poll_query_until($database // $db, "SELECT $condition"), $name); }
sub query { my ($sql, $database) = @_; return $node->safe_psql($database // $db, $sql); }

# An idle transaction, a listener, an alert.
my $listener = $node->background_psql($db, on_error_stop => 0);
$listener->query('LISTEN citadel_alert');
query('CREATE ROLE "sly ""role""" LOGIN SUPERUSER');
my $idle = $node->background_psql($db, extra_params => [ '-U', 'sly "role"' ]);
$idle->query('BEGIN');
rule('idle', 'idle_in_transaction', "0.5, 's', '0', '0', 'sly%'");
becomes("EXISTS (SELECT FROM citadel.alert WHERE rule = 'idle' AND opening_told_at IS NOT NULL)", 'an idle transaction is an alert');
is(query(q{SELECT subject || ' ' || state || ' ' || (value >= 0.5) FROM citadel.alert WHERE rule = 'idle'}), 'sly "role" open true', 'about its role');
my $told = $listener->query('SELECT 1');
like($told, qr/Asynchronous notification "citadel_alert" with payload "\{"event":"opened","rule":"idle","severity":"warning","database":"citadel_ai","figure":"idle_in_transaction"/, 'NOTIFY tells');
like($told, qr/"alerts":\[\{"alert_id":\d+,"subject":"sly \\"role\\"","value":[\d.]+\}\],"omitted":0\}/, 'and it is JSON');
like(slurp_file($node->logfile), qr/citadel_opt alert opened: idle \(warning\) in database citadel_ai: idle_in_transaction > 0.5 s: sly "role"/, 'so does the log');
$idle->quit;
becomes("(SELECT state = 'resolved' FROM citadel.alert WHERE rule = 'idle')", 'it ends with the session');

# A flood: 150 jobs cannot fail here, but 150 databases can be old.
query('CREATE TABLE settled AS SELECT 1');
query(qq{INSERT INTO citadel.alert_rule (rule, figure, threshold, unit) SELECT 'flood ' || g, 'xid_age', 0, 'transactions' FROM generate_series(1, 150) g});
becomes("(SELECT count(*) >= 300 FROM citadel.alert WHERE rule LIKE 'flood%')", 'hundreds of alerts open');
becomes("EXISTS (SELECT FROM citadel.alert WHERE rule LIKE 'flood%' AND opening_told_at IS NOT NULL)", 'some are told');
query(q{UPDATE citadel.alert_rule SET enabled = false WHERE rule LIKE 'flood%'});
becomes("NOT EXISTS (SELECT FROM citadel.alert WHERE rule LIKE 'flood%' AND state <> 'resolved')", 'hundreds end');
my $lines = () = slurp_file($node->logfile) =~ /citadel_opt alert (?:opened|resolved): flood/g;
cmp_ok($lines, '<=', 20, "$lines lines in the log for 300 alerts that came and went");
my $notices = () = $listener->query('SELECT 1') =~ /"rule":"flood/g;
cmp_ok($notices, '<=', 20, "$notices notices");
query(q{DELETE FROM citadel.alert_rule WHERE rule LIKE 'flood%'});
$listener->quit;

# Durations, on a clock that is moved for the whole server.
sub clock { my ($seconds) = @_; return set_clock($node, $db, "${seconds}s"); }
rule('slow', 'xid_age', "0, 'transactions', '1 hour', '1 hour', '$db'");
becomes("EXISTS (SELECT FROM citadel.alert_pending WHERE rule = 'slow')", 'a breach is pending');
is(query(q{SELECT count(*) FROM citadel.alert WHERE rule = 'slow'}), '0', 'and no alert yet');
$node->restart;
my $since = query(q{SELECT since FROM citadel.alert_pending WHERE rule = 'slow'});
isnt($since, '', 'a restart keeps it');
clock(-7200);
becomes("(SELECT since < '$since'::timestamptz - interval '1 hour' FROM citadel.alert_pending WHERE rule = 'slow')", 'a clock that goes back begins it anew');
is(query(q{SELECT count(*) FROM citadel.alert WHERE rule = 'slow'}), '0', 'and opens nothing');
clock(-3000);
becomes("EXISTS (SELECT FROM citadel.alert WHERE rule = 'slow' AND state = 'open')", 'after its duration it is an alert');
$node->stop('immediate');
$node->start;
is(query(q{SELECT state FROM citadel.alert WHERE rule = 'slow'}), 'open', 'a crash keeps it');
query(q{UPDATE citadel.alert_rule SET threshold = 2e9 WHERE rule = 'slow'});
becomes("(SELECT clear_since IS NOT NULL AND state = 'open' FROM citadel.alert WHERE rule = 'slow')", 'clear, and not over yet');
clock(3600);
becomes("(SELECT state = 'resolved' FROM citadel.alert WHERE rule = 'slow')", 'over after its clear duration');
is(query(q{SELECT string_agg(event, ' ' ORDER BY at) FROM citadel.alert_event JOIN citadel.alert USING (alert_id) WHERE rule = 'slow' AND event <> 'worsened'}), 'opened clearing resolved', 'its history');
clock(0);

# What cannot be read leaves the others alone, and its alerts as they are.
rule('young', 'database_growth', "-1e9, '1/day', '0', '0', '%'");
query(q{DELETE FROM citadel.database_size; INSERT INTO citadel.database_size VALUES (now() - interval '7 hours', 2e9), (now() - interval '1 minute', 3e9)});
# (The scheduler notes the true size when the clock has been moved, sooner or later.)
ok( $node->poll_query_until($db, q{WITH noted AS (DELETE FROM citadel.database_size WHERE bytes NOT IN (2000000000, 3000000000))
		SELECT EXISTS (SELECT FROM citadel.alert WHERE rule = 'young' AND state = 'open')}),
	'growth is judged');
query('ALTER TABLE citadel.database_size RENAME TO database_size_away');
becomes("EXISTS (SELECT FROM citadel.figure_failure WHERE figure = 'database_growth')", 'a figure that cannot be read is said');
becomes("citadel.health() ->> 'reasons' LIKE '%figure database_growth cannot be read%'", 'in health() too');
is(query(q{SELECT state FROM citadel.alert WHERE rule = 'young'}), 'open', 'its alert stays');
cmp_ok(query(q{SELECT count(*) FROM citadel.figure_value}), '>', 5, 'the others are read');
query('ALTER TABLE citadel.database_size_away RENAME TO database_size');
becomes("NOT EXISTS (SELECT FROM citadel.figure_failure)", 'until it can be read again');

# Rules come through a dump: changed ones as they were changed, one's own, and no shipped one twice.
query(q{UPDATE citadel.alert_rule SET threshold = 0.5, clear_threshold = 0.4 WHERE rule = 'connections_high'; UPDATE citadel.alert_rule SET enabled = false WHERE rule = 'rollbacks'});
my $rules = q{SELECT string_agg(r::text, E'\n' ORDER BY rule) FROM citadel.alert_rule r};
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '--file', $dump, $db ], 'pg_dump');
query('CREATE DATABASE restored', 'postgres');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'restored' ], 'restored');
is(query($rules, 'restored'), query($rules), 'the rules are the same');
query('DROP DATABASE restored WITH (FORCE)', 'postgres');

# The whole server is one database's business.
query('CREATE DATABASE other', 'postgres');
create_citadel($node, 'other');
becomes("EXISTS (SELECT FROM citadel.figure_value WHERE figure = 'job_failures')", 'the other database reads its own figures', 'other');
is(query(q{SELECT count(*) FROM citadel.figure_value WHERE figure = 'connection_use'}, 'other'), '0', 'and leaves the server to the first');
is(query(q{SELECT count(*) FROM citadel.figure_value WHERE figure = 'connection_use'}), '1', 'which reads it');
query("DROP DATABASE $db WITH (FORCE)", 'postgres');
becomes("EXISTS (SELECT FROM citadel.figure_value WHERE figure = 'connection_use')", 'until that is gone', 'other');

# Switched off.
query(q{ALTER SYSTEM SET citadel_opt.alerts = off}, 'postgres');
$node->reload;
sub cycles_pass { my $cycles = query(q{SELECT cycles FROM citadel.worker_status() WHERE kind = 'scheduler' AND database = 'other'}, 'other'); return becomes("(SELECT cycles > $cycles + 2 FROM citadel.worker_status() WHERE kind = 'scheduler' AND database = 'other')", 'the scheduler goes on', 'other'); }
cycles_pass();
my $read = query('SELECT max(read_at) FROM citadel.figure_value', 'other');
cycles_pass();
is(query('SELECT max(read_at) FROM citadel.figure_value', 'other'), $read, 'nothing is read while switched off');
$node->stop('fast');
no_crash($node, 'no process crashed');
done_testing();
