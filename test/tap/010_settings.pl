# Every setting: bounds, who may change it and when, and the switches that work by reload.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = citadel_node('settings');
my $db = 'citadel_ai';

# name => [context, default, unit, refused values, an accepted value]
my %settings = (
	enabled => [ 'sighup', 'on', '', ['maybe'], 'off' ],
	capture => [ 'sighup', 'on', '', ['7'], 'off' ],
	slow_query_threshold => [ 'superuser', '1000', 'ms', [ '-2', '2s1', '2147483647' ], '250' ],
	sample_rate => [ 'superuser', '1', '', [ '-0.1', '1.1', 'NaN' ], '0.5' ],
	sample_parameters => [ 'superuser', 'memory', '', [ 'on', 'disk' ], 'store' ],
	capture_nested => [ 'superuser', 'off', '', ['x'], 'on' ],
	sample_interval => [ 'sighup', '10', 's', [ '0', '3601', '-1' ], '20' ],
	capture_buffer_size => [ 'postmaster', '16384', 'kB', [ '1023', '1048577' ], '2048' ],
	statement_history => [ 'superuser', 'on', '', ['x'], 'off' ],
	statement_buffer_size => [ 'postmaster', '4096', 'kB', [ '63', '1048577' ], '1MB' ],
	statement_flush_interval => [ 'sighup', '2000', 'ms', [ '9', '60001' ], '5s' ],
	history_statements => [ 'sighup', '200', '', [ '0', '10001' ], '500' ],
	minute_retention => [ 'sighup', '10080', 'min', [ '23h', '-1' ], '3d' ],
	hour_retention => [ 'sighup', '129600', 'min', [ '23h', '-1' ], '30d' ],
	day_retention => [ 'sighup', '1054080', 'min', [ '23h', '-1' ], '365d' ],
	alerts => [ 'sighup', 'on', '', ['x'], 'off' ],
	alert_interval => [ 'sighup', '30', 's', [ '0', '3601' ], '10' ],
	metrics_top => [ 'superuser', '20', '', [ '0', '1001' ], '50' ],
	maintenance => [ 'sighup', 'report', '', ['on'], 'act' ],
	maintenance_hours => [ 'sighup', '', '', [], '22:00-05:00' ],
	maintenance_cost_delay => [ 'sighup', '2', 'ms', [ '-1', '101' ], '0' ],
	max_overhead => [ 'sighup', '0.01', '', [ '-0.1', '1.1' ], '0.05' ],
	databases => [ 'sighup', '*', '', [], 'citadel_ai' ],
	max_job_workers => [ 'sighup', '2', '', [ '-1', '65' ], '3' ],
	advise_planning_limit => [ 'user', '5000', 'ms', ['-1'], '200' ],
	advise_interval => [ 'sighup', '3600', 's', ['-1'], '60' ],
	unused_index_age => [ 'superuser', '43200', 'min', [ '23h', '-1' ], '14d' ],
	lifecycle_batch_ms => [ 'sighup', '100', 'ms', [ '0', '60001' ], '250' ],
	lifecycle_load => [ 'sighup', '0.5', '', [ '0', '1.1' ], '1' ],
	lifecycle_lock_patience => [ 'sighup', '30', 's', [ '0', '3601' ], '5' ],
	lifecycle_max_lag => [ 'sighup', '262144', 'kB', ['-1'], '1GB' ],
	lifecycle_max_wal_backlog => [ 'sighup', '64', '', ['-1'], '0' ],
	audit_retention => [ 'sighup', '0', 'min', ['-1'], '400d' ],
	archive_directory => [ 'superuser', '', '', [], '/tmp' ],
	history_retention => [ 'sighup', '43200', 'min', [ '23h', '0', '-1' ], '90d' ],
);

