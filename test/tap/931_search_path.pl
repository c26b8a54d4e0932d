# A schema before pg_catalog in the search_path, with a trap for every function, operator, type and relation that
# pg_catalog has: nothing of ours, called by a superuser or run by a worker, may step into one.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use TrustTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $numbers) = trust_node('search_path');
my $db = 'app';

# Mallory's traps tell the log, and give NULL. Functions whose arguments are "any" are out of reach of what he can write:
# those of ours that matter get traps with arguments of type text.
$node->safe_psql($db, 'CREATE ROLE mallory LOGIN; CREATE SCHEMA attack AUTHORIZATION mallory; GRANT USAGE ON SCHEMA attack TO PUBLIC');
as($node, 'mallory', <<'END');
SET search_path = pg_catalog;
CREATE FUNCTION attack.sprung(trap text) RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
BEGIN RAISE WARNING 'SPRUNG % as %', trap, current_user; RETURN NULL; END $$;
DO $$
DECLARE made record; statement text; traps int := 0;
BEGIN
	FOR made IN
		SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, format_type(p.prorettype, NULL) AS result, p.proretset
		FROM pg_proc AS p
		WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a', 'w') AND p.proname <> 'count'
			AND NOT EXISTS (SELECT FROM unnest(p.proargtypes || p.prorettype) AS t (oid) JOIN pg_type USING (oid)
				WHERE typtype = 'p' AND typname NOT IN ('anyelement', 'anyarray', 'anynonarray', 'anyenum', 'anyrange', 'record', 'void'))
		UNION ALL
		SELECT name, array_to_string(array_fill('text'::text, ARRAY[n]), ', '), 'text', false
		FROM unnest(ARRAY['format', 'concat', 'concat_ws', 'json_build_object', 'jsonb_build_object', 'json_build_array', 'jsonb_build_array', 'num_nulls', 'num_nonnulls', 'pg_typeof']) AS name,
			generate_series(1, 6) AS n
	LOOP
		statement := format('CREATE FUNCTION attack.%I(%s) RETURNS %s LANGUAGE plpgsql SET search_path = pg_catalog AS %L', made.proname,
			regexp_replace(made.arguments, '(^|, )(IN )?', '\1\2', 'g'),
			CASE WHEN made.proretset THEN 'SETOF ' ELSE '' END || made.result,
			format('BEGIN RAISE WARNING %L, current_user; RETURN%s; END', 'SPRUNG function ' || made.proname || ' as %',
				CASE WHEN made.proretset OR made.result = 'void' THEN '' ELSE ' NULL' END));
		BEGIN
			EXECUTE statement;
			traps := traps + 1;
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
	FOR made IN
		SELECT o.oprname, format_type(nullif(o.oprleft, 0), NULL) AS l, format_type(o.oprright, NULL) AS r, format_type(o.oprresult, NULL) AS result
		FROM pg_operator AS o WHERE o.oprnamespace = 'pg_catalog'::regnamespace
	LOOP
		statement := format('attack.%I', 'operator_' || traps);
		BEGIN
			EXECUTE format('CREATE FUNCTION %s(%s) RETURNS %s LANGUAGE plpgsql SET search_path = pg_catalog AS %L', statement,
				concat_ws(', ', made.l, made.r), made.result,
				format('BEGIN RAISE WARNING %L, current_user; RETURN NULL; END', 'SPRUNG operator ' || replace(made.oprname, '%', '%%') || ' as %'));
			EXECUTE format('CREATE OPERATOR attack.%s (FUNCTION = %s, %sRIGHTARG = %s)', made.oprname, statement,
				'LEFTARG = ' || made.l || ', ', made.r);
			traps := traps + 1;
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
	FOR made IN SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') LOOP
		BEGIN
			EXECUTE format('CREATE VIEW attack.%I AS SELECT * FROM pg_catalog.%1$I WHERE attack.sprung(%L)', made.relname, 'relation ' || made.relname);
			traps := traps + 1;
		EXCEPTION WHEN invalid_table_definition THEN NULL;
		END;
	END LOOP;
	FOR made IN SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typelem = 0 LOOP
		BEGIN
			EXECUTE format('CREATE DOMAIN attack.%I AS pg_catalog.%1$I CHECK (attack.sprung(%L))', made.typname, 'type ' || made.typname);
			traps := traps + 1;
		EXCEPTION WHEN datatype_mismatch THEN NULL;
		END;
	END LOOP;
	CREATE FUNCTION attack.count_step(bigint) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN PERFORM attack.sprung(''count''); RETURN $1; END';
	CREATE AGGREGATE attack.count(*) (SFUNC = attack.count_step, STYPE = bigint, INITCOND = '0');
	RAISE LOG 'TRAPS: %', traps;
