# The log of DDL: what is committed and nothing else, bounded, without secrets; and no DDL ever fails by it.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use JobsTest qw(eventually set_fault scheduler_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $node = citadel_node('ddl', config => <<'END');
max_prepared_transactions = 2
restart_after_crash = on
wal_level = replica
max_wal_senders = 4
citadel_opt.capture_nested = off
END

sub ask { my ($sql) = @_; return $node->safe_psql($db, $sql); }

# The log since the last time.
my $seen = 0;
sub logged
{
	my ($where) = @_;
	$where //= 'true';
	ok(eventually(60, sub { ($node->psql($db, 'SELECT citadel.collect()', on_error_stop => 1))[0] == 0 }), 'collected') or die;
	my $rows = ask("SELECT format('%s: %s %s%s', command, object_name, action, ' on ' || nullif(relation::regclass::text, quote_ident(object_name)))
		FROM citadel.ddl_log WHERE id > $seen AND $where ORDER BY id");
	$seen = ask('SELECT coalesce(max(id), 0) FROM citadel.ddl_log');
	return $rows;
}
sub missed { return ask('SELECT citadel.ddl_notes_missed()'); }

$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';
logged();

ask('CREATE TABLE orders (id int PRIMARY KEY, customer int); CREATE INDEX orders_customer ON orders (customer)');
is(logged(), "CREATE TABLE: orders created\nCREATE INDEX: orders_pkey created on orders\nCREATE INDEX: orders_customer created on orders", 'a table and its indexes');
ask('CREATE INDEX CONCURRENTLY orders_both ON orders (customer, id)');
is(logged(), 'CREATE INDEX: orders_both created on orders', 'in several transactions, once');
ask('DROP INDEX CONCURRENTLY orders_both');
is(logged(), 'DROP INDEX: orders_both dropped on orders', 'dropped in several transactions');
ask('ALTER TABLE orders ADD note text, ADD CHECK (customer > 0); TRUNCATE orders');
is(logged(), "ALTER TABLE: orders altered\nALTER TABLE: orders_customer_check on public.orders created on orders\nTRUNCATE TABLE: orders truncated", 'altered, a constraint, truncated');
ask(q{CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER tr BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION t()});
is(logged(), "CREATE FUNCTION: public.t() created\nCREATE TRIGGER: tr on public.orders created on orders", 'functions and triggers');

# What is not committed.
ask('BEGIN; DROP TABLE orders; ROLLBACK');
ask('BEGIN; SAVEPOINT a; DROP INDEX orders_customer; ROLLBACK TO a; SAVEPOINT b; CREATE INDEX kept ON orders (note); RELEASE b; COMMIT');
$node->psql($db, 'BEGIN; CREATE TABLE never (a int); SELECT 1/0; COMMIT');
ask(q{DO $$ BEGIN BEGIN DROP TABLE orders; RAISE 'no'; EXCEPTION WHEN OTHERS THEN NULL; END; CREATE TABLE from_do (a int); END $$});
is(logged(), "CREATE INDEX: kept created on orders\nCREATE TABLE: from_do created", 'what was rolled back is not there');

# Temporary ones, those that come and go, secrets, large texts.
ask('CREATE TEMP TABLE tt (a int); CREATE INDEX ON tt (a); ALTER TABLE tt ADD b int; TRUNCATE tt; CREATE TEMP VIEW tv AS SELECT * FROM tt; SELECT 1 AS a INTO TEMP ts; DROP TABLE tt CASCADE');
ask('BEGIN; CREATE TABLE comes (a int PRIMARY KEY); DROP TABLE comes; COMMIT');
is(logged(), '', 'no temporary tables, and nothing that came and went');
ask(q{CREATE USER somebody PASSWORD 'geheim_4711'; ALTER USER somebody PASSWORD 'geheim_4712'; CREATE FUNCTION secret() RETURNS text LANGUAGE sql AS $$ SELECT 'geheim_4713' $$; COMMENT ON TABLE orders IS 'geheim_4714'});
is(logged(), 'CREATE FUNCTION: public.secret() created', 'only what it was');
is(ask(q{SELECT count(*) FROM citadel.ddl_log AS l WHERE l::text LIKE '%geheim%'}), '0', 'no text of a command is stored');
ask("CREATE FUNCTION huge() RETURNS text LANGUAGE sql AS \$\$ SELECT '" . ('x' x 1_000_000) . "' \$\$; CREATE TABLE " . '"ä' . ('ö' x 40) . '" (a int)');
is(logged(), "CREATE FUNCTION: public.huge() created\nCREATE TABLE: ä" . ('ö' x 30) . ' created', 'a command of 1 MB, a name of 63 bytes');

# Bounded.
my $before = missed();
ask(q{DO $$ BEGIN FOR i IN 1 .. 100 LOOP EXECUTE format('CREATE TABLE many_%s (a int)', i); END LOOP; END $$});
is(scalar(split /\n/, logged()), 64, '64 objects of a transaction');
is(missed() - $before, 36, 'and the others are counted');
is(ask(q{SELECT (citadel.health() #>> '{history,ddl_notes_missed}')::int >= 36}), 't', 'health() shows it');
$before = missed();
ask(q{BEGIN; CREATE TABLE prepared (a int); PREPARE TRANSACTION 'p'});
ask(q{COMMIT PREPARED 'p'});
is(logged(), '', 'a prepared transaction is not seen');
is(missed() - $before, 1, 'but counted');
ask('CREATE EXTENSION citadel_tasks');
is(scalar(split /\n/, logged()), ask(q{SELECT count(*) FROM citadel.ddl_log WHERE at = (SELECT max(at) FROM citadel.ddl_log) AND command LIKE 'CREATE %'}),
	'scripts of extensions, command by command');
ask('DROP EXTENSION citadel_tasks');
like(logged(), qr/^DROP EXTENSION: \w+ dropped/m, 'and what goes with an extension');

# Nobody reads another database: nothing is noted there.
$node->safe_psql('postgres', 'CREATE TABLE elsewhere (a int); DROP TABLE elsewhere');
is(logged(), '', 'nothing of another database');

# Settings.
ask(q{ALTER ROLE somebody SET work_mem = '7MB'; ALTER DATABASE citadel_ai SET enable_hashjoin = off; ALTER ROLE somebody SET search_path = x});
ask(q{ALTER SYSTEM SET random_page_cost = 1.5});
$node->reload;
my $settings = "SELECT string_agg(concat_ws(' ', setting, database <> 0, role <> 0, coalesce(old_value, '-'), coalesce(new_value, '-')), ', ' ORDER BY setting) FROM citadel.setting_log";
ok(eventually(60, sub { logged(); ask('SELECT count(*) FROM citadel.setting_log') eq '3' }), 'changed settings are found');
is(ask($settings), 'enable_hashjoin t f - off, random_page_cost f f 4 1.5, work_mem f t - 7MB', 'each once, with its values');
ask('DELETE FROM citadel.setting_log; ALTER ROLE somebody RESET work_mem; ALTER DATABASE citadel_ai RESET ALL');
ok(eventually(60, sub { logged(); ask('SELECT count(*) FROM citadel.setting_log') eq '2' }), 'and when they are taken back');
is(ask($settings), 'enable_hashjoin t f off -, work_mem f t 7MB -', 'to none');

# An error while storing: tried again, stored once.
set_fault($node, 'ddl.stored:error');
ask('CREATE TABLE after_error (a int)');
ok(eventually(60, sub { ask(q{SELECT failure IS NOT NULL FROM citadel.snapshot_state WHERE source = 'ddl'}) eq 't' }), 'it cannot be stored');
like(ask(q{SELECT citadel.health() ->> 'reasons'}), qr/history cannot read its source ddl/, 'health() says so');
set_fault($node, '');
ok(eventually(60, sub { logged(q{object_name = 'after_error'}) ne '' or ask(q{SELECT count(*) FROM citadel.ddl_log WHERE object_name = 'after_error'}) ne '0' }), 'and is later');
is(ask(q{SELECT count(*) FROM citadel.ddl_log WHERE object_name = 'after_error'}), '1', 'once');

# The scheduler is killed in the middle: the server restarts, DDL goes on and is logged.
set_fault($node, 'ddl.stored:crash');
$node->psql($db, 'CREATE TABLE at_crash (a int)');
ok(eventually(60, sub { crashes($node) > 0 }), 'the scheduler was killed while it stored DDL');
ok(eventually(60, sub { ($node->psql('postgres', q{ALTER SYSTEM RESET citadel_opt.debug_fault}))[0] == 0 }), 'the server restarts its processes') or die;
$node->reload;
eventually(60, sub { ($node->psql($db, 'SELECT citadel.collect()', on_error_stop => 1))[0] == 0 }) or die 'no scheduler';
cmp_ok(ask(q{SELECT count(*) FROM citadel.ddl_log WHERE object_name = 'at_crash'}), '<=', 1, 'nothing twice');
ask('CREATE TABLE after_crash (a int)');
like(logged(), qr/after_crash created/, 'afterwards it goes on');

# DROP EXTENSION while DDL is in flight: neither fails.
my ($in, $out, $err) = ('', '', '');
my $psql = IPC::Run::start(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db)], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(600));
$in .= "BEGIN; CREATE TABLE in_flight (a int); SELECT 'noted';\n";
$psql->pump until $out =~ /noted/;
ask('DROP EXTENSION citadel_opt');
$in .= "CREATE INDEX ON in_flight (a); COMMIT; SELECT 'committed';\n";
$psql->pump until $out =~ /committed/ or $err ne '';
$in .= "\\q\n";
$psql->finish;
is($err, '', 'DDL in flight commits though the extension was dropped');
create_citadel($node, $db);
$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';
$seen = 0;
logged();
ask('CREATE TABLE anew (a int)');
is(logged(), 'CREATE TABLE: anew created', 'the extension made anew logs again');

# A standby, promoted.
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('ddl_standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql($db, 'SELECT citadel.ddl_notes_missed()'), '0', 'a standby misses nothing');
$node->stop('fast');
$standby->promote;
ok(eventually(60, sub { ($standby->psql($db, 'SELECT citadel.collect()', on_error_stop => 1))[0] == 0 }), 'a scheduler after promotion');
$standby->safe_psql($db, 'CREATE TABLE promoted (a int)');
ok(eventually(60, sub { $standby->psql($db, 'SELECT citadel.collect()'); $standby->safe_psql($db, q{SELECT count(*) FROM citadel.ddl_log WHERE object_name = 'promoted'}) eq '1' }), 'logs its DDL');
is(crashes($standby), 0, 'and did not crash');
done_testing();
