# The audit log over sessions, crashes, dumps and standbys: every entry once, the chain whole, the head outside.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest qw(set_clock);
use JobsTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = jobs_node('audit', init => { allows_streaming => 1 }, config => 'restart_after_crash = on');
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(app copy copy2);
create_citadel($node, 'app');
ok(eventually(5, sub { scheduler_pid($node, 'app') }), 'the scheduler runs');

sub sql { return $node->safe_psql('app', $_[0]); }

sub entry
{
	my ($action, $number) = @_;
	return "INSERT INTO citadel.audit_pending (at, actor, action, outcome, row_count) VALUES (clock_timestamp(), session_user, '$action', 'done', $number);";
}

sub whole
{
	my ($name, $expected_head) = @_;
	my $argument = defined $expected_head ? "'$expected_head'" : 'NULL';
	is(sql("SELECT coalesce(first_broken::text, '-'), coalesce(problem, '-') FROM citadel.verify_audit_log($argument)"), '-|-', $name);
	return;
}

# Two sessions append at once: who comes first in the pending table may commit last.
my $slow = $node->background_psql('app');
$slow->query_safe('BEGIN; ' . entry('slow', 1));
sql(entry('quick', 2));
is(sql('SELECT entries FROM citadel.verify_audit_log()'), '1', 'a session that commits first is linked first');
$slow->query_safe('COMMIT');
$slow->quit;
is(sql('SELECT entries, first_broken FROM citadel.verify_audit_log()'), '2|', 'the other one after it');
is(sql('SELECT string_agg(action, $$ $$ ORDER BY seq) FROM citadel.audit_log'), 'quick slow', 'in that order');

# What rolls back leaves nothing.
sql('BEGIN; ' . entry('rolled back', 3) . ' ROLLBACK');
whole('an entry that was rolled back leaves no gap');

# Many at once, while others verify and thereby link.
my @writers = map { $node->background_psql('app') } 1 .. 4;
foreach my $i (0 .. 3)
{
	my $loop = join('', map { entry("writer $i", $_) } 1 .. 100);
	$loop .= 'SELECT first_broken FROM citadel.verify_audit_log();' if $i % 2;
	$writers[$i]->{stdin} .= "$loop\n\\echo done $i\n";
}
foreach my $i (0 .. 3)
{
	$writers[$i]->query_until(qr/done $i/, '');
	$writers[$i]->quit;
}
whole('four sessions that append at once leave a whole chain');
is(sql("SELECT count(*), count(DISTINCT (action, row_count)), count(DISTINCT seq), max(seq) - min(seq) + 1 FROM citadel.audit_entry WHERE action LIKE 'writer%'"),
	'400|400|400|400', 'every entry once, without a gap');

# The scheduler links by itself and publishes the head.
my $listener = $node->background_psql('app');
$listener->query_safe('LISTEN citadel_audit_head');
my $log_offset = -s $node->logfile;
sql(entry('by itself', 5));
ok(eventually(25, sub { sql('SELECT count(*) FROM citadel.audit_pending') eq '0' }), 'the scheduler links what is pending');
my $notified = $listener->query('SELECT 1');
$listener->quit;
my ($published) = $notified =~ /"citadel_audit_head" with payload "(\d+:[0-9a-f]{64})"/;
ok(defined $published, 'the head is published by NOTIFY') or diag($notified);
# (The head of before, if it was published just now, stands before the offset.)
like(slurp_file($node->logfile), qr/head of the audit log of database \d+ is \Q$published\E/, 'and in the log of the server');
whole('the published head is in the chain', $published);

# Refusals.
$node->safe_psql('postgres', 'CREATE ROLE plain LOGIN');
sql('GRANT EXECUTE ON FUNCTION citadel.seal_audit_log(timestamptz) TO plain; GRANT USAGE ON SCHEMA citadel TO plain');
my $broken = "ALTER TABLE citadel.audit_entry DISABLE TRIGGER audit_guard; UPDATE citadel.audit_entry SET reason = 'forged' WHERE seq = 1;";
my ($status, $out, $err) = $node->psql('app', "SET ROLE plain; RESET ROLE; BEGIN; $broken SET LOCAL SESSION AUTHORIZATION plain; SELECT citadel.seal_audit_log('infinity')", on_error_stop => 1);
isnt($status, 0, 'something is refused');
like($err, qr/the audit log is broken/, 'for a reason');
is(sql("SELECT actor, outcome, reason, detail->>'sqlstate' FROM citadel.audit_log WHERE outcome = 'refused'"), '', 'its transaction left no entry');
ok(eventually(25, sub { sql("SELECT count(*) FROM citadel.audit_log WHERE outcome = 'refused'") eq '1' }), 'but the scheduler writes one');
is(sql("SELECT actor, action, reason, detail->>'sqlstate' FROM citadel.audit_log WHERE outcome = 'refused'"),
	'plain|seal_audit_log|the audit log is broken and is left as it is|XX001', 'that says who, what and why');
