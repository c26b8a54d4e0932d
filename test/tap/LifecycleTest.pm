# What the tests of lifecycle policies share: a server with archives, tables with an old partition, and the counting of
# rows.
package LifecycleTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Temp;
use JobsTest;
use PostgreSQL::Test::Utils;

our @EXPORT = (qw(lifecycle_node old_table live archived back_after_crash hostile_owner), @JobsTest::EXPORT);

our $rows_each = 300;
my $number = 0;

# A server that starts anew after crashes, the database `app` with the role `owner` and his schema `app`, and the folder
# for archives in files. The job runs on request alone.
sub lifecycle_node
{
	my ($name, %options) = @_;
	my $archives = PostgreSQL::Test::Utils::tempdir('archives');
	my $node = jobs_node($name, %options, config => "restart_after_crash = on\ncitadel_opt.archive_directory = '$archives'\n" . ($options{config} // ''));
	$node->safe_psql('postgres', 'CREATE DATABASE app');
	$node->safe_psql('app', 'SET client_min_messages = warning; CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman');
	create_citadel($node, 'app');
	eventually(10, sub { scheduler_pid($node, 'app') }) or die 'no scheduler';
	$node->safe_psql('app', q{SELECT citadel.alter_job('lifecycle', enabled => false);
		CREATE ROLE owner; GRANT pg_write_server_files TO owner; CREATE SCHEMA app AUTHORIZATION owner});
	return ($node, $archives);
}

# A table with a partition of January 2020 and a policy under which it has expired; the table and the policy's number.
sub old_table
{
	my ($node, $destination, $on_expiry) = @_;
	my $table = 'app.t' . ++$number;
	$node->safe_psql('app', qq{SET ROLE owner;
		CREATE TABLE $table (id int, at timestamptz NOT NULL, v text) PARTITION BY RANGE (at);
		CREATE INDEX ON $table (id);
		CREATE TABLE ${table}_old PARTITION OF $table FOR VALUES FROM ('2020-01-01+00') TO ('2020-02-01+00');
		INSERT INTO $table SELECT i, '2020-01-01+00'::timestamptz + i * interval '1 hour', 'row ' || i FROM generate_series(1, $rows_each) i});
	my $policy = $node->safe_psql('app', qq{SET ROLE owner; SELECT citadel.create_lifecycle_policy('$table', 'at', premake => 1,
		retain => '12 months', on_expiry => '$on_expiry', archive_to => '$destination', quarantine => '0')});
	return ($table, $policy);
}

# Rows and different ids, as 'n|n'.
sub live
{
	my ($node, $table) = @_;
	return $node->safe_psql('app', "SELECT count(*), count(DISTINCT id) FROM $table");
}

# The same over all archives of the table that count.
sub archived
{
	my ($node, $table) = @_;
	my ($schema, $name) = split /\./, $table;
	my @where = split /\n/, $node->safe_psql('app', "SELECT read_from FROM citadel.archive WHERE origin_name = '$name' AND state = 'complete' ORDER BY archive_id");
	return '0|0' unless @where;
	return $node->safe_psql('app', 'SELECT count(*), count(DISTINCT id) FROM (' . join(' UNION ALL ', map { "SELECT id FROM $_" } @where) . ') AS a');
}

# Waits for the server to come back after a crash, disarms the fault, and waits for the scheduler.
sub back_after_crash
{
	my ($node) = @_;
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
	set_fault($node, '');
	eventually(20, sub { scheduler_pid($node, 'app') }) or die 'no scheduler after a crash';
	return;
}

# The role `hostile` with the schema `evil`, and code in it that tells in the server's log as whom it runs:
# 'EVIL what runs as whom'.
sub hostile_owner
{
	my ($node) = @_;
	$node->safe_psql('app', q{CREATE ROLE hostile LOGIN; GRANT pg_write_server_files TO hostile; CREATE SCHEMA evil AUTHORIZATION hostile; SET ROLE hostile;
		CREATE FUNCTION evil.tell(what text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
			RAISE WARNING 'EVIL % runs as %', what, current_user; RETURN what; END $$;
		CREATE FUNCTION evil.number(what text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
			RAISE WARNING 'EVIL % runs as %', what, current_user; RETURN 1; END $$;
		CREATE FUNCTION evil.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			RAISE WARNING 'EVIL trigger % runs as %', TG_NAME, current_user; RETURN coalesce(NEW, OLD); END $$;
		CREATE DOMAIN evil.dom AS text CHECK (evil.tell('domain') IS NOT NULL)});
	return;
}

1;
