-- Ways for sqlsmith to call every function of ours. It calls functions that return one value; so each function gets one
-- that returns jsonb, reach.NAME, with the same arguments, and reach.NAME__pick(n), which fills them with values that
-- mean something to it, another mixture for each n.
\set ON_ERROR_STOP on
CREATE SCHEMA reach;

-- Values by the name of the argument, else by its type; each may be NULL as well.
CREATE TABLE reach.value (argument text PRIMARY KEY, literals text[] NOT NULL);
INSERT INTO reach.value VALUES
    ('query', ARRAY['SELECT * FROM many.scalars WHERE big = $1 AND words LIKE ''a%''', 'SELECT 1', 'TABLE many.joined',
        'SELECT id FROM many.nested WHERE json_b @> ''{"a": 5}'' OR place <@ box ''((0,0),(3,3))''',
        'UPDATE many.parts SET amount = $1 WHERE id = $2 AND region = ''north''', 'DELETE FROM many.base WHERE a < 10 RETURNING *',
        'INSERT INTO many.empty (a, b) SELECT a, b FROM many.base ON CONFLICT (a, b) DO UPDATE SET b = excluded.b',
        'WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT * FROM r JOIN many.scalars ON id = n',
        'MERGE INTO many.base USING many.child AS c ON base.a = c.a WHEN MATCHED THEN DELETE', 'SELECT 1; SELECT 2', '', 'VACUUM',
        'SELECT $3::many.mood', 'SELEC',
        'SELECT * FROM many.guarded WHERE secret = ''x''', 'SELECT many.fails(3)', 'EXPLAIN SELECT 1',
        'SELECT title FROM citadel_tasks.hero_tasks WHERE assignee_id = 7 AND tags @> ''{x}'' ORDER BY due_at LIMIT 5']),
    ('indexes', ARRAY['{CREATE INDEX ON many.scalars (big)}', '{"CREATE INDEX ON many.scalars (lower(words), big DESC) INCLUDE (small) WHERE flag"}',
        '{CREATE INDEX ON many.nested USING gin (json_b jsonb_path_ops),CREATE INDEX ON many.nested USING gist (place)}', '{}', '{NULL}',
        '{CREATE UNIQUE INDEX ON many.parts (region\, id),CREATE INDEX ON ONLY many.parts_north (id)}',
        '{SELECT 1}', '{"CREATE INDEX ON many.joined (id)"}',
        '{CREATE INDEX ON citadel_tasks.hero_workflow_history USING brin (changed_at)}', '{CREATE INDEX ON pg_class (relname)}',
        '{CREATE INDEX ON many.scalars USING hash (key),CREATE INDEX ON many.scalars USING spgist (words)}']),
    ('workload', ARRAY['{SELECT * FROM many.scalars WHERE big = 5}', '{"SELECT 1",NULL}', '{}', '{VACUUM}',
        '{SELECT id FROM many.nested WHERE ints @> \{5\},SELECT id FROM many.parts WHERE region = $1 AND at > $2}',
        '{SELECT * FROM many.joined WHERE mood = $1 ORDER BY id,DELETE FROM many.base WHERE a = 5}']),
    ('weights', ARRAY['{1}', '{1,2}', '{0}', '{-1}', '{NaN}', '{}', '{Infinity,1}']),
    ('index_kinds', ARRAY['{btree}', '{gin,gist}', '{brin,hash,spgist}', '{none}', '{}', '{NULL}']),
    ('parameters', ARRAY['{}', '{1}', '{1,2}', '{NULL}', '{x,north,3}']),
    ('hidden', ARRAY['{}', '{many.scalars}', '{many.scalars_pkey,many.nested_place_idx}', '{NULL}']),
    ('job_name', ARRAY['advise', 'lifecycle', 'maintain', 'baseline', 'none', '']),
    ('partition_interval', ARRAY['1 month', '1 day', '1000', '-1 day', '0', 'x', '1 century', '7 hours']),
    ('retain', ARRAY['12 months', '1 day', '1000', '-5', 'x', '200000 years']),
    ('on_expiry', ARRAY['archive', 'detach', 'drop', 'x']),
    ('archive_to', ARRAY['schema', 'file:/nowhere', 'server:x', 'x', '']),
    ('destination', ARRAY['schema', 'file:/nowhere', 'server:x', 'x', '']),
    ('plain_table', ARRAY['convert', 'move', 'x']), ('restore_as', ARRAY['beside', 'partition', 'x']),
    ('time_zone', ARRAY['UTC', 'Europe/Berlin', 'x', '']), ('step', ARRAY['1 hour', '1 day', '1 min', '0', '-1 h', '100 years']),
    ('allowed_hours', ARRAY['22:00-05:00', '25:00-x', '', '00:00-00:00']), ('time_column', ARRAY['at', 'id', 'none', '']),
    ('condition', ARRAY['id > 5', 'true', 'x; drop', '1/0 = 1', '']), ('predicate', ARRAY['id > 5', 'true', 'x; drop', '1/0 = 1', '']),
    ('access_method', ARRAY['btree', 'gin', 'gist', 'brin', 'x']), ('search_path', ARRAY['many', 'many, public', '"x', '', 'pg_catalog']),
    ('schema_name', ARRAY['many', 'x"; drop', '']), ('relation_name', ARRAY['scalars', 'x"; drop', '']),
    ('relation_kind', ARRAY['table', 'index', 'x']), ('expected_head', ARRAY['', repeat('0', 64), 'x']),
    ('sqlstate', ARRAY['P0001', '22023', 'x', '00000']), ('p', ARRAY['0', '0.5', '1', '2', '-1', 'NaN']),
    ('histogram', ARRAY['\x', '\x00', '\x0102030405', '\xffffffffffffffffff', '\x0180808080808080808001']),
    ('histograms', ARRAY['{}', '{NULL}', '{"\\x0102","\\xff"}']), ('classes', ARRAY['{}', '{"{\"22\": 1}"}', '{"[1]",NULL}', '{"{\"22\": \"x\"}"}']),
    ('waits', ARRAY['{"Lock": 3}', '{}', '[]', '3', '{"IO:DataFileRead": -1, "x": "y"}', 'null']),
    ('plan', ARRAY['[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "scalars", "Schema": "many", "Alias": "s", "Plan Rows": 1, "Plan Width": 8,
        "Startup Cost": 0.0, "Total Cost": 10.0, "Filter": "(words = ''x''::text)", "Rows Removed by Filter": 100000, "Actual Rows": 5, "Actual Loops": 3}}]',
        '[{"Plan": {"Node Type": "Limit", "Plans": [{"Node Type": "Sort", "Sort Key": ["id"], "Plans": []}]}, "JIT": {"Timing": {"Total": 5}}}]',
        '[]', '{}', '3', '[{"Plan": "x"}]', '[{"Plan": {"Plans": [1, null, {}]}}]', 'null']),
    ('nodes', ARRAY['{}', '{NULL}']),
    ('text', ARRAY['x', '', 'O''Neil', '%s $1', repeat('long ', 500), E'\u00e4\n\t']), ('name', ARRAY['x', 'x"; drop', '']),
    ('integer', ARRAY['0', '1', '-1', '5', '2147483647', '-2147483648']),
    ('bigint', ARRAY['0', '1', '2', '-1', '9223372036854775807', '-9223372036854775808']),
    ('double precision', ARRAY['0', '1', '-1', '1e300', 'NaN', 'Infinity', '-Infinity', '1e-300', '123456.7']), ('boolean', ARRAY['true', 'false']),
    ('interval', ARRAY['1 hour', '0', '-1 day', '178000000 years', '1 month', '1 microsecond', '10 days']),
    ('timestamp with time zone', ARRAY['now', 'yesterday', 'infinity', '-infinity', '294276-12-31 23:59+00', '4714-01-01 00:00+00 BC', 'epoch']),
    ('regclass', ARRAY['many.scalars', 'many.parts', 'many.parts_north_2', 'many.joined', 'many.kept', 'pg_catalog.pg_class',
        'citadel_tasks.hero_workflow_history', 'many.scalars_pkey', 'citadel_tasks.hero_tasks', '0', '999999', 'citadel.sample', 'many.guarded', 'many.base']),
    ('oid', ARRAY['0', '1259', '999999', '4294967295']), ('oid[]', ARRAY['{}', '{1259,0}', '{NULL}']);

