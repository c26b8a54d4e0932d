# What the tests of corrupted tables share: every column of ours with values that nobody expects there, the calls that
# read them, and a way to try one without leaving a trace.
package CorruptTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use TrustTest;

our @EXPORT = (qw(hostile_cases loosen readers damage install_probe save_tables restore_tables reads), @TrustTest::EXPORT);

# Per type: SQL for values that fit the type and nothing else. `%s` is the column.
my %hostile = (
	bigint => [ 'NULL', '-1', '0', '9223372036854775807', '-9223372036854775808' ],
	integer => [ 'NULL', '-1', '0', '2147483647', '-2147483648' ],
	oid => [ 'NULL', '0', '4294967295', '1259', '1' ],
	boolean => [ 'NULL', 'NOT %s' ],
	text => [ 'NULL', "''", "'no such thing'", q~E'\n"\'' || chr(92) || '{]'~, q~repeat('x"', 20000)~, q~'1 fortnight'~ ],
	name => [ "''", q~'no such"; name'~, 'NULL' ],
	'timestamp with time zone' => [ 'NULL', "'infinity'", "'-infinity'", "'4714-11-24 00:00:00+00 BC'", "'294276-12-31'" ],
	'double precision' => [ 'NULL', "'NaN'", "'Infinity'", "'-Infinity'", '-1', '1e308' ],
	interval => [ 'NULL', "'-1 day'", "'178000000 years'", "'0'", "'-178000000 years'" ],
	jsonb => [ 'NULL', q~'null'~, q~'[]'~, q~'{}'~, q~'"text"'~, q~'5'~, q~'[1, "x", null, {"a": []}, [[]]]'~,
		q~'{"Plan": 5}'~, q~'{"Plan": {"Plans": {"Plans": 7}, "Node Type": 5}}'~, q~'{"a": "b", "Client": null, "22": "x"}'~ ],
	bytea => [ 'NULL', q~''~, q~'\x00'~, q~decode(repeat('ff', 100), 'hex')~, q~substr(%s, 1, length(%s) - 1)~, q~%s || '\x80'~,
		q~decode(repeat('80', 5000) || '01', 'hex')~ ],
	'oid[]' => [ 'NULL', q~'{}'~, q~'{NULL}'~, q~'{0,4294967295,1259}'~, q~'{{1,2},{3,4}}'~, q~'[5:6]={1,2}'~ ],
	'bigint[]' => [ 'NULL', q~'{}'~, q~'{NULL}'~, q~'{-1,9223372036854775807}'~, q~'{{1,2},{3,4}}'~, q~'[5:6]={1,2}'~ ],
	'text[]' => [ 'NULL', q~'{}'~, q~'{NULL}'~, q~'{"",x"}'~, q~'{{a,b},{c,d}}'~, q~'[5:6]={a,b}'~ ],
	pg_lsn => [ 'NULL', q~'0/0'~, q~'FFFFFFFF/FFFFFFFF'~ ],
	regclass => [ 'NULL', '0', '4294967295' ],
);

# All [table, column, value]; a value is SQL. `GONE` as a value: the column is away; `GONE` as a column: the table is;
# `EMPTY`: its rows are.
sub hostile_cases
{
	my ($node, $db) = @_;
	my @cases;
	my $last = '';
	foreach my $line (split /\n/, $node->safe_psql($db, q{
		SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'citadel'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY c.relname, a.attnum}))
	{
		my ($table, $column, $type) = split /\|/, $line;
		push @cases, [ $table, 'GONE', '' ], [ $table, 'EMPTY', '' ] if $table ne $last;
		$last = $table;
		die "no hostile values for $type" unless $hostile{$type};
		foreach my $value (@{ $hostile{$type} })
		{
			(my $sql = $value) =~ s/%s/"$column"/g;
			push @cases, [ $table, $column, $sql ];
		}
		push @cases, [ $table, $column, 'GONE' ];
	}
	return @cases;
}

# The statement that makes a case.
sub damage
{
	my ($table, $column, $value) = @_;
	return "ALTER TABLE citadel.$table RENAME TO gone" if $column eq 'GONE';
	return "DELETE FROM citadel.$table" if $column eq 'EMPTY';
	return qq{ALTER TABLE citadel.$table RENAME COLUMN "$column" TO gone} if $value eq 'GONE';
	return qq{UPDATE citadel.$table SET "$column" = $value};
}

