# The door under a whole server: what the regression test `door` cannot show. Errors keep their position, scopes restore
# the session's state, the C++ heap stays flat, JIT and timeouts do no harm, and no process dies.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'probes';
my $node = citadel_node('errors', database => $db);
$node->safe_psql($db, <<'END');
CREATE SCHEMA door;
CREATE FUNCTION door.throw(text) RETURNS bigint AS '$libdir/citadel_test', 'citadel_test_throw' LANGUAGE C;
CREATE FUNCTION door.parse(text) RETURNS void AS '$libdir/citadel_test', 'citadel_test_parse' LANGUAGE C;
CREATE FUNCTION door.pass_through(text) RETURNS bigint AS '$libdir/citadel_test', 'citadel_test_pass_through' LANGUAGE C;
CREATE FUNCTION door.destructors() RETURNS int AS '$libdir/citadel_test', 'citadel_test_destructors' LANGUAGE C;
CREATE FUNCTION door.memory(OUT contexts bigint, OUT heap bigint) AS '$libdir/citadel_test', 'citadel_test_memory' LANGUAGE C;
CREATE FUNCTION door.state_restored(text) RETURNS text AS '$libdir/citadel_test', 'citadel_test_state_restored' LANGUAGE C;
CREATE FUNCTION door.set_rows(text) RETURNS TABLE (value text, bytes bigint) AS '$libdir/citadel_test', 'citadel_test_set_rows' LANGUAGE C;
END

sub value { return $node->safe_psql($db, $_[0]); }

# Every road out of C++, with all parts.
error_is($node, $db, q{SELECT door.throw('raise')},
	{ sqlstate => '22023', message => 'a message with 100%s', detail => 'a detail', hint => 'a hint' },
	'an error raised in C++ arrives with all its parts');
error_is($node, $db, q{SELECT door.throw('nested')},
	{ sqlstate => '22023', message => 'a message with 100%s', detail => 'a detail', hint => 'a hint' },
	'also across two boundaries and two guards');
error_is($node, $db, q{SELECT door.throw('bad_alloc')}, { sqlstate => '53200' }, 'std::bad_alloc is out of memory');
error_is($node, $db, q{SELECT door.throw('standard')}, { sqlstate => 'XX000', message => qr/a standard exception/ },
	'a standard exception becomes an ERROR');
error_is($node, $db, q{SELECT door.throw('unknown')}, { sqlstate => 'XX000', message => qr/unknown/ },
	'so does something that is no exception at all');
error_is($node, $db, q{SELECT door.throw('in_subtransaction')}, { sqlstate => 'XX000', message => qr/unknown/ },
	'and one that passes a subtransaction');
error_is($node, $db, q{SELECT door.throw('long_message')}, { sqlstate => 'XX000', message => qr/x{400}/ },
	'a message of 100,000 bytes is cut, not a crash');
error_is($node, $db, q{SELECT door.throw('caught_then_thrown')}, { sqlstate => 'XX000', message => qr/the second error/ },
	'a caught error does not come back in place of the next');
error_is($node, $db, q{SELECT door.parse('SELECT 1 FROM WHERE')}, { sqlstate => '42601', caret => 14 },
	'a position survives both borders');
error_is($node, $db, q{SELECT door.pass_through('SELECT nothing FROM pg_catalog.pg_class')},
	{ sqlstate => '42703', query => qr/SELECT nothing FROM|^$/ }, 'an error inside SPI arrives whole');

# Scopes.
is(value(q{SELECT door.state_restored('SELECT 1')}), 'OK', 'scopes that end well restore the state');
is(value(q{SELECT door.state_restored('SELECT 1/0')}), '22012', 'those that an error leaves do, too');
is(value(q{SELECT door.state_restored('SELECT pg_catalog.set_config(''search_path'', ''public'', false), 1/0')}), '22012',
	'even when the statement changed search_path');

# Flat memory where the ERROR really leaves the function, the C++ heap included.
my $loop = <<'END';
DO $$
DECLARE kinds text[] := ARRAY['raise', 'nested', 'bad_alloc', 'standard', 'unknown', 'caught_then_thrown', 'in_subtransaction'];
BEGIN
	FOR i IN 1..TIMES LOOP
		BEGIN
			PERFORM door.throw(kinds[1 + i % 7]);
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
END $$;
END
my $warm = $loop =~ s/TIMES/5000/r;
my $many = $loop =~ s/TIMES/100000/r;
my ($contexts, $heap) = split /\|/, (split /\n/, value(<<"END"))[-1];
CREATE TEMP TABLE at AS SELECT 0 AS n, * FROM door.memory() WITH NO DATA;
$warm
INSERT INTO at SELECT 1, * FROM door.memory();
$warm
INSERT INTO at SELECT 2, * FROM door.memory();
$many
INSERT INTO at SELECT 3, * FROM door.memory();
SELECT a.contexts - b.contexts, a.heap - b.heap FROM at a, at b WHERE a.n = 3 AND b.n = 2;
END
# Tolerances far below one byte an error: the server's own caches may move a little.
cmp_ok(abs($contexts), '<=', 16384, "memory contexts are flat over 100,000 errors ($contexts bytes)");
cmp_ok(abs($heap), '<=', 65536, "so is the C++ heap ($heap bytes)");

# Set-returning functions.
is(value(q{SELECT * FROM door.set_rows('VALUES (''a''), (NULL), (''c'')')}), "a|1\n|0\nc|1", 'rows and NULLs');
error_is($node, $db, q{SELECT * FROM door.set_rows('SELECT (1/(3 - g))::text FROM pg_catalog.generate_series(1, 5) g')},
	{ sqlstate => '22012' }, 'an error among the rows');

# Exceptions under the server's JIT, with our bitcode inlined where the server likes to.
my $jit = 'SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0;';
is(value("$jit SELECT count(*) FROM generate_series(1, 1000) g WHERE door.throw(left('nothing', 7 + g)) = 1"), '1000',
	'functions of ours run under JIT');
error_is($node, $db, "$jit SELECT citadel.raise_error('22023', 'm' || g, 'd', 'h') FROM generate_series(1, 3) g",
	{ sqlstate => '22023', message => 'm1', detail => 'd', hint => 'h' }, 'and their errors are whole there');
is(value("$jit SELECT citadel.preloaded() FROM generate_series(1, 3)"), "t\nt\nt", 'an inlined function of ours works');

# A timeout in what runs inside a guard.
error_is($node, $db, q{SET statement_timeout = '1s'; SELECT door.pass_through('SELECT pg_catalog.pg_sleep(60)')},
	{ sqlstate => '57014' }, 'a statement timeout passes through');
is(value(<<'END'), '2', 'and runs the destructors it passes');
SET statement_timeout = '1s';
\set ON_ERROR_STOP 0
SELECT door.pass_through('SELECT pg_catalog.pg_sleep(60)');
SELECT door.destructors();
END

$node->stop('fast');
no_crash($node);
done_testing();
