# Plain tables: kept plain, with old rows moved in batches; converted under load; killed with -9 at each step; cancelled;
# refused. live + archived = put in, always.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $archives) = lifecycle_node('plain', config => "wal_level = logical\ncitadel_opt.lifecycle_load = 1\n");
sub sql { return $node->safe_psql('app', $_[0]); }
sub state_of { return sql("SELECT string_agg(kind || ' ' || state, ', ' ORDER BY operation_id) FROM citadel.lifecycle_operation WHERE policy_id = $_[0] AND kind <> 'expire'"); }

sub fails
{
	my ($sql, $pattern, $name) = @_;
	my ($status, $out, $err) = $node->psql('app', $sql, on_error_stop => 1);
	ok($status != 0 && $err =~ $pattern, $name) or diag("$status: $err");
	return;
}

# 300 rows of January and February 2020, one of now; the table and its policy.
my $number = 0;
sub plain_table
{
	my (%options) = @_;
	my $table = 'app.k' . ++$number;
	my $type = $options{type} // 'timestamptz';
	sql(qq{SET ROLE owner;
		CREATE TABLE $table (id int PRIMARY KEY, dropped int, at $type, v text DEFAULT 'x', g int GENERATED ALWAYS AS (length(v)) STORED);
		ALTER TABLE $table DROP COLUMN dropped;
		INSERT INTO $table (id, at, v) SELECT i, '2020-01-01 00:00:00+00'::timestamptz AT TIME ZONE 'UTC' + i * interval '4 hours', 'row ' || i FROM generate_series(1, 300) i;
		INSERT INTO $table (id, at) VALUES (1001, now() AT TIME ZONE 'UTC');} . ($options{more} // ''));
	sql("SET ROLE owner; CREATE INDEX ON $table (at)") if $options{index} // 1;
	my $policy = sql(qq{SET ROLE owner; SELECT citadel.create_lifecycle_policy('$table', 'at', quarantine => '0', } . ($options{policy} // q{retain => '12 months', plain_table => 'keep'}) . ')');
	return ($table, $policy);
}

sub run_fails_nowhere
{
	my ($table, $name) = @_;
	my ($status, $out, $err) = $node->psql('app', "CALL citadel.run_lifecycle('$table')");
	is($status, 0, $name) or diag($err);
	return;
}

# Kept plain, with an index on time and without one, of each kind.
foreach my $case ([ 'timestamptz', 1 ], [ 'timestamptz', 0 ], [ 'timestamp', 1 ], [ 'date', 0 ])
{
	my ($type, $index) = @$case;
	my ($table, $policy) = plain_table(type => $type, index => $index);
	is(sql("SELECT action, blocked FROM citadel.preview_lifecycle('$table')"), 'move rows|', "$type, index $index: preview");
	run_fails_nowhere($table, 'the job runs');
	is(live($node, $table) . ' ' . archived($node, $table), '1|1 300|300', "$type, index $index: old rows are in archives, the new one is live");
	is(sql("SELECT count(*) FROM citadel.archive WHERE origin_name = '" . ($table =~ s/app\.//r) . "'"), '2', 'one archive a month');
	is(sql("SELECT sum(g) FROM (SELECT g FROM citadel_archive.k${number}_p20200101 UNION ALL SELECT g FROM citadel_archive.k${number}_p20200201) a"), '1992', 'generated values came along');
	is(sql("SELECT count(*) FROM pg_index WHERE indrelid = 'citadel_archive.k${number}_p20200101'::regclass"), 1 + $index, 'so did the indexes');
	is(sql("SELECT count(*) FROM citadel.preview_lifecycle('$table')"), '0', 'nothing more to do');
}

# Rows that cannot be judged stay: NULL, infinite; held ones stay until released.
{
	my ($table, $policy) = plain_table(more => q{INSERT INTO app.k5 (id, at) VALUES (2001, NULL), (2002, 'infinity'), (2003, '-infinity');});
	my $hold = sql("SET ROLE owner; SELECT citadel.place_hold('$table', '2020-01-10 00:00+00', '2020-01-20 00:00+00', 'case 1')");
	my $predicate = sql("SET ROLE owner; SELECT citadel.place_hold('$table', NULL, NULL, 'case 2', 'id = 299')");
	run_fails_nowhere($table, 'with holds');
	is(sql("SELECT count(*) FROM $table WHERE id < 1000"), 61, 'held rows are left: ten days and one row');
	is(archived($node, $table), '239|239', 'the others are archived');
	sql("SET ROLE owner; SELECT citadel.release_hold($hold, 'closed'), citadel.release_hold($predicate, 'closed')");
	run_fails_nowhere($table, 'without holds');
	is(sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM $table"), '1001 2001 2002 2003', 'released rows follow; NULL and infinite times stay');
	is(archived($node, $table), '300|300', 'each row once');
	sql("SET ROLE owner; INSERT INTO $table (id, at) VALUES (3001, '2020-01-05 00:00+00')");
	sql("SET ROLE owner; SELECT citadel.place_hold('$table', NULL, NULL, 'case 3', '1 / (id - 3001) = 0')");
	my ($status) = $node->psql('app', "CALL citadel.run_lifecycle('$table')");
	is(sql("SELECT count(*) FROM $table WHERE id = 3001"), '1', 'a predicate that fails keeps everything');
}

# The policy says drop; a file as destination; integer keys.
{
	my ($table, $policy) = plain_table(policy => q{retain => '12 months', plain_table => 'keep', on_expiry => 'drop'});
	run_fails_nowhere($table, 'drop');
	is(live($node, $table) . ' ' . archived($node, $table), '1|1 0|0', 'dropped rows leave no archive');
	($table, $policy) = plain_table(policy => "retain => '12 months', plain_table => 'keep', archive_to => 'file:$archives/plain'");
	run_fails_nowhere($table, 'to files');
	run_fails_nowhere($table, 'the drop of what was copied');
	is(live($node, $table) . ' ' . archived($node, $table), '1|1 300|300', 'rows are in files');
	is(sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'k${number}\\_p2%' AND relkind = 'r'"), '0', 'and the collecting tables are gone');
	sql(q{SET ROLE owner; CREATE TABLE app.numbers (id int PRIMARY KEY, v text); INSERT INTO app.numbers SELECT i, i FROM generate_series(1, 1000) i;
		SELECT citadel.create_lifecycle_policy('app.numbers', 'id', '100', retain => '250', plain_table => 'keep')});
	run_fails_nowhere('app.numbers', 'integer keys');
	is(sql('SELECT count(*), min(id) FROM app.numbers'), '301|700', 'whole ranges that lie before the newest less the retention are moved');
	is(archived($node, 'app.numbers'), '699|699', 'once each');
}

# Held up: outside its hours, WAL that is not archived, switches.
{
	my $hour = sql("SELECT extract(hour FROM now() AT TIME ZONE 'UTC')::int");
	my $hours = sprintf('%02d:00-%02d:00', ($hour + 3) % 24, ($hour + 5) % 24);
	my ($table, $policy) = plain_table(policy => "retain => '12 months', plain_table => 'keep', allowed_hours => '$hours'");
	like(sql("SELECT blocked FROM citadel.preview_lifecycle('$table')"), qr/outside the hours/, 'preview says why not now');
	run_fails_nowhere($table, 'outside the hours');
	is(live($node, $table), '301|301', 'nothing was moved');
	sql("SELECT citadel.alter_lifecycle_policy($policy, allowed_hours => '', archive_enabled => false)");
	like(sql("SELECT blocked FROM citadel.preview_lifecycle('$table')"), qr/switched off/, 'a switch blocks');
	sql("SELECT citadel.alter_lifecycle_policy($policy, archive_enabled => true)");
	run_fails_nowhere($table, 'now');
	is(live($node, $table), '1|1', 'moved');
	# What was collected keeps to the hours, too, and goes where it was begun to go.
	($table, $policy) = plain_table(policy => "retain => '12 months', plain_table => 'keep', archive_to => 'file:$archives/hours', on_expiry => 'archive'");
	sql("SELECT citadel.alter_lifecycle_policy($policy, quarantine => '1 second')");
	run_fails_nowhere($table, 'collected and copied');
	my $waiting = "SELECT count(*) FROM citadel.lifecycle_step WHERE policy_id = $policy AND state = 'quarantined'";
	is(sql($waiting), '2', 'its copies are in quarantine');
	my $expiry = sql("SELECT min(operation_id) FROM citadel.lifecycle_step WHERE policy_id = $policy AND kind = 'expire'");
	fails("CALL citadel.undo_expiry($expiry)", qr/collected from a plain table is not put back by an undo/, 'an undo says that it does not put rows back');
	sql("SELECT citadel.alter_lifecycle_policy($policy, allowed_hours => '$hours', archive_to => 'schema')");
	ok(eventually(10, sub { sql("SELECT count(*) FROM citadel.lifecycle_operation WHERE policy_id = $policy AND not_before > now()") eq '0' }), 'which is over');
	like(sql("SELECT string_agg(DISTINCT blocked, ' ') FROM citadel.preview_lifecycle('$table')"), qr/outside the hours/, 'the drop waits for its hours');
	run_fails_nowhere($table, 'outside the hours');
	is(sql($waiting), '2', 'nothing was dropped');
	sql("SELECT citadel.alter_lifecycle_policy($policy, allowed_hours => '')");
	run_fails_nowhere($table, 'now');
	is(sql($waiting), '0', 'what was copied to files is dropped, whatever the policy says of those to come');
	is(archived($node, $table), '300|300', 'its rows are in files');
	# Obstacles.
	($table, $policy) = plain_table();
	sql("SET ROLE owner; CREATE TABLE app.child (id int REFERENCES $table)");
	like(sql("SELECT blocked FROM citadel.preview_lifecycle('$table')"), qr/foreign key child_id_fkey of app\.child points at it/, 'an inbound foreign key is in the way');
	sql('SET ROLE owner; DROP TABLE app.child');
	sql("SET ROLE owner; ALTER TABLE $table ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY");
	like(sql("SELECT blocked FROM citadel.preview_lifecycle('$table')"), qr/row level security/, 'so are rows that are hidden from the owner');
}

# Rows that a trigger keeps stay, with an index on time and without one; the job goes on, and says so when nothing else is left.
foreach my $index (1, 0)
{
	my ($table, $policy) = plain_table(index => $index);
	sql(qq{SET ROLE owner; CREATE FUNCTION app.keep$number() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN IF OLD.id IN (7, 185) THEN RETURN NULL; END IF; RETURN OLD; END \$\$;
		CREATE TRIGGER keep BEFORE DELETE ON $table FOR EACH ROW EXECUTE FUNCTION app.keep$number()});
	run_fails_nowhere($table, "rows that a trigger keeps, index $index");
	is(sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM $table WHERE id < 186"), '7 185', "index $index: they stay, the others of their month go");
	fails("CALL citadel.run_lifecycle('$table')", qr/no expired row of \Q$table\E can be moved: a trigger keeps them/, "index $index: then the job says what keeps it");
	sql("SET ROLE owner; DROP TRIGGER keep ON $table");
	run_fails_nowhere($table, 'without the trigger');
	is(live($node, $table) . ' ' . archived($node, $table), '1|1 300|300', "index $index: they go as well");
}

# The owner's triggers run as the owner, restricted.
{
	my ($table, $policy) = plain_table();
	sql(qq{SET ROLE owner; CREATE TABLE app.seen (who text, path text);
		CREATE FUNCTION app.spy() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO app.seen VALUES (current_user, current_setting('search_path')); RETURN OLD; END \$\$;
		CREATE TRIGGER spy BEFORE DELETE ON $table FOR EACH ROW EXECUTE FUNCTION app.spy();
		CREATE CONSTRAINT TRIGGER late AFTER DELETE ON $table DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.spy()});
	run_fails_nowhere($table, 'with triggers');
	is(sql('SELECT who, path, count(*) FROM app.seen GROUP BY 1, 2'), 'owner|pg_catalog, pg_temp|600', 'triggers, deferred ones too, ran as the owner');
	is(archived($node, $table), '300|300', 'and lost nothing');
	# A trigger that keeps rows back: they stay, and nothing is lost.
	($table, $policy) = plain_table();
	sql(qq{SET ROLE owner; CREATE FUNCTION app.keep() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RETURN NULL; END \$\$;
		CREATE TRIGGER keep BEFORE DELETE ON $table FOR EACH ROW WHEN (OLD.id % 2 = 0) EXECUTE FUNCTION app.keep()});
	$node->psql('app', "CALL citadel.run_lifecycle('$table')");
	is(sql("SELECT count(*) FROM $table WHERE id < 1000") + (split /\|/, archived($node, $table))[0], 300, 'a trigger that keeps rows back loses none');
}

# Killed at each point.
foreach my $point (qw(lifecycle_move_prepare lifecycle_move_prepared lifecycle_move_batch lifecycle_move_committed lifecycle_move_moved lifecycle_move_indexed lifecycle_move_finish lifecycle_move_finished))
{
	my ($table, $policy) = plain_table();
	set_fault($node, "$point:crash");
	my ($status) = $node->psql('app', "CALL citadel.run_lifecycle('$table')");
	isnt($status, 0, "move: killed at $point");
	back_after_crash($node);
	run_fails_nowhere($table, 'goes on');
	is(live($node, $table) . ' ' . archived($node, $table), '1|1 300|300', "$point: every row once");
}
is(sql('SELECT first_broken FROM citadel.verify_audit_log()'), '', 'the audit chain is whole');

# A conversion with everything that can hang on a table, while it is written to.
sub busy_table
{
	my $table = 'app.c' . ++$number;
	my $name = "c$number";
	sql(qq{SET ROLE owner;
		CREATE TABLE IF NOT EXISTS app.ref (id int PRIMARY KEY); INSERT INTO app.ref SELECT generate_series(0, 9) ON CONFLICT DO NOTHING;
		CREATE TABLE $table (id bigint GENERATED BY DEFAULT AS IDENTITY, at timestamptz NOT NULL DEFAULT now(), s serial, v text DEFAULT 'x' CHECK (v <> 'bad'), r int REFERENCES app.ref, PRIMARY KEY (id));
		CREATE INDEX ${name}_at ON $table (at DESC); CREATE INDEX ${name}_v ON $table (lower(v)) WHERE v IS NOT NULL;
		ALTER TABLE $table SET (fillfactor = 80); COMMENT ON TABLE $table IS 'a comment'; COMMENT ON COLUMN $table.v IS 'the v'; COMMENT ON INDEX app.${name}_at IS 'by time';
		CREATE TABLE IF NOT EXISTS app.log (what text);
		CREATE OR REPLACE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO app.log VALUES (TG_NAME || ' ' || TG_LEVEL); RETURN NEW; END \$\$;
		CREATE TRIGGER by_row AFTER UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION app.note();
		CREATE TRIGGER by_statement AFTER UPDATE ON $table FOR EACH STATEMENT EXECUTE FUNCTION app.note();
		CREATE TRIGGER switched_off AFTER UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION app.note();
		ALTER TABLE $table DISABLE TRIGGER switched_off;
		ALTER TABLE $table ENABLE ROW LEVEL SECURITY; CREATE POLICY some_rows ON $table FOR SELECT TO reader USING (v <> 'secret');
		GRANT SELECT ON $table TO reader WITH GRANT OPTION; GRANT UPDATE (v) ON $table TO reader;
		ALTER TABLE $table REPLICA IDENTITY FULL;
		INSERT INTO $table (at, v, r) SELECT now() - i * interval '1 day', 'row ' || i, i % 10 FROM generate_series(1, 500) i;
		CREATE VIEW app.${name}_view WITH (security_barrier) AS SELECT id, v FROM $table WHERE v <> 'hidden'; GRANT SELECT ON app.${name}_view TO reader;
		CREATE VIEW app.${name}_over AS SELECT count(*) AS n FROM app.${name}_view});
	sql("CREATE PUBLICATION ${name}_pub FOR TABLE $table WHERE (v <> 'x') WITH (publish_via_partition_root = true)");
	return ($table, $name);
}
$node->safe_psql('app', 'CREATE ROLE reader; GRANT USAGE ON SCHEMA app TO reader');
my ($table, $name) = busy_table();
my $policy = sql("SET ROLE owner; SELECT citadel.create_lifecycle_policy('$table', 'at', plain_table => 'convert')");
like(sql("SELECT blocked FROM citadel.preview_lifecycle('$table')"), qr/unique key ${name}_pkey does not contain at; the policy's extend_keys would add it/, 'a key without the time column is refused with the reason');
sql("SET ROLE owner; SELECT citadel.alter_lifecycle_policy($policy, extend_keys => true)");
my $properties = <<"END";
SELECT json_build_object(
	'columns', (SELECT json_agg(json_build_array(attname, atttypid::regtype, attnotnull, attidentity, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)) ORDER BY attname) FROM pg_attribute a LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped),
	'grants', (SELECT relacl::text FROM pg_class WHERE oid = '$table'::regclass), 'column grants', (SELECT attacl::text FROM pg_attribute WHERE attrelid = '$table'::regclass AND attname = 'v'),
	'owner', (SELECT relowner::regrole FROM pg_class WHERE oid = '$table'::regclass), 'rls', (SELECT relrowsecurity FROM pg_class WHERE oid = '$table'::regclass),
	'replica identity', (SELECT relreplident FROM pg_class WHERE oid = '$table'::regclass),
	'policies', (SELECT json_agg(json_build_array(polname, polcmd, polroles::regrole[], pg_get_expr(polqual, polrelid))) FROM pg_policy WHERE polrelid = '$table'::regclass),
	'triggers', (SELECT json_agg(json_build_array(tgname, tgenabled, pg_get_triggerdef(oid)) ORDER BY tgname) FROM pg_trigger WHERE tgrelid = '$table'::regclass AND NOT tgisinternal),
	'indexes', (SELECT json_agg(json_build_array(i.indexrelid::regclass, replace(pg_get_indexdef(i.indexrelid), ' ONLY ', ' '), obj_description(i.indexrelid)) ORDER BY i.indexrelid::regclass::text) FROM pg_index i WHERE indrelid = '$table'::regclass AND NOT indisprimary),
	'constraints', (SELECT json_agg(json_build_array(conname, contype, pg_get_constraintdef(oid)) ORDER BY conname) FROM pg_constraint WHERE conrelid = '$table'::regclass AND contype <> 'p'),
	'sequences', (SELECT json_agg(pg_get_serial_sequence('$table', c)) FROM unnest(ARRAY['id', 's']) c), 'comment', obj_description('$table'::regclass),
	'view', pg_get_viewdef('app.${name}_view'::regclass), 'view options', (SELECT reloptions FROM pg_class WHERE oid = 'app.${name}_view'::regclass), 'view grants', (SELECT relacl::text FROM pg_class WHERE oid = 'app.${name}_view'::regclass),
	'publication', (SELECT json_agg(json_build_array(pubname, tablename, rowfilter)) FROM pg_publication_tables WHERE tablename = '$name'))
END
my $properties_of = $name;
my $before = sql($properties);
# Clients that insert, update, read and delete until they are told to stop.
my $script = "$archives/load.sql";
append_to_file($script, "\\set n random(1, 500)\nINSERT INTO $table (v, r) VALUES ('load', :n % 10);\nUPDATE $table SET v = 'changed' WHERE id = :n;\nSELECT count(*) FROM app.${name}_over;\nBEGIN;\nSELECT v FROM $table WHERE id = :n FOR UPDATE;\nDELETE FROM $table WHERE id = :n AND v = 'nothing';\nCOMMIT;\n");
my ($load_out, $load_err) = ('', '');
my $load = IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-j', '1', '-R', '60', '-T', '12', '-M', 'prepared', '-f', $script, '-h', $node->host, '-p', $node->port, 'app' ],
	'>', \$load_out, '2>', \$load_err);
select(undef, undef, undef, 2);
run_fails_nowhere($table, 'converted under load');
$load->finish;
is(state_of($policy), 'convert done', 'done');
like($load_out, qr/number of failed transactions: 0 /, 'no statement failed') or diag($load_err);
unlike($load_err, qr/ERROR|aborted/, 'none at all');
my ($loaded) = $load_out =~ /transactions actually processed: (\d+)/;
is(sql("SELECT count(*) FROM $table WHERE id > 500"), $loaded, 'all rows that were inserted meanwhile are there');
cmp_ok(sql("SELECT (detail->>'lock_ms')::numeric FROM citadel.lifecycle_operation WHERE policy_id = $policy"), '>', 0, 'it says how long the swap held its lock');
is(sql("SELECT relkind FROM pg_class WHERE oid = '$table'::regclass"), 'p', 'a partitioned table now');
is(sql($properties), $before, 'everything that hung on it hangs on it still');
is(sql("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '$table'::regclass AND contype = 'p'"), 'PRIMARY KEY (id, at)', 'the key got the time column');
is(sql("SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = '$table'::regclass"), 't', 'its indexes are valid');
is(sql("SELECT count(*) FROM pg_constraint WHERE conname LIKE 'citadel\\_conversion%' OR conname LIKE 'citadel\\_key%'"), '0', 'no constraint of ours is left');
is(sql("SELECT nextval('app.${name}_id_seq') > (SELECT max(id) FROM $table)"), 't', 'the identity goes on');
sql("TRUNCATE app.log; SET ROLE owner; UPDATE $table SET v = 'once' WHERE id = 1");
is(sql("SELECT string_agg(what, ', ' ORDER BY what) FROM app.log"), 'by_row ROW, by_statement STATEMENT', 'each trigger fires once');
run_fails_nowhere($table, 'the next run');
cmp_ok(sql("SELECT count(*) FROM pg_inherits WHERE inhparent = '$table'::regclass"), '>', 10, 'makes partitions ahead of time');
is(sql("SELECT table_mode, relation_oid = '$table'::regclass FROM citadel.lifecycle_policy WHERE policy_id = $policy"), 'partitioned|t', 'the policy is for a partitioned table now');

# Killed at each point of a conversion.
foreach my $point (qw(lifecycle_convert_check lifecycle_convert_checked lifecycle_convert_validate lifecycle_convert_validated lifecycle_convert_key lifecycle_convert_keys lifecycle_swap_prepared lifecycle_swap_middle lifecycle_convert_swap lifecycle_convert_swapped))
{
	($table, $name) = busy_table();
	$policy = sql("SET ROLE owner; SELECT citadel.create_lifecycle_policy('$table', 'at', plain_table => 'convert', extend_keys => true)");
	set_fault($node, "$point:crash");
	my ($status) = $node->psql('app', "CALL citadel.run_lifecycle('$table')");
	isnt($status, 0, "convert: killed at $point");
	back_after_crash($node);
	is(sql("SELECT count(*), count(DISTINCT id) FROM $table"), '500|500', "$point: all rows are there");
	run_fails_nowhere($table, 'goes on');
	is(sql("SELECT count(*), count(DISTINCT id), (SELECT relkind FROM pg_class WHERE oid = '$table'::regclass) FROM $table"), '500|500|p', "$point: partitioned");
	is(sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'app'::regnamespace AND (relname LIKE 'citadel%' OR relname LIKE '${name}_new%')"), '0', "$point: nothing of ours is left");
}

# Cancelled on the way: as it was.
($table, my $last) = busy_table();
$policy = sql("SET ROLE owner; SELECT citadel.create_lifecycle_policy('$table', 'at', plain_table => 'convert', extend_keys => true)");
$properties =~ s/\b$properties_of\b/$last/g;
$before = sql($properties);
set_fault($node, 'lifecycle_convert_keys:error');
fails("CALL citadel.run_lifecycle('$table')", qr/fault point/, 'a conversion stops before the swap');
set_fault($node, '');
is(state_of($policy), 'convert swapping', 'and waits there');
my $operation = sql("SELECT operation_id FROM citadel.lifecycle_operation WHERE policy_id = $policy");
fails("SET ROLE reader; SELECT citadel.cancel_operation($operation)", qr/owner/, 'not anybody can cancel it');
sql("SET ROLE owner; SELECT citadel.cancel_operation($operation, 'changed my mind')");
ok(eventually(20, sub { state_of($policy) eq 'convert cancelled' }), 'the owner can');
is(sql($properties), $before, 'the table is what it was');
is(sql("SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'citadel\\_key%') + (SELECT count(*) FROM pg_constraint WHERE conname LIKE 'citadel\\_conversion%')"), 0, 'nothing of ours is left');
is(sql("SELECT status FROM citadel.lifecycle_policy WHERE policy_id = $policy"), 'suspended', 'the policy is suspended');
fails("SET ROLE owner; SELECT citadel.cancel_operation($operation)", qr/has ended/, 'it cannot be cancelled twice');

# Refused, each with its reason.
my %refused = (
	'CREATE TABLE app.f (id int REFERENCES T)' => qr/foreign key f_id_fkey of app\.f points at it/,
	'CREATE MATERIALIZED VIEW app.m AS SELECT count(*) FROM T' => qr/materialized view app\.m depends on it/,
	'CREATE TABLE app.h () INHERITS (T)' => qr/app\.h inherits from it/,
	'CREATE TABLE app.w (whole T)' => qr/column whole of table app\.w uses its row type/,
	'ALTER TABLE T ADD EXCLUDE USING btree (id WITH =)' => qr/exclusion constraint/,
	'ALTER TABLE T ADD CONSTRAINT later CHECK (id > -1) NOT VALID' => qr/constraint later is NOT VALID/,
	'CREATE UNIQUE INDEX part ON T (id) WHERE id > 5' => qr/unique key part does not contain at and cannot be extended/,
	'CREATE RULE ru AS ON DELETE TO T DO ALSO SELECT 1' => qr/rule ru/,
	'RESET ROLE; CREATE PUBLICATION plain_pub FOR TABLE T' => qr/publication plain_pub .* publish_via_partition_root/,
);
foreach my $ddl (sort keys %refused)
{
	my ($plain, $id) = plain_table(index => 0, policy => q{plain_table => 'convert', extend_keys => true});
	sql('SET ROLE owner; ' . ($ddl =~ s/\bT\b/$plain/gr));
	like(sql("SELECT blocked FROM citadel.preview_lifecycle('$plain')"), $refused{$ddl}, "refused: $ddl");
	sql("DROP TABLE $plain CASCADE; DROP TABLE IF EXISTS app.f, app.w, app.h; DROP PUBLICATION IF EXISTS plain_pub");
}
foreach my $bad ([ 'NULL', qr/has NULLs/ ], [ "'infinity'", qr/infinite value/ ])
{
	my ($plain, $id) = plain_table(more => 'INSERT INTO app.k' . ($number + 1) . " (id, at) VALUES (5000, $bad->[0]);", policy => q{plain_table => 'convert', extend_keys => true});
	fails("CALL citadel.run_lifecycle('$plain')", $bad->[1], "a row with $bad->[0] cannot be partitioned, and it says so");
	is(live($node, $plain), '302|302', 'the table is untouched');
	sql("SELECT citadel.drop_lifecycle_policy($id)");
}

# A table that nobody lets go of: the ladder gives up, the table is untouched, the next run succeeds.
($table, $policy) = plain_table(policy => q{plain_table => 'convert', extend_keys => true});
my $reader = $node->background_psql('app');
$reader->query_safe("BEGIN; SELECT count(*) FROM $table");
fails("CALL citadel.run_lifecycle('$table')", qr/could not lock/, 'a lock that is never granted ends the try');
$reader->query_safe('COMMIT');
$reader->quit;
run_fails_nowhere($table, 'the next run');
is(sql("SELECT relkind FROM pg_class WHERE oid = '$table'::regclass"), 'p', 'converts it');

is(sql('SELECT first_broken FROM citadel.verify_audit_log()'), '', 'the audit chain is whole');
$node->stop;
done_testing();
