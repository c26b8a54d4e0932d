# Archives through crashes: at each fault point of each destination and each kind of restore the server is killed, comes
# back, and the work goes on: nothing lost, nothing there twice, nothing left over. Then a full disk, a dead foreign
# server, a changed and a vanished source.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $folder = PostgreSQL::Test::Utils::tempdir();
my $node = citadel_node('archives', config => <<"END");
restart_after_crash = on
citadel_opt.archive_directory = '$folder'
END
my $far = citadel_node('far', preload => '', database => 'store', extension => 0);
my ($far_host, $far_port) = ($far->host, $far->port);
$node->safe_psql($db, <<"END");
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION dblink;
CREATE ROLE keeper SUPERUSER;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$far_host', port '$far_port', dbname 'store', connect_timeout '2');
CREATE USER MAPPING FOR PUBLIC SERVER far;
CREATE TABLE parent (id bigint NOT NULL, at date NOT NULL, t text, twice bigint GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE INDEX ON parent (lower(t));
END
my $rows = 3000;
my $bound = "FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')";

sub ask
{
	my ($sql, %options) = @_;
	my ($status, $out, $err) = $node->psql($options{db} // $db, $sql, on_error_stop => 1, timeout => 120);
	return ($status, $out, $err);
}

# Waits until the server takes connections again.
sub recovered
{
	$node->poll_query_until($db, 'SELECT true') or die 'the server did not come back';
}

# A detached partition with rows.
sub make_source
{
	my ($name) = @_;
	$node->safe_psql($db, <<"END");
DROP TABLE IF EXISTS $name;
CREATE TABLE $name PARTITION OF parent $bound;
INSERT INTO $name (id, at, t) SELECT i, '2024-01-01'::date + i % 31, repeat('row ', i % 50) || i FROM generate_series(1, $rows) AS i;
ALTER TABLE parent DETACH PARTITION $name;
END
	return $node->safe_psql($db, "SELECT hash FROM citadel.content_hash('$name')");
}

# Steps until done, one transaction each. With a fault the server is killed at that point, and the steps go on once it is
# back. Returns whether the fault was met.
sub walk
{
	my ($id, $step, $fault) = @_;
	my $crashed = 0;
	foreach my $round (1 .. 100)
	{
		my $arm = defined $fault && !$crashed ? "SET citadel_opt.debug_fault = '$fault:crash';" : '';
		my ($status, $out, $err) = ask("$arm SELECT citadel.archive_step($id, '$step')");
		if ($status != 0)
		{
			die $err unless $err =~ /server closed the connection|terminat|connection to server/;
			$crashed = 1 if $arm ne '' && $err =~ /server closed the connection|terminat/;
			recovered();
			next;
		}
		return $crashed if $out =~ /done/;
	}
	die "$step of archive $id does not end";
}

my %steps_of = (
	'file:store' => [qw(archive_file_written archive_file_sync archive_file_renamed archive_part_copied archive_file_manifest
		archive_file_finished archive_part_verified archive_verified)],
	'server:far' => [qw(archive_server_table archive_server_sent archive_part_copied archive_part_verified archive_verified)],
	'schema' => [qw(archive_schema_hashed archive_schema_moved)],
);
my $number = 0;
foreach my $destination (sort keys %steps_of)
{
	foreach my $fault (@{ $steps_of{$destination} })
	{
		my $name = 'source_' . ++$number;
		my $hash = make_source($name);
		my $id = $node->safe_psql($db, "SELECT citadel.archive_begin('$name', '$destination', partition_bound => \$\$$bound\$\$)");
		my $met = walk($id, 'copy', $fault);
		$met += walk($id, 'verify', $met ? undef : $fault);
		is($met, 1, "$destination: the server was killed at $fault");
		my ($from, $state, $entry_hash) = split /\|/, $node->safe_psql($db, "SELECT read_from, state || ' ' || verification, hash FROM citadel.archive WHERE archive_id = $id");
		is($state, $destination eq 'schema' ? 'complete moved' : 'complete verified', "$destination, $fault: complete");
		is($entry_hash, $hash, "$destination, $fault: the catalogue has the source's hash");
		is($node->safe_psql($db, "SELECT rows || ' ' || hash FROM citadel.content_hash('$from')"), "$rows $hash",
			"$destination, $fault: every row once, where it lies");
		is($node->safe_psql($db, "SELECT citadel.archive_step($id, 'compare')"), 'same', "$destination, $fault: the source is still the same");
		is($node->safe_psql($db, "SELECT count(*) FROM pg_class WHERE relname = '$name' AND relkind = 'r' AND relnamespace = 'public'::regnamespace"),
			$destination eq 'schema' ? 0 : 1, "$destination, $fault: the source is where it belongs");
	}
}
is(join(' ', grep { /partial/ } glob("$folder/store/*"), glob("$folder/store/*/*")), '', 'no temporary file is left');
is(scalar(glob("$folder/store/*")) ? 1 : 0, 1, 'archives lie in the folder');

# Restores: the fault, what is restored, and how.
my @restores = (
	[ 'file:store', 'partition', qw(archive_restore_created archive_restore_loaded archive_restore_checked archive_restore_fitted archive_restore_attached archive_restored) ],
	[ 'file:store', 'rows', qw(archive_restore_inserted) ],
	[ 'server:far', 'rows', qw(archive_restore_loaded archive_restore_inserted) ],
	[ 'server:far', 'beside', qw(archive_restored) ],
	[ 'schema', 'partition', qw(archive_restore_checked archive_restore_moved archive_restore_attached) ],
	[ 'schema', 'rows', qw(archive_restore_inserted) ],
);
foreach my $case (@restores)
{
	my ($destination, $way, @faults) = @$case;
	foreach my $fault (@faults)
	{
		my $name = 'source_' . ++$number;
		my $hash = make_source($name);
		my $id = $node->safe_psql($db, "SELECT citadel.archive_begin('$name', '$destination', partition_bound => \$\$$bound\$\$)");
		walk($id, $_) foreach qw(copy verify);
		$node->safe_psql($db, "DROP TABLE $name") unless $destination eq 'schema';
		$node->safe_psql($db, "CREATE TABLE ground PARTITION OF parent $bound") if $way eq 'rows';
		my $target = $way eq 'beside' ? 'NULL' : "'parent'";
		$node->safe_psql($db, "SELECT citadel.archive_restore_begin($id, $target, '$way')");
		is(walk($id, 'restore', $fault), 1, "restore of $destination as $way: the server was killed at $fault");
		my $place = $way eq 'beside' ? $name : 'parent';
		is($node->safe_psql($db, "SELECT rows || ' ' || hash FROM citadel.content_hash('$place')"), "$rows $hash",
			"restore of $destination as $way, $fault: every row once");
		is($node->safe_psql($db, "SELECT state FROM citadel.archive WHERE archive_id = $id"), 'restored', "restore of $destination as $way, $fault: restored");
		is($node->safe_psql($db, "SELECT count(*) FROM pg_class AS c WHERE relkind IN ('r', 'f') AND relname LIKE '$name%' AND relispartition = false AND relnamespace = 'citadel_archive'::regnamespace"),
			$destination eq 'server:far' ? 1 : 0, "restore of $destination as $way, $fault: nothing is left on the way");
		$node->safe_psql($db, "DROP TABLE IF EXISTS ground; DROP TABLE IF EXISTS $name");
	}
}

# A full disk: the limit of a file's size makes one. (Larger than a segment of WAL, whose writer must not meet it.)
$node->safe_psql($db, <<'END');
CREATE TABLE noise (id int, b bytea);
ALTER TABLE noise ALTER b SET STORAGE PLAIN;
INSERT INTO noise SELECT i, (SELECT string_agg(sha512((i || ':' || j)::bytea), '') FROM generate_series(1, 60) AS j) FROM generate_series(1, 7000) AS i;
END
my $id = $node->safe_psql($db, "SELECT citadel.archive_begin('noise', 'file:full')");
my $session = $node->background_psql($db, on_error_stop => 0);
my $pid = $session->query_safe('SELECT pg_backend_pid()');
is(system('prlimit', "--pid=$pid", '--fsize=17000000'), 0, 'the size of files is limited');
my ($out) = $session->query("SELECT citadel.archive_step($id, 'copy')");
$session->quit;
my $log = slurp_file($node->logfile);
like($log, qr/ERROR:  could not write to file .*File too large/, 'a full disk is an error');
is($node->safe_psql($db, "SELECT state FROM citadel.archive WHERE archive_id = $id"), 'copying', 'the archive is still being copied');
walk($id, $_) foreach qw(copy verify);
is($node->safe_psql($db, "SELECT state || ' ' || rows FROM citadel.archive WHERE archive_id = $id"), 'complete 7000', 'with room it goes on');
is(scalar(() = glob("$folder/full/*/*.partial")), 0, 'the cut-off file is gone');

# A foreign server that is dead, in the copy, in the verification and in a restore.
my $hash = make_source('distant');
$id = $node->safe_psql($db, "SELECT citadel.archive_begin('distant', 'server:far', partition_bound => \$\$$bound\$\$)");
$far->stop('immediate');
error_is($node, $db, "SELECT citadel.archive_step($id, 'copy')", { sqlstate => qr/^08/ }, 'a dead server is an error');
$far->start;
walk($id, 'copy');
$far->stop('immediate');
error_is($node, $db, "SELECT citadel.archive_step($id, 'verify')", { sqlstate => qr/^08/ }, 'so it is when the copy is verified');
is($node->safe_psql($db, "SELECT rows || ' ' || hash FROM citadel.content_hash('distant')"), "$rows $hash", 'the source is there');
$far->start;
walk($id, 'verify');
# What somebody changes over there is found.
my $there = $node->safe_psql($db, "SELECT location FROM citadel.archive WHERE archive_id = $id");
$far->safe_psql('store', "UPDATE $there SET t = t || '!' WHERE id = 17");
$node->safe_psql($db, "SELECT citadel.archive_restore_begin($id, NULL, 'beside')");
$node->safe_psql($db, "SELECT citadel.archive_step($id, 'restore')");
error_is($node, $db, "SELECT citadel.archive_step($id, 'restore')", { sqlstate => 'XX001', message => qr/not those that were sent/ }, 'a change on the far side is found');
$far->safe_psql('store', "UPDATE $there SET t = left(t, -1) WHERE id = 17");
walk($id, 'restore');
is($node->safe_psql($db, "SELECT rows || ' ' || hash FROM citadel.content_hash('distant_$id')"), "$rows $hash", 'put right, it can be restored');

# A source that goes away, and one that grows, while it is copied.
make_source('fleeting');
$id = $node->safe_psql($db, "SELECT citadel.archive_begin('fleeting', 'file:store')");
$node->safe_psql($db, "SELECT citadel.archive_step($id, 'copy')");
$node->safe_psql($db, 'DROP TABLE fleeting');
error_is($node, $db, "SELECT citadel.archive_step($id, 'copy')", { sqlstate => '55000', message => qr/fleeting is gone/ }, 'a source that was dropped');
$node->safe_psql($db, "SELECT citadel.archive_step($id, 'discard')");
make_source('growing');
$id = $node->safe_psql($db, "SELECT citadel.archive_begin('growing', 'file:store')");
walk($id, 'copy');
$node->safe_psql($db, "INSERT INTO growing (id, at) SELECT i, '2024-01-01' FROM generate_series(10001, 15000) AS i");
error_is($node, $db, "SELECT citadel.archive_step($id, 'verify') FROM generate_series(1, 3)", { sqlstate => 'XX001', message => qr/have changed/ }, 'a source that grew');
$node->safe_psql($db, "SELECT citadel.archive_step($id, 'discard')");

$node->stop;
$far->stop;
done_testing();
