-- Everything that the two extensions have in the catalogue of a database, one line an item, without OIDs and in an order
-- that does not depend on how it came to be: for comparing an upgraded database with a fresh one.
\pset tuples_only on
\pset format unaligned
SET search_path = pg_catalog, pg_temp;

CREATE TEMP VIEW member AS
SELECT e.extname, d.classid, d.objid
FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname IN ('citadel_opt', 'citadel_tasks');
CREATE TEMP VIEW relation AS
SELECT c.* FROM pg_class AS c JOIN member AS m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
UNION ALL
SELECT c.* FROM pg_class AS c JOIN member AS m ON m.classid = 'pg_type'::regclass AND m.objid = c.reltype WHERE c.relkind = 'c';
CREATE TEMP VIEW routine AS
SELECT p.* FROM pg_proc AS p JOIN member AS m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid;

SELECT line FROM (
    SELECT format('extension %s %s %s', extname, extversion, extnamespace::regnamespace) AS line
    FROM pg_extension WHERE extname IN ('citadel_opt', 'citadel_tasks')
    UNION ALL
    SELECT format('dumped %s where "%s"', t.oid::regclass, t.condition)
    FROM pg_extension AS e, unnest(e.extconfig, e.extcondition) AS t (oid, condition)
    WHERE e.extname IN ('citadel_opt', 'citadel_tasks')
    UNION ALL
    SELECT format('member of %s: %s %s', m.extname, i.type, i.identity)
    FROM member AS m, pg_identify_object(m.classid, m.objid, 0) AS i
    UNION ALL
    SELECT format('comment on %s: %s', i.identity, d.description)
    FROM member AS m JOIN pg_description AS d ON d.classoid = m.classid AND d.objoid = m.objid,
        pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
    UNION ALL
    -- The privileges that the extension itself gave: pg_dump leaves them out.
    SELECT format('first privileges of %s: %s', i.identity, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(p.initprivs) AS a))
    FROM member AS m JOIN pg_init_privs AS p ON p.classoid = m.classid AND p.objoid = m.objid,
        pg_identify_object(p.classoid, p.objoid, p.objsubid) AS i
    UNION ALL
    SELECT format('schema %s %s', n.nspname, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(n.nspacl) AS a))
    FROM pg_namespace AS n JOIN member AS m ON m.classid = 'pg_namespace'::regclass AND m.objid = n.oid
    UNION ALL
    SELECT format('function %s %s %s %s', r.oid::regprocedure, r.proowner::regrole,
        (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(r.proacl) AS a),
        CASE r.prokind WHEN 'a' THEN (SELECT (to_jsonb(a) - 'aggfnoid')::text FROM pg_aggregate AS a WHERE a.aggfnoid = r.oid)
            ELSE pg_get_functiondef(r.oid) END)
    FROM routine AS r
    UNION ALL
    SELECT format('relation %s %s %s %s %s %s %s', r.oid::regclass, r.relkind, r.relpersistence, r.relowner::regrole,
        r.reloptions, r.relrowsecurity, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(r.relacl) AS a))
    FROM relation AS r
    UNION ALL
    SELECT format('column %s of %s: %s %s %s not null %s identity "%s" generated "%s" storage %s default %s %s',
        row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), r.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
        (SELECT c.collname FROM pg_collation AS c WHERE c.oid = a.attcollation), a.attnotnull, a.attidentity, a.attgenerated,
        a.attstorage, pg_get_expr(d.adbin, d.adrelid), a.attacl)
    FROM relation AS r JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind <> 'i'
    UNION ALL
    SELECT format('view %s %s', r.oid::regclass, pg_get_viewdef(r.oid)) FROM relation AS r WHERE r.relkind = 'v'
    UNION ALL
    SELECT format('constraint %s on %s %s', c.conname, r.oid::regclass, pg_get_constraintdef(c.oid))
    FROM relation AS r JOIN pg_constraint AS c ON c.conrelid = r.oid
    UNION ALL
    SELECT format('index %s', pg_get_indexdef(i.indexrelid)) FROM relation AS r JOIN pg_index AS i ON i.indrelid = r.oid
    UNION ALL
    SELECT format('trigger %s %s', pg_get_triggerdef(t.oid), t.tgenabled)
    FROM relation AS r JOIN pg_trigger AS t ON t.tgrelid = r.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT format('policy %s on %s %s', p.polname, r.oid::regclass, to_jsonb(p) - '{oid,polrelid}'::text[])
    FROM relation AS r JOIN pg_policy AS p ON p.polrelid = r.oid
    UNION ALL
    SELECT format('sequence %s %s owned by %s', s.seqrelid::regclass, to_jsonb(s) - '{seqrelid,seqtypid}'::text[],
        (SELECT format('%s.%s', d.refobjid::regclass, d.refobjsubid > 0) FROM pg_depend AS d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.deptype IN ('a', 'i')))
    FROM relation AS r JOIN pg_sequence AS s ON s.seqrelid = r.oid
    UNION ALL
    SELECT format('shipped rule %s', to_jsonb(r)) FROM citadel.alert_rule AS r WHERE r.shipped
) AS everything
ORDER BY line COLLATE "C";