# Takes off all that keeps hostile values out: what somebody who edits our tables by hand may do as well.
sub loosen
{
	my ($node, $db) = @_;
	$node->safe_psql($db, q{
		SET client_min_messages = warning;
		DO $$
		DECLARE r record;
		BEGIN
			FOR r IN SELECT conrelid::regclass AS t, conname FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
				WHERE connamespace = 'citadel'::regnamespace AND NOT c.relispartition AND contype IN ('c', 'f')
				ORDER BY contype = 'f' DESC
			LOOP
				EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', r.t, r.conname);
			END LOOP;
			FOR r IN SELECT c.oid::regclass AS t, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
				WHERE c.relnamespace = 'citadel'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0
					AND a.attnotnull AND a.attidentity = '' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))
			LOOP
				EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', r.t, r.attname);
			END LOOP;
		END $$;
		ALTER TABLE citadel.audit_entry DISABLE TRIGGER ALL; ALTER TABLE citadel.audit_pending DISABLE TRIGGER ALL; ALTER TABLE citadel.audit_seal DISABLE TRIGGER ALL});
	return;
}

# Every function of ours that reads tables of ours and may be called in a transaction, and every view: [name, SELECT].
sub readers
{
	my ($numbers) = @_;
	my %not = map { ($_ => 1) } qw(collect run_job wait_for_job debug_drain_capture debug_hold_capture debug_release_capture
		debug_sample_waits debug_take_runs raise_error archive_step archive_begin stop_advisor adopt_database archive_restore_begin
		index_definition latency_buckets latency_calls latency_merge latency_percentile disk_space figure percent jit_sentence
		heap_bloat content_hash partition_tree history_clock index_build_seconds what_if wait_causes sample_causes
		plan_nodes plan_relation plan_causes preloaded relation_bytes relation_members overhead worker_status checked_table
		captured_statements capture_counters figure_definitions job_definitions get_index_statistics merge_error_classes);
	my @calls;
	foreach my $row (privileges())
	{
		next if $not{ $row->{name} } || $row->{name} =~ /^cause_/ || $row->{call} =~ /^CALL/ || $row->{superuser} =~ /\d/;
		push @calls, [ $row->{name}, fill($row->{call}, $numbers) ] if $row->{kind} eq 'function';
		push @calls, [ $row->{name}, "SELECT * FROM citadel.$row->{name}" ] if $row->{kind} eq 'view' && $row->{name} !~ /^visible_/;
	}
	return @calls;
}

# Whether a reader is worth its time for this table.
sub reads
{
	my ($reader, $table) = @_;
	return $table =~ /^(statement|plan|sample|parameter|regression|advice|index_recomm|bucket|GONE)/ if $reader =~ /^(analyze_slow_queries|statement_causes|query_performance|metric_statement|regression_evidence)$/;
	return 1;
}

# probe(damage, names, calls): does the damage, makes every call, and undoes all; one line for each call that failed:
# name, SQLSTATE, message.
sub install_probe
{
	my ($node, $db) = @_;
	$node->safe_psql($db, q{
		CREATE SCHEMA corrupt;
		CREATE FUNCTION corrupt.probe(damage text, names text[], calls text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
		DECLARE
			results text[] = '{}'; message text; state text; context text;
		BEGIN
			BEGIN
				SET LOCAL session_replication_role = replica;
				EXECUTE damage;
				SET LOCAL session_replication_role = origin;
				FOR i IN 1 .. array_length(calls, 1) LOOP
					BEGIN
						EXECUTE calls[i];
						RAISE EXCEPTION SQLSTATE 'UN001';
					EXCEPTION WHEN SQLSTATE 'UN001' THEN NULL; WHEN OTHERS THEN
						GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, state = RETURNED_SQLSTATE, context = PG_EXCEPTION_CONTEXT;
						results := results || concat_ws(E'\t', names[i], state, replace(left(message, 200), E'\n', ' '));
					END;
				END LOOP;
				RAISE EXCEPTION SQLSTATE 'UN000';
			EXCEPTION WHEN SQLSTATE 'UN000' THEN NULL; WHEN OTHERS THEN
				results := results || concat_ws(E'\t', 'damage', SQLSTATE, replace(left(SQLERRM, 200), E'\n', ' '));
			END;
			RETURN QUERY SELECT unnest(results);
		END $$});
	return;
}

# Copies of all tables, and the way back.
sub save_tables
{
	my ($node, $db) = @_;
	$node->safe_psql($db, q{
		CREATE SCHEMA saved;
		DO $$
		DECLARE r record;
		BEGIN
			FOR r IN SELECT relname FROM pg_class WHERE relnamespace = 'citadel'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
			LOOP
				EXECUTE format('CREATE TABLE saved.%I AS TABLE citadel.%I', r.relname, r.relname);
			END LOOP;
		END $$});
	return;
}

sub restore_tables
{
	my ($table, $column, $value) = @_;
	my $sql = '';
	$sql = "ALTER TABLE citadel.gone RENAME TO $table; " if $column eq 'GONE';
	$sql = qq{ALTER TABLE citadel.$table RENAME COLUMN gone TO "$column"; } if $value eq 'GONE';
	return qq{SET session_replication_role = replica; ${sql}DELETE FROM citadel.$table; INSERT INTO citadel.$table OVERRIDING SYSTEM VALUE SELECT * FROM saved.$table};
}

1;