$node->psql('app', "BEGIN; $broken SELECT citadel.seal_audit_log('infinity')") foreach 1 .. 3;
sql('BEGIN; SELECT * FROM citadel.verify_audit_log(); ROLLBACK');
sql('BEGIN; SAVEPOINT s; SELECT * FROM citadel.verify_audit_log(); ROLLBACK TO s; COMMIT');
whole('verified');
is(sql("SELECT count(*) FROM citadel.audit_log WHERE outcome = 'refused'"), '4', 'refusals survive a verification that rolls back, and are written once');
$node->psql('app', join('', map { "BEGIN; $broken SELECT citadel.seal_audit_log('infinity'); ROLLBACK;" } 1 .. 140), on_error_stop => 0);
whole('verified after a burst');
cmp_ok(sql("SELECT count(*) FILTER (WHERE outcome = 'refused') + coalesce(sum(row_count) FILTER (WHERE action = 'note_refusal'), 0) FROM citadel.audit_log"),
	'==', 144, 'a burst that finds no place is counted');

# A database without a scheduler, or one that is dropped, keeps the room for ten minutes.
$node->safe_psql('postgres', 'CREATE DATABASE unread');
create_citadel($node, 'unread');
$node->safe_psql('postgres', "ALTER SYSTEM SET citadel_opt.databases = 'app, copy, copy2'");
$node->reload;
ok(eventually(20, sub { !scheduler_pid($node, 'unread') }), 'a database has no scheduler');
$node->psql('unread', "SELECT citadel.release_hold($_, 'x')", on_error_stop => 0) foreach 1 .. 130;
$node->safe_psql('postgres', 'DROP DATABASE unread');
$node->psql('app', "SET citadel_opt.debug_clock_offset = '11min'; SELECT citadel.release_hold(4711, 'x')");
sql('SELECT * FROM citadel.verify_audit_log()');
is(sql("SELECT count(*) FROM citadel.audit_log WHERE action = 'release_hold' AND outcome = 'refused'"), '1', 'then others have it');

# Killed while linking, and between writing and commit.
my $before = sql('SELECT entries FROM citadel.verify_audit_log()');
set_fault($node, 'audit.linked:crash');
sql(entry('crash', 6) . entry('crash', 7));
ok(eventually(30, sub { slurp_file($node->logfile, $log_offset) =~ /was terminated by signal 9/ }), 'the chainer is killed in the middle');
# The scheduler comes back and is killed again until this gets through.
ok(eventually(30, sub { ($node->psql('postgres', 'ALTER SYSTEM RESET citadel_opt.debug_fault'))[0] == 0 }), 'the server is back');
$node->reload;
ok(eventually(20, sub { ($node->psql('app', "SELECT current_setting('citadel_opt.debug_fault')"))[1] eq '' }), 'disarmed');
ok(eventually(60, sub { ($node->psql('app', 'SELECT count(*) FROM citadel.audit_pending'))[1] eq '0' }), 'the next one links');
is(sql('SELECT entries, first_broken FROM citadel.verify_audit_log()'), ($before + 2) . '|', 'each entry once, the chain whole');
whole('with the head published before the crash', $published);
$log_offset = -s $node->logfile;
$node->psql('app', "SET citadel_opt.debug_fault = 'audit.appended:crash'; SELECT citadel.seal_audit_log('infinity')");
ok(eventually(10, sub { slurp_file($node->logfile, $log_offset) =~ /was terminated by signal 9/ }), 'a session is killed after it appended');
ok(eventually(20, sub { ($node->psql('app', 'SELECT 1'))[0] == 0 }), 'the server is back');
is(sql('SELECT entries, first_broken FROM citadel.verify_audit_log()'), ($before + 2) . '|', 'nothing of it is left');
is(sql('SELECT count(*) FROM citadel.audit_seal'), '0', 'nothing was sealed');

