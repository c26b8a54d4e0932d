// What the server cannot do, or would do badly, found before anything is begun.
#include "lifecycle/plain_parts_pg.hpp"
#include "pg/spi.hpp"

namespace citadel::lifecycle::plain {

namespace {

// $1: the table, $2: the time column, $3: whether unique keys may be extended. Each arm gives a reason.
constexpr const char* conversion_reasons = R"sql(
WITH t AS (SELECT c.*, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1),
key AS (SELECT a.* FROM pg_attribute a WHERE a.attrelid = $1 AND a.attname = $2::name AND NOT a.attisdropped)
SELECT why FROM (
SELECT 1 AS place, 'it is no ordinary, permanent table' AS why FROM t WHERE relkind <> 'r' OR relpersistence <> 'p' OR reloftype <> 0
UNION ALL SELECT 1, 'it is a partition of another table' FROM t WHERE relispartition
UNION ALL SELECT 2, 'it inherits from ' || i.inhparent::regclass::text FROM pg_inherits i, t WHERE i.inhrelid = $1 AND NOT t.relispartition
UNION ALL SELECT 2, i.inhrelid::regclass::text || ' inherits from it' FROM pg_inherits i WHERE i.inhparent = $1
UNION ALL SELECT 2, 'it belongs to extension ' || quote_ident(e.extname) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = $1 AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
UNION ALL SELECT 3, 'its owner may not create tables in schema ' || quote_ident(t.nspname) FROM t
    WHERE NOT has_schema_privilege(t.relowner, t.relnamespace, 'CREATE')
UNION ALL SELECT 3, 'column ' || quote_ident(attname) || ' is generated' FROM key WHERE attgenerated <> ''
UNION ALL SELECT 4, 'foreign key ' || quote_ident(f.conname) || ' of ' || f.conrelid::regclass::text || ' points at it' FROM pg_constraint f
    WHERE f.confrelid = $1 AND f.contype = 'f'
UNION ALL SELECT 5, 'unique key ' || quote_ident(k.relname) || ' does not contain ' || quote_ident($2::text) ||
    CASE WHEN $3 THEN ' and cannot be extended: it is partial, an expression or deferrable' ELSE '; the policy''s extend_keys would add it' END
    FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid, key WHERE i.indrelid = $1 AND i.indisunique
    AND NOT key.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
    AND (NOT $3 OR i.indpred IS NOT NULL OR i.indexprs IS NOT NULL OR NOT i.indimmediate)
UNION ALL SELECT 5, 'exclusion constraint ' || quote_ident(c.conname) FROM pg_constraint c WHERE c.conrelid = $1 AND c.contype = 'x'
UNION ALL SELECT 5, 'index ' || quote_ident(k.relname) || ' is not valid' FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid
    WHERE i.indrelid = $1 AND NOT i.indisvalid AND k.relname NOT LIKE 'citadel\_key\_%'
UNION ALL SELECT 6, 'constraint ' || quote_ident(c.conname) || CASE WHEN c.connoinherit THEN ' is NO INHERIT' ELSE ' is NOT VALID' END
    FROM pg_constraint c WHERE c.conrelid = $1 AND c.contype IN ('c', 'f') AND (NOT c.convalidated OR (c.connoinherit AND c.contype = 'c'))
    AND c.conname NOT LIKE 'citadel\_conversion\_%'
UNION ALL SELECT 7, 'trigger ' || quote_ident(g.tgname) || ' is for each row and has a transition table' FROM pg_trigger g
    WHERE g.tgrelid = $1 AND NOT g.tgisinternal AND g.tgtype & 1 = 1 AND (g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL)
UNION ALL SELECT 7, 'rule ' || quote_ident(r.rulename) FROM pg_rewrite r WHERE r.ev_class = $1
UNION ALL SELECT 8, pg_describe_object(d.classid, d.objid, 0) || ' depends on it' FROM pg_depend d
    LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid LEFT JOIN pg_class v ON v.oid = r.ev_class
    LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.deptype = 'n' AND (d.classid = 'pg_proc'::regclass
    OR (d.classid = 'pg_rewrite'::regclass AND v.oid <> $1 AND v.relkind <> 'v') OR (d.classid = 'pg_policy'::regclass AND p.polrelid <> $1))
UNION ALL SELECT 8, 'the owner of view ' || v.oid::regclass::text || ' may not replace it: he may not create in its schema'
    FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v'
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1
    AND NOT has_schema_privilege(v.relowner, v.relnamespace, 'CREATE')
UNION ALL SELECT 8, pg_describe_object(d.classid, d.objid, d.objsubid) || ' uses its row type' FROM t JOIN pg_type y ON y.oid = t.reltype
    JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (y.oid, y.typarray) AND d.deptype = 'n'
UNION ALL SELECT 9, 'publication ' || quote_ident(p.pubname) || ' would show subscribers its partitions: set publish_via_partition_root'
    FROM pg_publication p, t WHERE NOT p.pubviaroot AND (p.puballtables
    OR EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = $1)
    OR EXISTS (SELECT FROM pg_publication_namespace s WHERE s.pnpubid = p.oid AND s.pnnspid = t.relnamespace))
) reasons ORDER BY place, why LIMIT 1)sql";

constexpr const char* keep_reasons = R"sql(
SELECT why FROM (
SELECT 1 AS place, 'it is no ordinary table' AS why FROM pg_class WHERE oid = $1 AND (relkind <> 'r' OR relispartition)
UNION ALL SELECT 2, i.inhrelid::regclass::text || ' inherits from it' FROM pg_inherits i WHERE i.inhparent = $1
UNION ALL SELECT 3, 'foreign key ' || quote_ident(f.conname) || ' of ' || f.conrelid::regclass::text || ' points at it' FROM pg_constraint f
    WHERE f.confrelid = $1 AND f.contype = 'f'
UNION ALL SELECT 4, 'row level security hides rows from its owner' FROM pg_class WHERE oid = $1 AND relrowsecurity AND relforcerowsecurity
UNION ALL SELECT 5, 'rule ' || quote_ident(r.rulename) FROM pg_rewrite r WHERE r.ev_class = $1 AND r.ev_type IN ('1', '4')
) reasons ORDER BY place, why LIMIT 1)sql";

std::string first_reason(const std::string& sql, const std::vector<pg::Arg>& arguments) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(sql, arguments);
    return rows.empty() ? std::string() : rows.text(0, 0);
}

} // namespace

std::string keep_obstacle(const Policy& policy) {
    return first_reason(keep_reasons, {pg::arg_oid(policy.relation)});
}

std::string convert_obstacle(const Policy& policy) {
    return first_reason(conversion_reasons,
                        {pg::arg_oid(policy.relation), pg::arg(policy.column), pg::arg(policy.extend_keys)});
}

} // namespace citadel::lifecycle::plain
