# Databases in other encodings than UTF8: names, texts and plans beyond ASCII are captured, stored and shown there.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = citadel_node('encodings', database => undef, config => <<'END');
citadel_opt.sample_interval = 1s
citadel_opt.slow_query_threshold = 50ms
END

# database => [encoding of the database, bytes of a name in that encoding, client encoding]
my %databases = (
	latin1 => [ 'LATIN1', "stra\xdfe", 'LATIN1' ],
	ascii => [ 'SQL_ASCII', "stra\xdf\xe9", 'SQL_ASCII' ],
	utf8 => [ 'UTF8', "stra\xc3\x9fe\xe2\x82\xac", 'UTF8' ],
	euc => [ 'EUC_JP', "\xb4\xc1\xbb\xfa", 'EUC_JP' ],
);

foreach my $db (sort keys %databases)
{
	my ($encoding, $name, $client) = @{ $databases{$db} };
	$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	create_citadel($node, $db);
	my $set = "SET client_encoding = '$client';";
	$node->safe_psql($db, qq{$set CREATE TABLE "$name" (id int, "$name" text);
		INSERT INTO "$name" SELECT g, '$name' || g FROM generate_series(1, 30000) g; ANALYZE "$name"});
	# What nobody reads yet is not captured.
	$node->poll_query_until($db, 'SELECT true FROM citadel.collect()') or die 'no scheduler';
	$node->safe_psql($db, qq{$set SELECT pg_sleep(0.1), count(*) FROM "$name" WHERE "$name" = '${name}77'});

	my $stored = 0;
	my $end = time() + 30;
	until ($stored || time() > $end)
	{
		sleep(0.2);
		$stored = $node->safe_psql($db, qq{$set SELECT count(*) FROM citadel.statement WHERE query LIKE '%pg_sleep%"$name"%' AND query NOT LIKE '%${name}77%'});
	}
	is($stored, '1', "$encoding: the statement is stored, its literal is not");
	my ($status, $out, $err) = $node->psql($db, qq{$set SELECT plan::text LIKE '%$name%' FROM citadel.plan JOIN citadel.statement USING (query_id, user_id) WHERE query LIKE '%pg_sleep%"$name"%'});
	is("$status $out", '0 t', "$encoding: so is its plan") or diag($err);
	($status, $out, $err) = $node->psql($db, qq{$set SELECT (citadel.what_if('SELECT * FROM "$name" WHERE id = 7', ARRAY['CREATE INDEX ON "$name" (id)'])).cost_after > 0});
	is("$status $out", '0 t', "$encoding: what_if() plans it") or diag($err);
	# What every statement did goes through error classes and histograms, its errors through the log's hook.
	($status, $out, $err) = $node->psql($db, qq{$set SELECT count(*) FROM "no $name"});
	isnt($status, 0, "$encoding: an error about a name beyond ASCII");
	settle($node);
	is($node->safe_psql($db, q{SELECT citadel.collect(); SELECT count(*) > 0, coalesce(bool_or(error_classes ? '42'), false) FROM citadel.statement_minute}), "\nt|t",
		"$encoding: runs and errors are counted");
	# pg_stat_statements cannot show a database the texts of one in another encoding: only they are missing.
	like($node->safe_psql($db, "$set SELECT citadel.health() ->> 'reasons'"), qr/^\[("history cannot read its source texts of pg_stat_statements: .*")?\]$/,
		"$encoding: health() is content, or misses texts of pg_stat_statements alone");
	is($node->safe_psql($db, 'SELECT count(*) > 0 FROM citadel.statement_delta'), 't', "$encoding: its figures are there");
	foreach my $report ('citadel.get_table_statistics()', 'citadel.get_index_statistics()', 'citadel.analyze_slow_queries()', 'citadel.recommend_indexes()')
	{
		my $exists = $node->safe_psql($db, "SELECT count(*) FROM pg_proc WHERE format('citadel.%s()', proname) = '$report' AND pronamespace = 'citadel'::regnamespace");
		next if $exists eq '0';
		($status, $out, $err) = $node->psql($db, "$set SELECT count(*) FROM (SELECT to_jsonb(r)::text FROM $report r) AS x");
		is($status, 0, "$encoding: $report") or diag($err);
	}
}

# A client of another encoding sees the text of its own, or a clear error for what it cannot show.
my ($encoding, $name) = @{ $databases{latin1} };
is($node->safe_psql('latin1', qq{SET client_encoding = 'UTF8'; SELECT count(*) FROM citadel.statement WHERE query LIKE '%"stra\xc3\x9fe"%pg_sleep%' OR query LIKE '%pg_sleep%"stra\xc3\x9fe"%'}), '1',
	'LATIN1 text is found by a UTF8 client');

$node->stop('fast');
no_crash($node);
done_testing();