# A restart, and a standby.
$node->restart;
whole('whole after a restart', $published);
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('audit_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('app', "SELECT entries, first_broken FROM citadel.verify_audit_log('$published')"), ($before + 2) . '|', 'a standby verifies');
$standby->stop;

# Retention by the job.
my $old = "INSERT INTO citadel.audit_pending (at, actor, action, outcome) VALUES (now() - interval '10 days', session_user, 'old', 'done')";
sql($old);
sql('SELECT * FROM citadel.verify_audit_log()');
$node->safe_psql('postgres', "ALTER SYSTEM SET citadel_opt.audit_retention = '5 d'");
$node->reload;
my $head = sql('SELECT head FROM citadel.verify_audit_log()');
my $run = sql("SELECT citadel.run_job('maintain')");
sql("CALL citadel.wait_for_job($run)");
is(sql('SELECT count(*) FROM citadel.audit_seal'), '0', 'nothing is sealed while the first entry is young');
set_clock($node, 'app', '6d');
$run = sql("SELECT citadel.run_job('maintain')");
sql("CALL citadel.wait_for_job($run)");
set_clock($node, 'app', '0');
is(sql('SELECT count(*) > 0, min(first_seq) FROM citadel.audit_seal'), 't|1', 'the maintain job seals what has passed the retention');
whole('the rest goes on from there', $head);
cmp_ok(sql('SELECT entries FROM citadel.verify_audit_log()'), '<=', 2, 'and is short');

# A broken log is left alone and said to be broken, and keeps the job from nothing else.
sql('CREATE TABLE unknown AS SELECT g FROM generate_series(1, 2000) g');
sql("ALTER TABLE citadel.audit_entry DISABLE TRIGGER audit_guard; UPDATE citadel.audit_entry SET detail = detail || '{\"forged\": 1}'");
$run = sql("SELECT citadel.run_job('maintain')");
($status, $out, $err) = $node->psql('app', "CALL citadel.wait_for_job($run)");
like($err, qr/the audit log is broken/, 'the maintain job fails while the log is broken');
is(sql("SELECT count(*) FROM citadel.maintenance_action WHERE relation_name = 'unknown' AND run_id = $run"), '1', 'and has looked after tables');
sql("UPDATE citadel.audit_entry SET detail = detail - 'forged'; ALTER TABLE citadel.audit_entry ENABLE ALWAYS TRIGGER audit_guard");
whole('put back');

# Dump and restore.
sql(entry('more', $_)) foreach 1 .. 20;
sql('SELECT * FROM citadel.verify_audit_log()');
sql(entry('pending', 99));
$head = sql("SELECT max(seq) || ':' || (array_agg(hash ORDER BY seq DESC))[1] FROM citadel.audit_log WHERE seq IS NOT NULL");
my $folder = PostgreSQL::Test::Utils::tempdir;
command_ok([ 'pg_dump', '--file', "$folder/plain.sql", '-h', $node->host, '-p', $node->port, 'app' ], 'dump as text');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-d', 'copy', '-f', "$folder/plain.sql" ], 'restore with psql');
command_ok([ 'pg_dump', '--format=directory', '--file', "$folder/archive", '-h', $node->host, '-p', $node->port, 'app' ], 'dump as a directory');
command_ok([ 'pg_restore', '--jobs=2', '--exit-on-error', '-h', $node->host, '-p', $node->port, '-d', 'copy2', "$folder/archive" ], 'restore with two jobs');
foreach my $copy (qw(copy copy2))
{
	is($node->safe_psql($copy, "SELECT first_broken, problem IS NULL FROM citadel.verify_audit_log('$head')"), '|t', "$copy: the chain came along");
	is($node->safe_psql($copy, "SELECT count(*) FROM citadel.audit_log WHERE action = 'pending'"), '1', "$copy: and what was pending");
	is($node->safe_psql($copy, entry('after', 1) . 'SELECT first_broken IS NULL FROM citadel.verify_audit_log()'), 't', "$copy: it goes on");
	is($node->safe_psql($copy, "SELECT action FROM citadel.audit_log WHERE seq = (SELECT max(seq) FROM citadel.audit_log)"), 'after', "$copy: at its end");
}

$node->stop;
done_testing();