CREATE FUNCTION reach.pick(argument text, type text, n integer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT v.literals[1 + (hashtextextended(pick.argument, n::bigint) & 1048575) % (1 + cardinality(v.literals))]
    FROM reach.value AS v WHERE v.argument IN (pick.argument, pick.type) ORDER BY v.argument = pick.argument DESC LIMIT 1
$$;

DO $$
DECLARE
    f record;
    names text[];
    types text[];
    called text;
BEGIN
    FOR f IN SELECT p.* FROM pg_proc AS p
             WHERE p.pronamespace = 'citadel'::regnamespace AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
               AND p.proname NOT IN ('read_archive', 'debug_hold_capture', 'debug_release_capture', 'debug_drain_capture', 'debug_take_runs')
    LOOP
        names := f.proargnames[1:f.pronargs];
        SELECT array_agg(format_type(t, NULL) ORDER BY n) INTO types FROM unnest(f.proargtypes::oid[]) WITH ORDINALITY AS u (t, n);
        called := format('SELECT jsonb_agg(%s) FROM (SELECT * FROM citadel.%I(%%s) LIMIT 50) AS t',
                         CASE f.prorettype WHEN 'void'::regtype THEN '1' ELSE 'to_jsonb(t)' END, f.proname);
        EXECUTE format('CREATE FUNCTION reach.%I(%s) RETURNS jsonb LANGUAGE sql AS %L', f.proname, array_to_string(types, ', '),
                       format(called, (SELECT string_agg('$' || n, ', ' ORDER BY n) FROM generate_series(1, f.pronargs) AS n)));
        EXECUTE format('CREATE FUNCTION reach.%I(n integer) RETURNS jsonb LANGUAGE sql AS %L', f.proname || '__pick',
                       format(called, (SELECT string_agg(format('reach.pick(%L, %L, n)::%s', names[i], types[i], types[i]), ', ' ORDER BY i)
                                       FROM generate_series(1, f.pronargs) AS i)));
    END LOOP;
END
$$;
-- Those that return rows, also as views: sqlsmith joins them with anything.
CREATE VIEW reach.tables AS SELECT * FROM citadel.get_table_statistics();
CREATE VIEW reach.indexes AS SELECT * FROM citadel.get_index_statistics();
CREATE VIEW reach.slow AS SELECT * FROM citadel.analyze_slow_queries('1 hour', max_rows => 50);
CREATE VIEW reach.workers AS SELECT * FROM citadel.worker_status();
