# kill -9 in the middle of a CREATE INDEX CONCURRENTLY of ours: the invalid index that it leaves is built anew when the
# conversion goes on, or removed by maintenance when the conversion was given up. Invalid indexes of others are left.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node) = lifecycle_node('create_index', config => "autovacuum = off\ncitadel_opt.maintenance = 'act'\n");
sub sql { return $node->safe_psql('app', $_[0]); }
sub invalid { return sql(q{SELECT coalesce(string_agg(indexrelid::regclass::text, ', '), '') FROM pg_index WHERE NOT indisvalid}); }
my $number = 0;

# A conversion whose worker was killed while its CREATE INDEX waited for an older transaction; the table and the operation.
sub interrupted
{
	my $table = 'app.plain' . ++$number;
	sql(qq{SET ROLE owner;
		CREATE TABLE $table (id int PRIMARY KEY, at timestamptz NOT NULL);
		INSERT INTO $table SELECT i, now() FROM generate_series(1, 1000) i;
		SELECT citadel.create_lifecycle_policy('$table', 'at', plain_table => 'convert', extend_keys => true)});
	my $reader = $node->background_psql('app', on_error_die => 0);
	$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
	my $run = sql(q{SELECT citadel.run_job('lifecycle')});
	ok(eventually(60, sub { invalid() =~ /citadel_key_/ }), "$table: an index is being built");
	my $pid = sql("SELECT pid FROM citadel.job_run WHERE run_id = $run");
	my $crashes = () = slurp_file($node->logfile) =~ /was terminated by signal 9/g;
	kill 'KILL', $pid;
	eventually(60, sub { (() = slurp_file($node->logfile) =~ /was terminated by signal 9/g) > $crashes });
	$reader->{run}->kill_kill(grace => 1);
	back_after_crash($node);
	like(invalid(), qr/^app\.citadel_key_\d+_\d+$/, "$table: killed, it leaves an invalid index");
	return ($table, sql("SELECT operation_id FROM citadel.lifecycle_operation WHERE subject_oid = '$table'::regclass AND kind = 'convert'"));
}

my ($table) = interrupted();
sql("CALL citadel.run_lifecycle('$table')");
is(invalid(), '', 'the next run builds it');
is(sql("SELECT relkind FROM pg_class WHERE oid = '$table'::regclass"), 'p', 'and ends the conversion');
is(live($node, $table), '1000|1000', 'with all rows');

($table, my $operation) = interrupted();
sql("SELECT citadel.cancel_operation($operation, 'given up')");
$node->psql('app', "CALL citadel.run_lifecycle('$table')");
# Somebody else's: two rows that a unique index cannot have.
sql("CREATE TABLE public.doubled AS SELECT 1 AS x FROM generate_series(1, 2)");
$node->psql('app', 'CREATE UNIQUE INDEX CONCURRENTLY citadel_key_1_1 ON public.doubled (x)');
my $run = sql(q{SELECT citadel.run_job('maintain')});
sql("CALL citadel.wait_for_job($run)");
is(invalid(), 'citadel_key_1_1', 'maintenance removes it after the conversion was given up, and leaves what others made');
is(sql("SELECT relkind FROM pg_class WHERE oid = '$table'::regclass") . ' ' . live($node, $table), 'r 1000|1000', 'the table is as it was');
unlike(slurp_file($node->logfile), qr/PANIC:|TRAP:|terminated by signal (?!9)/, 'no other crash');
$node->stop;
done_testing();
