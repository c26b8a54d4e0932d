# The workload of bench/tasks: every statement works with both protocols, as the application's role.

use strict;
use warnings FATAL => 'all';

use CitadelTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = 'bench/tasks';
my $node = citadel_node('workload');
$node->safe_psql('citadel_ai', q{
	SET client_min_messages = warning;
	CREATE EXTENSION citadel_tasks;
	CREATE ROLE tasks_app LOGIN;
	SELECT citadel_tasks.grant_access('tasks_app');
	SELECT citadel_tasks.setup_partitions(6, 12);
	SELECT citadel_tasks.generate_tasks(2000, 1, now(), 5)});

my %statements;
open(my $list, '<', "$folder/workload.tsv") or die "workload.tsv: $!";
while (my $line = <$list>)
{
	next if $line =~ /^#/;
	chomp $line;
	my ($name, $weight, $kind, $what) = split(/\t/, $line);
	like($weight, qr/^[1-9]\d*$/, "$name: weight");
	ok($what, "$name: description");
	$statements{$name} = $kind;
}
close $list;
my @files = map { s/.*\///r =~ s/\.sql$//r } glob("$folder/*.sql");
is_deeply([ sort keys %statements ], [ sort @files ], 'every file has a weight, every weight a file');
cmp_ok(scalar(grep { !/write|batch/ } values %statements), '>=', 12, 'at least 12 statements read');
cmp_ok(scalar(grep { $_ eq 'write' } values %statements), '>=', 4, 'at least 4 write');

$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGUSER} = 'tasks_app';
foreach my $name (sort keys %statements)
{
	foreach my $protocol ('simple', 'prepared')
	{
		my ($out, $err);
		my $ok = run_log(["$folder/run", 'citadel_ai', '2000', '--only', $name, '--transactions=5', "--protocol=$protocol"],
			'>', \$out, '2>', \$err);
		ok($ok && $out =~ m{actually processed: 5/5}, "$name, $protocol") or diag($err);
	}
}

my ($out, $err);
my $ok = run_log(["$folder/run", 'citadel_ai', '2000', '--transactions=300', '--client=2', '--random-seed=3'], '>', \$out, '2>', \$err);
ok($ok && $out =~ m{actually processed: 600/600}, 'the mix') or diag($err);
like($out, qr/number of failed transactions: 0 /, 'no transaction failed');
isnt($node->safe_psql('citadel_ai', q{SELECT count(*) FROM citadel_tasks.hero_tasks WHERE task_number LIKE 'HT-N%'}), '0', 'tasks were created');
no_crash($node);

done_testing();
