# What the tests of the advisor share: a server whose statements are all captured, and its database as its superuser and
# as the application see it.
package AdvisorTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use CitadelTest;
use PostgreSQL::Test::Cluster;

our @EXPORT = qw(advisor_node watch sql as_app captured start_advise finish_advise advise skipped unwatched);

my $db = 'citadel_ai';
my $node;
# Statements of the test itself are not to be captured.
my $quiet = 'SET citadel_opt.slow_query_threshold = -1;';

# A started server without the extension; `watch` creates it when the tables are filled, because rows loaded in the
# watched time would count as writes.
sub advisor_node
{
	my ($name, $config) = @_;
	$node = citadel_node($name, extension => 0, config => <<'END' . ($config // ''));
citadel_opt.slow_query_threshold = 0
citadel_opt.sample_interval = '1s'
citadel_opt.advise_interval = 0
autovacuum = off
END
	return $node;
}

sub watch
{
	create_citadel($node, $db);
	$node->poll_query_until($db, 'SELECT count(*) > 0 FROM citadel.snapshot_state') or die 'no scheduler';
	return;
}

# The text that runs $sql without being captured.
sub unwatched { return "$quiet $_[0]"; }

sub sql { return $node->safe_psql($db, "$quiet $_[0]"); }

# As the role `app`, captured.
sub as_app { return $node->safe_psql($db, "SET SESSION AUTHORIZATION app; SET search_path = app; $_[0]"); }

# Waits until so many statements of the application that match have been captured.
sub captured
{
	my ($count, $where) = @_;
	sql('SELECT citadel.collect()');
	$node->poll_query_until($db, "SELECT count(DISTINCT query_id) >= $count FROM citadel.statement WHERE user_id = 'app'::regrole AND " . ($where // 'true'))
	  or die 'the statements were not captured';
	return;
}

sub start_advise { return sql("SELECT citadel.run_job('advise')"); }

sub finish_advise
{
	my ($run) = @_;
	sql("CALL citadel.wait_for_job($run)");
	return $run;
}

# Runs the job; its run_id.
sub advise { return finish_advise(start_advise()); }

# The reasons why statements of that run were skipped.
sub skipped { return sql("SELECT coalesce(string_agg(reason, '; '), '') FROM citadel.advisor_skipped WHERE run_id = $_[0]"); }

1;
