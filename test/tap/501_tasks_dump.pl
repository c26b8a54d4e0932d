# citadel_tasks through pg_dump | psql: rows, partitions, pg_partman's registration, sequences, grants; and the restored
# database goes on working.

use strict;
use warnings FATAL => 'all';

use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = citadel_node('tasks');
$node->safe_psql('citadel_ai', q{
	SET client_min_messages = warning;
	CREATE EXTENSION citadel_tasks;
	CREATE ROLE tasks_app LOGIN;
	SELECT citadel_tasks.grant_access('tasks_app');
	SELECT citadel_tasks.setup_partitions(7, 12);
	SELECT citadel_tasks.generate_tasks(3000, 5, date_trunc('day', now(), 'UTC'), 6);
	INSERT INTO citadel_tasks.hero_tasks (id, task_number, title, reporter_id, parent_id) VALUES (5000, 'P', 'Part of a later task', 1, NULL);
	INSERT INTO citadel_tasks.hero_tasks (id, task_number, title, reporter_id, parent_id) VALUES (4999, 'Q', 'Part', 1, 5000)});

my %queries = (
	'tasks' => 'SELECT count(*), sum(hashtextextended(t::text, 0)) FROM citadel_tasks.hero_tasks t',
	'history' => 'SELECT count(*), sum(hashtextextended(t::text, 0)) FROM citadel_tasks.hero_workflow_history t',
	'comments' => 'SELECT count(*), sum(hashtextextended(t::text, 0)) FROM citadel_tasks.hero_task_comments t',
	'dependencies' => 'SELECT count(*), sum(hashtextextended(t::text, 0)) FROM citadel_tasks.hero_task_dependencies t',
	'sequences' => q{SELECT array_agg(last_value) FROM (
		SELECT 1, last_value FROM citadel_tasks.hero_tasks_id_seq UNION ALL
		SELECT 2, last_value FROM citadel_tasks.hero_workflow_history_id_seq UNION ALL
		SELECT 3, last_value FROM citadel_tasks.hero_task_comments_id_seq ORDER BY 1) s},
	'partitions and their bounds' => q{SELECT string_agg(c.relname || pg_get_expr(c.relpartbound, c.oid), ' ' ORDER BY c.relname)
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relnamespace = 'citadel_tasks'::regnamespace},
	'primary keys' => q{SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND connamespace = 'citadel_tasks'::regnamespace},
	'registration with pg_partman' => 'SELECT parent_table, control, premake, template_table, infinite_time_partitions FROM part_config ORDER BY 1',
	'privileges' => q{SELECT string_agg(relname || COALESCE(relacl::text, ''), ' ' ORDER BY relname) FROM pg_class
		WHERE relnamespace = 'citadel_tasks'::regnamespace AND relkind IN ('r', 'p', 'S') AND NOT relispartition},
	'owners' => q{SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'citadel_tasks'::regnamespace},
	'membership' => q{SELECT count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
		WHERE e.extname = 'citadel_tasks' AND d.deptype = 'e'});

my $dump = $node->basedir . '/tasks.sql';
$node->command_ok(['pg_dump', '--file', $dump, $node->connstr('citadel_ai')], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
# ON_ERROR_STOP: the dump must load without a single error.
$node->command_ok(['psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--output=/dev/null', '--file', $dump,
		$node->connstr('restored')], 'psql loads the dump without an error');
foreach my $name (sort keys %queries)
{
	my $before = $node->safe_psql('citadel_ai', $queries{$name});
	is($node->safe_psql('restored', $queries{$name}), $before, $name);
	isnt($before, '', "$name: something to compare");
}

is($node->safe_psql('restored', 'SELECT citadel_tasks.setup_partitions(7, 12)'), '0', 'partitions are recognised');
# pg_partman 4.7 rounds the months ahead from the day and hour, and may make one more than asked for.
my $made = $node->safe_psql('restored', q{
		UPDATE part_config SET premake = 14;
		SELECT citadel_tasks.maintain_partitions()});
ok($made == 4 || $made == 6, "maintenance goes on: two or three months more of each table ($made)");
is($node->safe_psql('restored', q{
		SET ROLE tasks_app;
		WITH t AS (INSERT INTO citadel_tasks.hero_tasks (task_number, title, reporter_id) VALUES ('N', 'New', 1) RETURNING id)
		INSERT INTO citadel_tasks.hero_workflow_history (task_id, to_status, changed_by) SELECT id, 'draft', 1 FROM t
		RETURNING id > 3000;}), 't', 'the application goes on with new keys');

# Dropping takes tables and partitions, in both databases apart.
$node->safe_psql('citadel_ai', 'SELECT citadel_tasks.unregister_partitions()');
$node->safe_psql('citadel_ai', 'DROP EXTENSION citadel_tasks');
is($node->safe_psql('citadel_ai', q{SELECT count(*) FROM pg_class WHERE relname LIKE 'hero\_%'}), '0', 'DROP EXTENSION leaves nothing');
is($node->safe_psql('citadel_ai', 'SELECT count(*) FROM part_config'), '0', 'no registration is left over');
isnt($node->safe_psql('restored', 'SELECT count(*) FROM citadel_tasks.hero_tasks'), '0', 'the other database keeps its own');
no_crash($node);

done_testing();
