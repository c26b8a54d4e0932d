# SQL that is hidden in arguments is not run: each literal of each call in test/privileges.tsv, and of calls that name all
# further text arguments, is replaced by hostile ones, as a superuser. What is run by mistake would move a sequence, which
# no rollback undoes.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use CitadelTest ();
use TrustTest;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, $numbers) = trust_node('injection');
my $db = 'app';
sub sql { return $node->safe_psql($db, $_[0]); }
sql('CREATE SEQUENCE public.pwned; CREATE TABLE public.victim AS SELECT 1 AS id');

my @calls = grep { !/debug_|collect\(/ } map { $_->{call} } grep { $_->{kind} eq 'function' } privileges();
# Every text argument that the calls of the table leave out.
push @calls,
  q{SELECT citadel.create_lifecycle_policy('canary_owner.spare', 'at', '1 month', 2, '12 months', 'archive', 'schema', '7 days', 'UTC', allowed_hours => '22:00-05:00', archive_tablespace => 'pg_default', plain_table => 'keep')},
  q{SELECT citadel.alter_lifecycle_policy({policy}, partition_interval => '1 month', retain => '12 months', on_expiry => 'archive', archive_to => 'schema:canary_owner', time_zone => 'UTC', allowed_hours => '22:00-05:00', archive_tablespace => 'pg_default')},
  q{SELECT citadel.archive_begin('canary_owner.orders', 'file:x', 'pg_default', 'FOR VALUES FROM (1) TO (2)')},
  q{SELECT citadel.archive_begin('canary_owner.orders', 'server:x', 'pg_default')},
  q{SELECT citadel.archive_restore_begin({archive}, 'canary_owner.late', 'rows')},
  q{CALL citadel.restore_archive({archive}, 'canary_owner.late', 'rows', '1 min')},
  q{SELECT * FROM citadel.get_table_statistics('canary_owner.orders')},
  q{SELECT * FROM citadel.get_index_statistics('canary_owner.orders')},
  q{SELECT * FROM citadel.table_history('canary_owner.orders')},
  q{SELECT * FROM citadel.index_history('canary_owner.events_pkey')},
  q{SELECT citadel.sample_causes(5, 100, 50, 10, '{"Lock": 3}', 0, 0, 0, 0)},
  q{SELECT citadel.plan_causes('[]', true, 'SELECT 1', 'pg_catalog')},
  q{SELECT * FROM citadel.what_if('SELECT count(*) FROM canary_owner.orders WHERE id = $1', ARRAY['CREATE INDEX ON canary_owner.orders (id) WHERE amount > 5'], ARRAY['7'], ARRAY['canary_owner.orders_idx'])},
  q{SELECT * FROM citadel.recommend_indexes(ARRAY['SELECT count(*) FROM canary_owner.orders WHERE id = 7', 'DELETE FROM canary_owner.orders WHERE id = 7'], index_kinds => ARRAY['btree', 'partial'])},
  q{SELECT citadel.next_job_run('advise', '1 hour', '1 min', false, 'now', 'yesterday', 'yesterday', 3)},
  q{SELECT citadel.suspend_lifecycle_policy({policy}, 'a reason')},
  q{SELECT citadel.verify_audit_log('0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef')},
  q{SELECT * FROM citadel.content_hash('canary_owner.orders', 'id > 0')};

# As many literals as the function has arguments of text, or something is left out.
my %literals;
foreach my $call (@calls)
{
	my ($name) = $call =~ /citadel\.(\w+)\(/;
	my $count = () = $call =~ /'(?:[^']|'')*'/g;
	$literals{$name} = $count if $count > ($literals{$name} // 0);
}
my @short;
foreach my $row (split /\n/, sql(q{SELECT proname || ' ' || count(*) FROM pg_proc, unnest(proargtypes) AS t WHERE pronamespace = 'citadel'::regnamespace
	AND t IN ('text'::regtype, 'text[]'::regtype, 'name'::regtype, 'regclass'::regtype, 'regclass[]'::regtype, 'jsonb'::regtype, 'jsonb[]'::regtype) GROUP BY proname}))
{
	my ($name, $count) = split / /, $row;
	push @short, "$name ($count)" if ($literals{$name} // 0) < $count;
}
is(join(', ', @short), '', 'every argument of text is tried');

my $hit = "SELECT nextval('public.pwned')";
my @hostile = (
	"x'; $hit; --", "x\"; $hit; --", "x'); $hit; --", "1 = 1); $hit; --", "1 = 1) UNION ALL SELECT nextval('public.pwned')::text; --",
	"x\$\$; $hit; \$\$", "\\'; $hit; --", "x\n; $hit; --", "x\\n\\t%s%n%I%1\$s{}[]\"", 'é' x 400, '', ' ', "*/ $hit; /*", "file:../../x'; $hit; --",
	"schema:x\"; $hit; --", "server:x\"; $hit; --", "SELECT 1; $hit", "CREATE INDEX ON public.victim (id); $hit", "DROP TABLE public.victim", "{\"a\": \"'; $hit; --\"}");
my (@tried, @what);
foreach my $call (@calls)
{
	my @parts = split /('(?:[^']|'')*')/, $call;
	foreach my $n (grep { $_ % 2 } 0 .. $#parts)
	{
		foreach my $hostile (@hostile)
		{
			my @changed = @parts;
			$changed[$n] = "'" . ($hostile =~ s/'/''/gr) . "'";
			push @tried, fill(join('', @changed), $numbers);
			push @what, ($call =~ /citadel\.(\w+)\(/)[0];
		}
	}
}
my ($err, @results) = calls_as($node, 'superuser', \@tried, 'SET statement_timeout = 120000;');
my (%internal, %codes);
foreach my $n (0 .. $#tried)
{
	$codes{ $results[$n][0] }++;
	$internal{"$what[$n]: $tried[$n]"} = 1 if $results[$n][0] =~ /^(XX|58000|57014)/;
}
note(join(', ', map { "$_: $codes{$_}" } sort keys %codes));
is(join("\n", (sort keys %internal)[ 0 .. (keys(%internal) > 5 ? 5 : keys(%internal) - 1) ]), '', 'no internal error, nothing that lasts for ever, of ' . @tried . ' calls');
is(sql('SELECT is_called FROM public.pwned'), 'f', 'nothing of ' . @tried . ' hostile arguments was run');
is(sql('SELECT count(*) FROM public.victim'), '1', 'the victim is there');
cmp_ok(scalar(@tried), '>', 1000, 'many were tried');

# What was stored is not run later either.
run_job($node, 'advise');
$node->psql($db, 'CALL citadel.run_lifecycle()');
sql('SELECT citadel.metrics(), citadel.health()');
sql("SELECT * FROM $_") foreach 'citadel.preview_lifecycle()', 'citadel.partition_runway', 'citadel.lifecycle_step', 'citadel.archive';
is(sql('SELECT is_called FROM public.pwned'), 'f', 'nor by jobs afterwards');
CitadelTest::no_crash($node);
$node->stop;
done_testing();
