# The tasks application's event tables under their policies: monthly, 12 months ahead, 24 months kept, older ones archived,
# none of their rows lost, and brought back.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use JobsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = citadel_node('tasks_lifecycle');
my $db = 'citadel_ai';
sub sql { return $node->safe_psql($db, $_[0]); }

sql(q{SET client_min_messages = warning; CREATE EXTENSION citadel_tasks;
	SELECT citadel.alter_job('lifecycle', enabled => false);
	SELECT citadel_tasks.setup_partitions(30, 12);
	SELECT citadel_tasks.generate_tasks(2000, 5, date_trunc('day', now(), 'UTC'), 30)});
is(sql(q{SELECT relation_name, time_column, partition_interval, premake, retain, on_expiry, archive_to, time_zone, status
	FROM citadel.lifecycle_policy WHERE schema_name = 'citadel_tasks' ORDER BY relation_name}),
	"hero_task_comments|created_at|1 month|12|24 months|archive|schema|UTC|active\nhero_workflow_history|changed_at|1 month|12|24 months|archive|schema|UTC|active",
	'both tables: monthly, 12 ahead, 24 months kept, archived');

my %column = (hero_task_comments => 'created_at', hero_workflow_history => 'changed_at');
my (%before, %old);
foreach my $table (sort keys %column)
{
	# What lies in months that ended 24 months ago or more.
	my $cutoff = "date_trunc('month', now() - interval '24 months', 'UTC')";
	($before{$table}, $old{$table}) = split /\|/, sql("SELECT count(*), count(*) FILTER (WHERE $column{$table} < $cutoff) FROM citadel_tasks.$table");
	cmp_ok($old{$table}, '>', 0, "$table has rows older than 24 months");
	cmp_ok($old{$table}, '<', $before{$table}, "$table has younger ones");
}
sql('CALL citadel.run_lifecycle()');
foreach my $table (sort keys %column)
{
	my $live = sql("SELECT count(*) FROM citadel_tasks.$table");
	is($live, $before{$table} - $old{$table}, "$table: older months have left the table");
	is(sql("SELECT sum(rows) FROM citadel.archive WHERE origin_name = '$table' AND state = 'complete'"), $old{$table}, "$table: and are archived");
	my $all = join ' UNION ALL ', map { "SELECT id FROM $_" } split /\n/, sql("SELECT read_from FROM citadel.archive WHERE origin_name = '$table'");
	is(sql("SELECT count(*), count(DISTINCT id) FROM ($all UNION ALL SELECT id FROM citadel_tasks.$table) a"), "$before{$table}|$before{$table}", "$table: live + archived = put in, none twice");
	is(sql("SELECT partitions_ahead, partitions_ahead = premake, days_left > 330, coalesce(alarm, 'none'), coalesce(last_error, 'none') FROM citadel.partition_runway WHERE relation = 'citadel_tasks.$table'"),
		'12|t|t|none|none', "$table: 12 months ahead");
	is(sql("SELECT count(*) FROM citadel.archive a, citadel.content_hash(a.read_from::regclass) c WHERE a.origin_name = '$table' AND (a.hash, a.rows) IS DISTINCT FROM (c.hash, c.rows)"), '0', "$table: each archive has its hash");
}
is(sql('SELECT count(*) FROM citadel.preview_lifecycle()'), '0', 'nothing more to do');
my ($id, $rows) = split /\|/, sql("SELECT archive_id, rows FROM citadel.archive WHERE origin_name = 'hero_task_comments' ORDER BY lower_bound DESC LIMIT 1");
my $live = sql('SELECT count(*) FROM citadel_tasks.hero_task_comments');
sql("CALL citadel.restore_archive($id, 'citadel_tasks.hero_task_comments')");
is(sql('SELECT count(*) FROM citadel_tasks.hero_task_comments'), $live + $rows, 'a month comes back');
sql('CALL citadel.run_lifecycle()');
is(sql('SELECT count(*) FROM citadel_tasks.hero_task_comments'), $live + $rows, 'and is left alone until its quarantine is over');
is(sql('SELECT first_broken IS NULL FROM citadel.verify_audit_log()'), 't', 'the audit chain is whole');
$node->stop;
done_testing();
