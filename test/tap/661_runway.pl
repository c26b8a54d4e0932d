# Alarms of the partition runway reach the server log, once a day and policy.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest qw(set_clock);
use LifecycleTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $archives) = lifecycle_node('runway');
sub sql { return $node->safe_psql('app', $_[0]); }

# Runs the job, and returns what it warned of.
sub warnings_of_run
{
	my $from = -s $node->logfile;
	$node->psql('app', 'CALL citadel.run_lifecycle()');
	return join "\n", grep { /WARNING/ } split /\n/, slurp_file($node->logfile, $from);
}

sql(q{SET ROLE owner; CREATE TABLE app.fine (at timestamptz NOT NULL) PARTITION BY RANGE (at);
	CREATE TABLE app.short (at timestamptz NOT NULL) PARTITION BY RANGE (at);
	CREATE TABLE app.resting (at timestamptz NOT NULL) PARTITION BY RANGE (at);
	CREATE TABLE app.strays (at timestamptz NOT NULL) PARTITION BY RANGE (at);
	SELECT citadel.create_lifecycle_policy('app.fine', 'at', premake => 2);
	SELECT citadel.create_lifecycle_policy('app.short', 'at', premake => 2, create_enabled => false)});
my $resting = sql(q{SET ROLE owner; SELECT citadel.create_lifecycle_policy('app.resting', 'at', premake => 2)});
sql("SET ROLE owner; SELECT citadel.suspend_lifecycle_policy($resting)");
sql(q{SET ROLE owner; SELECT citadel.create_lifecycle_policy('app.strays', 'at', premake => 2, create_enabled => false);
	CREATE TABLE app.strays_rest PARTITION OF app.strays DEFAULT; INSERT INTO app.strays VALUES (now())});

my $warned = warnings_of_run();
like($warned, qr/lifecycle of table app\.short: no partition for now/, 'a table without partitions is loud');
like($warned, qr/lifecycle of table app\.strays: .*1 rows in the default partition/, 'so are rows in a default partition');
like($warned, qr/lifecycle of table app\.resting: suspended: nothing is made ahead; no partition for now/, 'and a policy that rests while its table runs out');
unlike($warned, qr/app\.fine/, 'what is well is quiet');
is(sql('SELECT count(*) FROM citadel.partition_runway WHERE alarm IS NOT NULL'), '3', 'the view says the same');

is(warnings_of_run(), '', 'the next run says nothing new');
set_clock($node, 'app', '25h');
like(warnings_of_run(), qr/app\.short: no partition for now/, 'a day later it does, again');

$node->stop;
done_testing();
