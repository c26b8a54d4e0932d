# The examples in docs/functions/*.md: each is run, and its output is what the page shows. EXAMPLES_WRITE=FOLDER writes the
# pages with the output of this run there instead.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use JobsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $docs = "$FindBin::RealBin/../../docs";
my @pages = qw(statements indexes tables jobs lifecycle);
is(join(' ', sort map { s/.*\/(\w+)\.md$/$1/r } glob("$docs/functions/*.md")), join(' ', sort @pages), 'all pages are run');

my $archives = PostgreSQL::Test::Utils::tempdir('archives');
my $node = jobs_node('examples', config => <<"END");
citadel_opt.slow_query_threshold = 0
citadel_opt.max_overhead = 0
citadel_opt.advise_interval = 0
citadel_opt.alert_interval = 3600
citadel_opt.archive_directory = '$archives'
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
timezone = 'UTC'
END
my $db = 'shop';
$node->safe_psql('postgres', "CREATE DATABASE $db");
$node->safe_psql($db, slurp_file("$docs/functions/example_data.sql"));
$node->safe_psql($db, 'CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman');
create_citadel($node, $db);
eventually(20, sub { scheduler_pid($node, $db) }) or die 'no scheduler';
my $quiet = 'SET citadel_opt.slow_query_threshold = -1;';
$node->safe_psql($db, "$quiet SELECT citadel.alter_job('lifecycle', enabled => false), citadel.alter_job('maintain', enabled => false)");
$node->safe_psql($db, join(";\n", map { "SELECT sum(total) FROM orders WHERE customer = $_" } 1 .. 50));
$node->safe_psql($db, "$quiet SELECT citadel.collect()");
my $run = $node->safe_psql($db, "$quiet SELECT citadel.run_job('advise')");
$node->safe_psql($db, "$quiet CALL citadel.wait_for_job($run)");

# What is compared: blanks at the ends of lines do not count; in blocks marked `numbers` neither do numbers, and what
# their width does to the layout.
sub comparable
{
	my ($text, $numbers) = @_;
	$text =~ s/[ \t]+$//mg;
	if ($numbers)
	{
		$text =~ s/-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?/0/g;
		$text =~ s/-{2,}/--/g;
		$text =~ s/[ \t]+/ /g;
		$text =~ s/^ //mg;
	}
	return $text =~ s/\n+$//r;
}

# psql as a person sees it; statements one by one, so that each output is known.
sub run_page
{
	my (@statements) = @_;
	my $script = "\\set QUIET on\n\\pset format aligned\n\\pset tuples_only off\n$quiet\nSET client_min_messages = warning;\n\\set QUIET off\n";
	$script .= "$_\n\\echo \@\@\@\n" foreach @statements;
	my ($status, $out, $err) = $node->psql($db, $script, on_error_stop => 0);
	is($err, '', 'no error and no notice');
	my @outputs = split /^\@\@\@\n?/m, "$out\n";
	return @outputs;
}

my (%shown, $examples);
foreach my $page (@pages)
{
	my $text = slurp_file("$docs/functions/$page.md");
	my (@blocks, @statements);
	while ($text =~ /^```psql( numbers)?\n(.*?)^```$/msg)
	{
		my ($numbers, $block) = ($1, $2);
		foreach my $part (split /^(?==> )/m, $block)
		{
			my ($prompt, $output) = $part =~ /\A(=> [^\n]*\n(?:-> [^\n]*\n)*)(.*)\z/s or die "$page: no statement in: $part";
			my $statement = $prompt =~ s/^[=-]> //mgr;
			push @statements, $statement;
			push @blocks, { prompt => $prompt, output => $output, numbers => $numbers };
		}
	}
	my @outputs = run_page(@statements);
	foreach my $n (0 .. $#blocks)
	{
		$examples++;
		my $first = (split /\n/, $blocks[$n]{prompt})[0];
		is(comparable($outputs[$n] // '', $blocks[$n]{numbers}), comparable($blocks[$n]{output}, $blocks[$n]{numbers}), "$page: $first");
		$shown{$1} = 1 while $statements[$n] =~ /citadel\.(\w+)\(/g;
		$blocks[$n]{real} = $outputs[$n] // '';
	}
	next unless $ENV{EXAMPLES_WRITE};
	my $n = 0;
	$text =~ s{^(```psql(?: numbers)?\n)(.*?)^```$}{
		my ($start, $block) = ($1, $2);
		my $count = () = $block =~ /^=> /mg;
		$start . join('', map { my $b = $blocks[ $n++ ]; $b->{prompt} . ($b->{real} =~ s/[ \t]+$//mgr =~ s/\n+$/\n/r) } 1 .. $count) . '```'
	}msge;
	open my $file, '>', "$ENV{EXAMPLES_WRITE}/$page.md" or die;
	print $file $text;
	close $file;
}
cmp_ok($examples, '>', 50, "$examples examples");

# Every documented function that is not internal has one.
my ($public) = slurp_file("$docs/functions.md") =~ /\A(.*?)^## Internal functions/ms;
my %documented;
foreach my $row (grep { /^\|/ && !/\| internal|\| internal:/ } split /\n/, $public)
{
	my ($names) = $row =~ /^\| (.*?) \|/ or next;
	$documented{$1} = 1 while $names =~ /`(\w+)\(/g;
}
cmp_ok(scalar(keys %documented), '>', 40, 'functions are documented');
is(join(', ', grep { !$shown{$_} } sort keys %documented), '', 'each has an example');
$node->stop;
done_testing();