foreach my $name (sort keys %settings)
{
	my ($context, $default, $unit, $refused, $accepted) = @{ $settings{$name} };
	is($node->safe_psql($db, "SELECT context, boot_val, coalesce(unit, ''), pending_restart FROM pg_settings WHERE name = 'citadel_opt.$name'"),
		"$context|$default|$unit|f", "$name: context, default and unit");
	foreach my $value (@$refused)
	{
		my $error = sql_error($node, $db, "ALTER SYSTEM SET citadel_opt.$name = '$value'");
		is($error ? $error->{sqlstate} : 'accepted', '22023', "$name: '$value' is refused");
	}
	my ($status) = $node->psql($db, "ALTER SYSTEM SET citadel_opt.$name = '$accepted'");
	is($status, 0, "$name: '$accepted' is accepted");
	$node->safe_psql($db, "ALTER SYSTEM RESET citadel_opt.$name");
}

my $unnamed = join ',', sort split /\n/, $node->safe_psql($db,
	"SELECT substr(name, 13) FROM pg_settings WHERE name LIKE 'citadel\\_opt.%' AND name NOT LIKE '%.debug\\_%'");
is($unnamed, join(',', sort keys %settings), 'this test knows every setting');
is($node->safe_psql($db, "SELECT count(*) FROM pg_settings WHERE name LIKE 'citadel\\_opt.%' AND short_desc = ''"), '0',
	'each has a description');
is($node->safe_psql($db, 'SHOW citadel_opt.history_retention'), '30d', 'history_retention is shown in days');

# Reload.
$node->safe_psql($db, 'ALTER SYSTEM SET citadel_opt.enabled = off; ALTER SYSTEM SET citadel_opt.capture = off');
$node->reload;
ok($node->poll_query_until($db, "SELECT current_setting('citadel_opt.enabled') = 'off' AND current_setting('citadel_opt.capture') = 'off'"),
	'both kill switches work by reload');
$node->safe_psql($db, 'ALTER SYSTEM RESET ALL');
$node->reload;
ok($node->poll_query_until($db, "SELECT current_setting('citadel_opt.enabled') = 'on'"), 'and back');

# The threshold by role and by database; the role's wins.
$node->safe_psql($db, <<'END');
CREATE ROLE hasty LOGIN;
ALTER DATABASE citadel_ai SET citadel_opt.slow_query_threshold = '500ms';
ALTER ROLE hasty SET citadel_opt.slow_query_threshold = '100ms';
END
is($node->safe_psql($db, 'SHOW citadel_opt.slow_query_threshold'), '500ms', 'threshold of a database');
is($node->safe_psql($db, 'SHOW citadel_opt.slow_query_threshold', extra_params => [ '-U', 'hasty' ]), '100ms', 'threshold of a role');
is($node->safe_psql('postgres', 'SHOW citadel_opt.slow_query_threshold'), '1s', 'elsewhere the default');

# An ordinary user cannot hide from capture, nor arm what is meant for developers.
foreach my $set ('slow_query_threshold = -1', 'sample_rate = 0', "debug_fault = 'x:crash'", 'debug_clock_offset = 5', 'enabled = off')
{
	my ($status, $out, $err) = $node->psql($db, "SET citadel_opt.$set", extra_params => [ '-U', 'hasty' ]);
	isnt($status, 0, "an ordinary user may not: $set");
}
my ($status, $out, $err) = $node->psql($db, 'ALTER ROLE hasty SET citadel_opt.sample_rate = 0', extra_params => [ '-U', 'hasty' ]);
isnt($status, 0, 'nor for its own role');

# Unknown names.
error_is($node, $db, 'SET citadel_opt.unheard_of = 1', { sqlstate => '42602' }, 'an unknown name is refused');
error_is($node, $db, 'ALTER DATABASE citadel_ai SET citadel_opt.unheard_of = 1', { sqlstate => qr/42602|42704/ },
	'for a database as well');

# A postmaster setting needs a restart.
$node->safe_psql($db, "ALTER SYSTEM SET citadel_opt.capture_buffer_size = '4MB'");
$node->reload;
ok($node->poll_query_until($db, "SELECT pending_restart FROM pg_settings WHERE name = 'citadel_opt.capture_buffer_size'"),
	'capture_buffer_size waits for a restart');
$node->restart;
is($node->safe_psql($db, 'SHOW citadel_opt.capture_buffer_size'), '4MB', 'and has its value then');

$node->stop('fast');
no_crash($node);
done_testing();