END $$;
GRANT SELECT ON ALL TABLES IN SCHEMA attack TO PUBLIC;
END
my ($traps) = slurp_file($node->logfile) =~ /TRAPS: (\d+)/;
cmp_ok($traps, '>', 3000, "Mallory has set $traps traps");

sub sprung
{
	my ($from) = @_;
	my %seen;
	my $log = slurp_file($node->logfile, $from);
	$seen{$1}++ while $log =~ /SPRUNG (.* as \w+)/g;
	return join(', ', map { "$_ ($seen{$_})" } sort keys %seen);
}

# The traps work.
my $from = -s $node->logfile;
my $hostile = 'SET search_path = attack, pg_catalog;';
$node->psql($db, "$hostile SELECT count(*), lower('X'), 1 = 1, 'a' || 'b', 'x'::text FROM pg_class WHERE relname = 'x'");
like(sprung($from), qr/function lower as .*operator = as .*operator \|\| as .*type text as /, 'traps work');

# Everything that can be called or read, one by one; relations and types are shadowed in pg_temp, too.
my @rows = grep { $_->{kind} =~ /^(function|table|view)$/ } privileges();
my @calls = map { fill($_->{call} ne '' ? $_->{call} : "SELECT * FROM citadel.$_->{name}", $numbers) } @rows;
my $setup = <<'END' . $hostile;
DO $$ DECLARE n text; BEGIN
	FOR n IN SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = 'attack'::regnamespace AND relkind = 'v' LOOP
		EXECUTE pg_catalog.format('CREATE TEMP VIEW %I AS SELECT * FROM attack.%1$I', n);
	END LOOP;
	FOR n IN SELECT typname FROM pg_catalog.pg_type WHERE typnamespace = 'attack'::regnamespace AND typtype = 'd' LOOP
		EXECUTE pg_catalog.format('CREATE DOMAIN pg_temp.%I AS attack.%1$I', n);
	END LOOP;
END $$;
END
$from = -s $node->logfile;
my ($err, @results) = calls_as($node, 'superuser', \@calls, $setup);
foreach my $n (0 .. $#rows)
{
	# What has a reason of its own to refuse may have lost it here: nobody has called it before.
	my $reason = $rows[$n]{superuser} =~ /^[0-9A-Z]{5}$/ ? $rows[$n]{superuser} : '00000';
	like($results[$n][0], qr/^(00000|$reason)$/, "$rows[$n]{kind} $rows[$n]{name}");
}
is(sprung($from), '', 'no trap was sprung by a call');

# Trap by trap when one was: which call it is.
if (sprung($from) ne '')
{
	foreach my $n (0 .. $#calls)
	{
		my $start = -s $node->logfile;
		calls_as($node, 'superuser', [ $calls[$n] ], $setup);
		my $here = sprung($start);
		diag("$rows[$n]{name}: $here") if $here ne '';
	}
}

# The workers, when the database and the superuser's role have that path.
$node->safe_psql($db, "ALTER DATABASE $db SET search_path = attack, pg_catalog; ALTER ROLE postgres SET search_path = attack, pg_catalog");
$from = -s $node->logfile;
my $quiet = 'SET search_path = pg_catalog;';
my $before = scheduler_pid($node, $db);
$node->safe_psql($db, "$quiet SELECT pg_terminate_backend($before)");
ok(eventually(30, sub { my $now = scheduler_pid($node, $db); $now && $now != $before }), 'the scheduler is back');
foreach my $job (split /\n/, $node->safe_psql($db, "$quiet SELECT job_name FROM citadel.job"))
{
	my $run = $node->safe_psql($db, "$quiet SELECT citadel.run_job('$job')");
	my ($status, undef, $error) = $node->psql($db, "$quiet CALL citadel.wait_for_job($run)");
	is($error, '', "the job $job");
}
$node->safe_psql($db, "$quiet SELECT citadel.collect()");
is(sprung($from), '', 'no trap was sprung by a worker');
$node->stop;
done_testing();
