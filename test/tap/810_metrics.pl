# metrics(): the text format, bounded labels, hostile names, standby, no preload; and Debian's own prometheus and
# prometheus-postgres-exporter reading a server by the files in deploy/prometheus.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use HTTP::Tiny;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $db = 'citadel_ai';
my $deploy = "$FindBin::RealBin/../../deploy/prometheus";
my $folder = PostgreSQL::Test::Utils::tempdir();
foreach my $program (qw(promtool prometheus prometheus-postgres-exporter))
{
	die "$program is not installed; scripts/lib/packages.sh lists it" unless grep { -x "$_/$program" } split /:/, $ENV{PATH};
}

my $node = citadel_node('metrics', config => "citadel_opt.alert_interval = '1s'\n", init => []);
sub query { my ($sql, $database) = @_; return $node->safe_psql($database // $db, $sql); }
query('CREATE ROLE prom LOGIN IN ROLE pg_monitor');
query('CREATE ROLE nobody LOGIN');
sub metrics { my ($server, $database, @more) = @_; return $server->safe_psql($database // $db, join('; ', @more, 'SELECT citadel.metrics()'), extra_params => [ '-U', 'prom' ]); }
sub promtool_accepts
{
	my ($text, $name) = @_;
	append_to_file("$folder/metrics.txt", '') ; open(my $file, '>', "$folder/metrics.txt") or die $!; print $file "$text\n"; close $file;
	my ($out, $err);
	my $ok = IPC::Run::run([ 'promtool', 'check', 'metrics' ], '<', "$folder/metrics.txt", '>', \$out, '2>', \$err);
	ok($ok && $err eq '', $name) or diag($out . $err);
	return;
}

# As text.
query(q{CREATE TABLE "a ""quoted\ table" AS SELECT generate_series(1, 100000) AS x; CREATE ROLE "role ""\ x" LOGIN IN ROLE pg_monitor});
query(qq{CREATE TABLE "new\nline" AS SELECT generate_series(1, 50000) AS x; VACUUM});
$node->safe_psql($db, 'SELECT count(*) FROM generate_series(1, 100000)', extra_params => [ '-U', 'role "\\ x' ]);
query("SELECT pg_sleep(0)") for 1 .. 3;
my $run = query(q{SELECT citadel.run_job('maintain')});
query("CALL citadel.wait_for_job($run, '300 s')");
query('SELECT citadel.collect()');
$node->poll_query_until($db, "SELECT count(*) > 5 FROM citadel.figure_value");
my $text = metrics($node);
promtool_accepts($text, 'promtool accepts what pg_monitor is shown');
like($text, qr/^citadel_table_bytes\{database="citadel_ai",schema="public",table="a \\"quoted\\\\ table"\} [1-9]/m, 'a hostile table name');
like($text, qr/table="new\\nline"/, 'a name of two lines');
like($text, qr/role="role \\"\\\\ x"\} 1$/m, 'a hostile role name');
like($text, qr/^# TYPE citadel_statement_calls_total counter$/m, 'counters are counters');
like($text, qr/^# HELP citadel_database_size_bytes Bytes of all its files/m, 'and described');
unlike($text, qr/^citadel_metrics_failed\{.*\} 1$/m, 'every view can be read');
my @types = $text =~ /^# TYPE (\S+)/mg;
my %seen;
is_deeply([ grep { $seen{$_}++ } @types ], [], 'each metric stands once');
is($node->psql($db, 'SELECT citadel.metrics()', extra_params => [ '-U', 'nobody' ]), 3, 'others may not call it');

# Bounded: the top few, and the rest as other.
query(join '; ', map { "SELECT $_ AS a" . join('', map { ", $_ AS b$_" } 1 .. $_) } 1 .. 10);
query('SELECT citadel.collect()');
$node->safe_psql('postgres', q{ALTER ROLE prom SET citadel_opt.metrics_top = 3});
$text = metrics($node);
promtool_accepts($text, 'bounded metrics are accepted');
my @statements = $text =~ /^(citadel_statement_calls_total.*)$/mg;
is(scalar @statements, 4, 'three statements and other');
is(scalar(grep { /query_id="other",role=""/ } @statements), 1, 'once');
my $sum = 0;
$sum += (split / /)[-1] for @statements;
is($sum, query('SELECT sum(calls) FROM citadel.statement_counter WHERE toplevel'), 'nothing is lost in it');
is(scalar(() = $text =~ /^citadel_table_bytes/mg), 4, 'three tables and other');
cmp_ok(scalar(() = $text =~ /figure="xid_age"/g), '<=', 3, 'three subjects');
query('ALTER ROLE prom RESET citadel_opt.metrics_top');

# An alert is a metric, and silent once acknowledged.
query(q{INSERT INTO citadel.alert_rule (rule, figure, threshold, unit, severity) VALUES ('a "rule"', 'xid_age', 0, 'transactions', 'critical')});
$node->poll_query_until($db, q{SELECT EXISTS (SELECT FROM citadel.alert WHERE rule = 'a "rule"')});
like(metrics($node), qr/^citadel_alert_open\{database="citadel_ai",rule="a \\"rule\\"",severity="critical"\} [1-9]/m, 'open alerts are counted');

# What Prometheus is given: the query file has every view and column, and no other.
my $views = query(q{SELECT string_agg(c.relname || '.' || a.attname || ' ' || CASE WHEN t.typcategory <> 'N' THEN 'LABEL' WHEN a.attname LIKE '%\_total' THEN 'COUNTER' ELSE 'GAUGE' END, E'\n' ORDER BY c.relname, a.attnum)
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
	WHERE c.relnamespace = 'citadel'::regnamespace AND c.relname LIKE 'metric\_%' AND c.relkind = 'v' AND a.attnum > 0});
my ($view, $column, @in_file);
foreach my $line (split /\n/, slurp_file("$deploy/postgres_exporter.yaml"))
{
	$view = "metric_$1" if $line =~ /^citadel_(\w+):/;
	is($1, "SELECT current_database() AS database, * FROM citadel.$view", "$view is queried") if $line =~ /^  query: '(.*)'/;
	$column = $1 if $line =~ /^    - (\w+):/;
	push @in_file, "$view.$column $1" if $line =~ /^        usage: (\w+)/ && $column ne 'database';
}
is(join("\n", @in_file), $views, 'postgres_exporter.yaml and the views agree');
command_ok([ 'promtool', 'check', 'rules', "$deploy/citadel_alerts.yml" ], 'promtool accepts the alert rules');
command_ok([ 'promtool', 'test', 'rules', "$deploy/citadel_alerts_test.yml" ], 'and they do what they should');
command_ok([ 'promtool', 'check', 'config', "$deploy/prometheus.yml" ], 'and the example configuration');
my %known = map { $_ => 1 } @types, 'citadel_alert_open';
my $dashboard = decode_json(slurp_file("$deploy/grafana_dashboard.json"));
my @used = map { $_->{expr} =~ /(citadel_\w+)/g } map { @{ $_->{targets} } } @{ $dashboard->{panels} };
push @used, slurp_file("$deploy/citadel_alerts.yml") =~ /\b(citadel_\w+_\w+)\b/g;
is_deeply([ sort grep { !$known{$_} && $_ ne 'citadel_alerts' } @used ], [], 'dashboard and rules use metrics that exist');
cmp_ok(scalar @used, '>', 20, 'a good deal of them');

# The real exporter and the real Prometheus.
my ($exporter_port, $prometheus_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;
my @processes;
sub launch
{
	my ($log, @command) = @_;
	push @processes, IPC::Run::start(\@command, '<', \undef, '>', $log, '2>&1');
	return;
}
END
{
	my $status = $?;
	$_->kill_kill(grace => 5) for @processes;
	$? = $status;
}
{
	local $ENV{DATA_SOURCE_NAME} = 'host=' . $node->host . ' port=' . $node->port . " user=prom dbname=$db sslmode=disable";
	launch("$folder/exporter.log", 'prometheus-postgres-exporter', "--web.listen-address=127.0.0.1:$exporter_port", "--extend.query-path=$deploy/postgres_exporter.yaml");
}
my $config = slurp_file("$deploy/prometheus.yml");
$config =~ s/localhost:9187/127.0.0.1:$exporter_port/ or die 'the example has another target';
$config =~ s/30s/5s/ or die 'the example has no interval';
$config =~ s/30s/1s/ or die 'the example has one interval';
$config =~ s/- citadel_alerts.yml/- $deploy\/citadel_alerts.yml/ or die 'the example has other rules';
append_to_file("$folder/prometheus.yml", $config);
launch("$folder/prometheus.log", 'prometheus', "--config.file=$folder/prometheus.yml", "--storage.tsdb.path=$folder/tsdb", "--web.listen-address=127.0.0.1:$prometheus_port");
my $http = HTTP::Tiny->new(timeout => 10);
sub ask
{
	my ($path, $holds) = @_;
	my $result;
	foreach (1 .. 1200)
	{
		my $response = $http->get("http://127.0.0.1:$prometheus_port/api/v1/$path");
		$result = $response->{success} ? decode_json($response->{content})->{data} : undef;
		return $result if defined $result && $holds->($result);
		usleep(100_000);
	}
	diag(slurp_file("$folder/exporter.log"), slurp_file("$folder/prometheus.log"));
	return $result;
}
# The value, once there is one and it is $wanted: the first looks may find nobody, or somebody who is still busy.
sub value_of
{
	my ($expression, $wanted) = @_;
	my $result = ask('query?query=' . $http->_uri_escape($expression), sub { my $first = $_[0]{result}[0]; return $first && (!defined $wanted || $first->{value}[1] eq $wanted); });
	return $result->{result}[0]{value}[1];
}
is(value_of('up{job="citadel"}', '1'), '1', 'Prometheus reads the exporter');
is(value_of('citadel_capture_buffer_size_bytes{database="citadel_ai"}'), query('SELECT buffer_size_bytes FROM citadel.capture_counters()'), 'and has our figures');
cmp_ok(value_of('citadel_figure_value{figure="xid_age",subject="citadel_ai"}'), '>', 0, 'figures');
cmp_ok(value_of('sum(citadel_statement_calls_total)'), '>', 10, 'statements');
like(value_of(q{citadel_table_bytes{table="a \"quoted\\\\ table"}}), qr/^[1-9]/, 'hostile names arrive');
is(value_of('pg_exporter_last_scrape_error', '0'), '0', 'the exporter could run every query');
# The dashboard's questions, as Grafana puts them: Prometheus understands each of them.
(my $panel_errors, my %panel_ids) = ('');
foreach my $panel (@{ $dashboard->{panels} })
{
	$panel_errors .= "panel $panel->{id} twice; " if $panel_ids{ $panel->{id} }++;
	my $place = $panel->{gridPos};
	$panel_errors .= "$panel->{title} lies outside; " if $place->{x} + $place->{w} > 24 || $place->{w} < 1 || $place->{h} < 1;
	foreach my $target (@{ $panel->{targets} })
	{
		(my $question = $target->{expr}) =~ s/\$\w+/.*/g;
		my $response = $http->get("http://127.0.0.1:$prometheus_port/api/v1/query?query=" . $http->_uri_escape($question));
		$panel_errors .= "$panel->{title}: $response->{content}; " unless $response->{success};
	}
}
is($panel_errors, '', 'the dashboard is well made, and Prometheus answers all that it asks');
my $alerts = ask('alerts', sub { grep { $_->{labels}{alertname} eq 'CitadelAlertCritical' && $_->{state} eq 'firing' } @{ $_[0]{alerts} } });
is((grep { $_->{labels}{alertname} eq 'CitadelAlertCritical' } @{ $alerts->{alerts} })[0]{labels}{rule}, 'a "rule"', 'and fires its rules on ours');
$_->kill_kill(grace => 5) for splice @processes;

# A standby shows what it can; so does a server that does not preload the library.
$node->append_conf('postgresql.conf', "wal_level = replica\nmax_wal_senders = 5\n");
$node->append_conf('pg_hba.conf', "local replication all trust\n");
$node->restart;
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('metrics_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$text = metrics($standby);
promtool_accepts($text, 'a standby\'s metrics are accepted');
like($text, qr/^citadel_metrics_failed\{database="citadel_ai",view="metric_figure"\} 1$/m, 'figures are read on the primary');
like($text, qr/^citadel_database_backends/m, 'the rest is there');
$standby->stop('fast');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_stat_statements'\n");
$node->restart;
$text = metrics($node);
promtool_accepts($text, 'without preload metrics are accepted');
unlike($text, qr/^citadel_capture_/m, 'without those in shared memory');
like($text, qr/^citadel_table_bytes/m, 'but with the tables');
$node->stop('fast');
no_crash($node, 'no process crashed');
done_testing();
