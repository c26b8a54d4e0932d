# scripts/report: a page from real history, with hostile names, opened by a browser; empty windows, other encodings, other
# roles; the drawing helpers by themselves.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'citadel_ai';
my $root = "$FindBin::RealBin/../..";
my $folder = PostgreSQL::Test::Utils::tempdir();
die 'chromium is not installed; scripts/lib/packages.sh lists it' unless grep { -x "$_/chromium" } split /:/, $ENV{PATH};

my ($helpers_out, $helpers_err);
ok(IPC::Run::run([ 'python3', "$root/test/report/drawing_test.py" ], '>', \$helpers_out, '2>', \$helpers_err), 'ticks, clocks, words and drawings') or diag($helpers_err);

my $node = citadel_node('report', config => "citadel_opt.sample_interval = '1h'\ncitadel_opt.alert_interval = '1s'\n");
sub query { my ($sql, $database, %more) = @_; return $node->safe_psql($database // $db, $sql, %more); }
$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';

# Writes a page; returns its text, or undef and what was said.
my $pages = 0;
sub report
{
	my (%options) = @_;
	my $file = "$folder/page" . ++$pages . '.html';
	my ($out, $err);
	my @command = ('python3', "$root/scripts/report", '--host', $node->host, '--port', $node->port, '--dbname', $options{database} // $db,
		'--username', $options{user} // 'postgres', '--output', $file, @{ $options{arguments} // [] });
	my $ok = IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err);
	return wantarray ? (undef, $err) : undef unless $ok;
	my $text = slurp_file($file);
	return wantarray ? ($text, $err, $file) : $text;
}

# Opens a page; returns the document as the browser has it, and what it said on its console.
sub browse
{
	my ($file, @more) = @_;
	my ($dom, $said);
	IPC::Run::run([ 'chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking',
		'--no-first-run', '--enable-logging=stderr', "--user-data-dir=$folder/browser", @more, '--dump-dom', "file://$file" ],
		'<', \undef, '>', \$dom, '2>', \$said) or diag($said);
	return ($dom, join("\n", grep { /:CONSOLE/ } split /\n/, $said));
}
sub amount { my ($text) = @_; $text =~ s/\xe2\x80\xaf//g; return $text; }

# --- nothing to show

my ($page, $said) = report();
like($page, qr/No statement was counted in this window/, 'a page without history says so');
is(scalar(() = $page =~ /<section/g), 9, 'and has all its parts');
query('CREATE DATABASE bare', 'postgres');
(undef, $said) = report(database => 'bare');
like($said, qr/has no extension citadel_opt/, 'a database without the extension');
(undef, $said) = report(database => 'nowhere');
like($said, qr/database "nowhere" does not exist/, 'one that there is not');
(undef, $said) = report(arguments => [ '--from', 'today', '--to', 'yesterday' ]);
like($said, qr/the window is empty/, 'a window that ends before it begins');
(undef, $said) = report(arguments => [ '--from', q{now'; DROP TABLE x; --} ]);
like($said, qr/invalid input syntax for type timestamp/, 'a time that is none, and no way into the statement');

# --- real history, under names made to break the page

query(q{CREATE TABLE "<script>alert(1)</script>" ("<img src=x onerror=alert(2)>" int PRIMARY KEY, t text)});
query(q{INSERT INTO "<script>alert(1)</script>" SELECT g, '</svg><script>alert(3)</script>' FROM generate_series(1, 2000) AS g});
query(q{CREATE ROLE "role </style><b>" LOGIN; GRANT pg_monitor TO "role </style><b>"; CREATE ROLE plain LOGIN});
query(q{CREATE TABLE "events ""<&>" (at timestamptz NOT NULL) PARTITION BY RANGE (at)});
query(q{SELECT citadel.create_lifecycle_policy('"events ""<&>"', 'at', premake => 3)});
query('CALL citadel.run_lifecycle()');
my $statement = q{SELECT count(*) FROM "<script>alert(1)</script>" WHERE "<img src=x onerror=alert(2)>" = 7 /* --></script> */};
query(join('; ', ($statement) x 41));
settle($node);
query('SELECT citadel.collect()');
my $id = query(q{SELECT query_id FROM citadel.statement WHERE query LIKE 'SELECT count(*) FROM "<script>%'});
isnt($id, '', 'the statement was captured');
# What takes hours to happen, through the tables.
query(<<"END");
INSERT INTO citadel.regression (query_id, state, since, last_seen, closed_at, usual_ms, ms, worst_ms, cause, evidence@{[ has_why() ? ', why' : '' ]})
VALUES ($id, 'over', citadel.history_clock() - interval '2 hours', citadel.history_clock() - interval '1 hour', citadel.history_clock() - interval '1 hour',
	2, 50, 64, 'plan', '{"plan_before": 11, "plan_after": 22}'@{[ has_why() ? q{, '<u>the index is gone</u>'} : '' ]});
INSERT INTO citadel.index_recommendation (relation_oid, schema_name, relation_name, definition, access_method, size_bytes, cost_before, cost_after, improvement,
	write_cost, queries_helped, reason, evidence)
VALUES (1, 'public', '<script>alert(1)</script>', 'CREATE INDEX ON public."<script>alert(1)</script>" (t)', 'btree', 81920, 4000, 1000, 0.75, 0, 1, 'equality on <t>', '{}');
INSERT INTO citadel.index_recommendation_query SELECT id, $id, 10, 4000, 1000 FROM citadel.index_recommendation;
INSERT INTO citadel.alert (rule, severity, figure, subject, state, value, worst_value, comparison, threshold, unit, detail, since, opened_at)
VALUES ('<b>rule</b>', 'critical', 'xid_age', '<i>subject</i>', 'open', 5, 7, '>', 3, 'transactions', '<script>alert(4)</script>',
	citadel.history_clock() - interval '3 hours', citadel.history_clock() - interval '3 hours');
END
sub has_why { return query(q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'citadel.regression'::regclass AND attname = 'why'}); }

# (A minute that ends meanwhile is stored with what the test itself did.)
my ($file, $all);
for (1 .. 10)
{
	$all = query('SELECT sum(calls) FROM citadel.statement_minute');
	($page, $said, $file) = report(arguments => [ '--last', '6 hours', '--time-zone', 'Asia/Tokyo' ], user => 'role </style><b>');
	last if query('SELECT sum(calls) FROM citadel.statement_minute') eq $all;
}
isnt($page, undef, 'a page is written') or diag($said);
is($said, '', 'without a word of complaint');
my $calls = query("SELECT sum(calls) FROM citadel.statement_minute WHERE query_id = $id");
cmp_ok($calls, '>=', 41, 'all runs were counted');
like($page, qr{<h3>SELECT &quot;&lt;script&gt;alert\(1\)&lt;/script&gt;&quot; by &quot;&lt;img src=x onerror=alert\(2\)&gt;&quot;|<h3>SELECT &quot;&lt;script&gt;}, 'the statement has its name');
like($page, qr{<dt>runs</dt><dd>$calls</dd>}, 'and its runs');
like(amount($page), qr{<dt>Runs</dt><dd><strong>\Q$all\E</strong>}, 'all runs at a glance');
like($page, qr{Asia/Tokyo \(UTC\+09:00\)}, 'in the time zone that was asked for');
like($page, qr{2\xc2\xa0ms before, 64\xc2\xa0ms at worst, 32\.0 times as long}, 'it became slower');
like($page, qr{class="mark slow"}, 'which is marked on its curve');
like($page, qr{>4\S+000 \xe2\x86\x92 1\S+000<}, 'a recommendation with its evidence');
like($page, qr{events &quot;&quot;&lt;&amp;&gt;}, 'partitions ahead');
like($page, qr{&lt;b&gt;rule&lt;/b&gt;}, 'an alert');
like($page, qr{CREATE TABLE</td><td class="text">[^<]*public\.}, 'DDL');
like($page, qr{class="event"}, 'marked under the load');
like($page, qr{<svg[^>]*class="small"}, 'and tables with their growth');
# Nothing but our own elements, nothing from elsewhere, and every drawing finite and described.
is(join(' ', sort { $a cmp $b } keys %{ { map { lc($_) => 1 } $page =~ /<(script|img|iframe|object|embed|form|input|base|i|u)\b/gi } }), '', 'no element came in by a name');
is(scalar(() = $page =~ /<[a-z][^<>]*\s(?:src|href|action)\s*=\s*(?!"#|"data:,")/gi), 0, 'nothing is fetched');
unlike($page, qr/url\(|\@import|\bon\w+\s*=\s*"/, 'nor by the style, and no handler');
is(join(' ', grep { !/^-?\d+(\.\d+)?$/ } map { split /[MLZ ]+/ } map { s/^M//r } $page =~ /\sd="([^"]*)"/g), '', 'coordinates of paths are numbers');
unlike($page, qr/="[^"]*\b(?:nan|inf|None)\b[^"]*"/, 'and all others');
my @drawings = $page =~ /(<svg(?![^>]*aria-hidden).*?<\/title>)/gs;
cmp_ok(scalar @drawings, '>=', 5, 'there are drawings');
is(scalar(grep { !/aria-labelledby="(\S+-t) [^>]*><title id="\1">./ } @drawings), 0, 'each has a title');
my %ids;
is(join(' ', grep { $ids{$_}++ } $page =~ /\sid="([^"]*)"/g), '', 'each id stands once');

# --- in a browser

my ($dom, $console) = browse($file, "--screenshot=$folder/page.png", '--window-size=1280,2000');
is($console, '', 'no error on the console');
like($dom, qr{<td[^>]*>.*&lt;script&gt;alert\(1\)}s, 'the browser shows the name as text');
is(scalar(() = $dom =~ /<script/g), 0, 'and has no script');
is(scalar(() = $dom =~ /<section/g), 9, 'all parts are there');
(my $broken = $page) =~ s{<main>}{<main><img src="http://localhost:9/x.png"><script>document.body.remove()</script>};
append_to_file("$folder/broken.html", $broken);
($dom, $console) = browse("$folder/broken.html");
like($console, qr/Content Security Policy/, 'a page with something foreign would be seen here, and load nothing');
like($dom, qr/<section/, 'nor run it');
IPC::Run::run([ 'chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', "--user-data-dir=$folder/browser", "--screenshot=$folder/page.png",
	'--window-size=1280,2000', "file://$file" ], '<', \undef, '>', \my $ignored, '2>', \my $ignored_too);
cmp_ok(-s "$folder/page.png" // 0, '>', 50000, 'a screenshot has something on it');
IPC::Run::run([ 'chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', "--user-data-dir=$folder/browser", "--print-to-pdf=$folder/page.pdf",
	"file://$file" ], '<', \undef, '>', \$ignored, '2>', \$ignored_too);
like(slurp_file("$folder/page.pdf"), qr/^%PDF/, 'it prints');

# --- who sees what; other windows; what is gone

$page = report(user => 'plain');
like($page, qr/plain sees only his own statements/, 'an ordinary role is told that it sees little');
like($page, qr/could not be read: .*permission denied for table regression/, 'and what it may not read');
unlike($page, qr/alert\(1\)/, 'others\' statements are not shown');
query(q{DROP TABLE "<script>alert(1)</script>"; SELECT citadel.collect()});
$page = report(arguments => [ '--last', '1 hour' ]);
like($page, qr/&lt;script&gt;alert\(1\)&lt;\/script&gt; <span class="badge neutral">dropped/, 'a dropped table is shown as such');
$page = report(arguments => [ '--from', '2001-01-01', '--to', '2001-02-01' ]);
like($page, qr/No statement was counted in this window/, 'a window before everything');
like($page, qr/History begins on/, 'says since when there is history');
foreach my $window ([ '1 minute', qr/steps of 1/ ], [ '30 days', qr/steps of 6/ ], [ '5 years', qr/steps of/ ])
{
	like(report(arguments => [ '--last', $window->[0] ]), $window->[1], "a window of $window->[0]");
}

# --- other encodings

query(q{CREATE DATABASE old ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0}, 'postgres');
query(q{CREATE DATABASE none ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0}, 'postgres');
foreach my $case ([ 'old', 'LATIN1', "gr\xfcn", "gr\xc3\xbcn" ], [ 'none', 'SQL_ASCII', "gr\xff\xfen", "gr\xef\xbf\xbd\xef\xbf\xbdn" ])
{
	my ($database, $encoding, $name, $shown) = @$case;
	create_citadel($node, $database);
	$node->poll_query_until($database, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';
	my $script = "$folder/$database.sql";
	append_to_file($script, qq{SET client_encoding = $encoding; CREATE TABLE "$name" (x int); INSERT INTO "$name" VALUES (1); SELECT count(*) FROM "$name";
SELECT pg_stat_force_next_flush(); SELECT citadel.collect();});
	$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', $script ], "$encoding: history");
	($page, $said, $file) = report(database => $database);
	like($page // $said, qr/\Q$shown\E/, "$encoding: the name is shown as far as it can be");
	ok(defined $page && utf8::decode(my $copy = $page), "$encoding: the page is UTF-8");
	($dom, $console) = browse($file);
	is($console, '', "$encoding: the browser has nothing to say");
}
$node->stop('fast');
no_crash($node);
done_testing();
