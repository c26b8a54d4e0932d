# On a standby every report can be read, with the figures of the primary, by the same roles; whatever would write says that
# the server is read-only. After the promotion all of them work as before, and jobs run.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use TrustTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $numbers) = trust_node('primary', config => "wal_level = replica\nmax_wal_senders = 4\nhot_standby = on\n");
my $db = 'app';
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);

# What writes, if there is something to write.
my %writes = map { ($_ => 1) } qw(acknowledge_alert alter_job alter_lifecycle_policy archive_begin archive_restore_begin
	archive_step cancel_operation collect create_lifecycle_policy drop_lifecycle_policy place_hold release_hold resume_lifecycle_policy
	suspend_lifecycle_policy run_job run_lifecycle restore_archive seal_audit_log undo_expiry);
# The alerts' memory between two looks, and the last counters of tables, are unlogged: a standby cannot read them.
my %unlogged = map { ($_ => 1) } qw(alert_pending figure_value table_counter metric_figure);
my @rows = grep { $_->{kind} =~ /^(function|view|table)$/ && $_->{name} !~ /^debug_|^(raise_error|stop_advisor)$/ } privileges();
my (@failed, @written);
foreach my $role (qw(superuser monitor owner))
{
	my @some = grep { $_->{$role} ne 'no' && $_->{$role} !~ /^\d/ } @rows;
	my @calls = map { $_->{call} ne '' ? fill($_->{call}, $numbers) : "SELECT * FROM citadel.$_->{name}" } @some;
	my ($err, @results) = calls_as($standby, $role, \@calls);
	foreach my $n (0 .. $#some)
	{
		my ($name, $state) = ($some[$n]{name}, $results[$n][0]);
		if ($writes{$name}) { push @written, "$role: $name: $state" unless $state =~ /^(25006|0A000|55000)$/; }
		else { push @failed, "$role: $name: $state" unless $state eq ($unlogged{$name} ? '0A000' : '00000'); }
	}
	note "$role: " . scalar(@some) . ' calls';
}
is(join("\n", @failed), '', 'all reports can be read on a standby');
is(join("\n", @written), '', 'nothing can be written there');
# The primary goes on storing what it captures, so both are asked until nothing came in between.
my $figures = q{SELECT count(*) || ' ' || sum(hashtextextended(s::text, 0)) FROM citadel.statement AS s};
ok(eventually(30, sub {
	my $before = $node->safe_psql($db, $figures);
	$node->wait_for_catchup($standby);
	my $there = $standby->safe_psql($db, $figures);
	return $there eq $before && $before =~ /^[1-9]/; }), 'with the same figures');
is($standby->safe_psql($db, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'citadel_opt%'}), '0', 'no worker runs there');

$node->stop('immediate');
$standby->promote;
ok(eventually(60, sub { scheduler_pid($standby, $db) }), 'promoted, it has a scheduler');
foreach my $job (qw(lifecycle maintain advise))
{
	ok(eventually(60, sub { my ($status) = $standby->psql($db, "SELECT citadel.run_job('$job') AS run \\gset\nCALL citadel.wait_for_job(:run, '300 s')", on_error_stop => 1); return $status == 0; }), "and runs $job");
}
is($standby->safe_psql($db, q{SELECT first_broken IS NULL FROM citadel.verify_audit_log()}), 't', 'the audit chain goes on unbroken');
unlike(slurp_file($_->logfile), qr/was terminated by signal|PANIC:|TRAP:/, 'nothing crashed on ' . $_->name) foreach $node, $standby;
$standby->stop;
done_testing();

