"""What the peers know about the database: tables, columns, statistics; and which columns a statement mentions."""
import re


class Table:
    def __init__(self, name, relation, rows, leaves):
        self.name = name
        self.relation = relation
        self.rows = rows
        self.leaves = leaves  # names of the leaf partitions, or [name]
        self.columns = {}  # name -> Column


class Column:
    def __init__(self, name, width, distinct, nulls, deduplicates, alignment, variable):
        self.name = name
        self.width = width
        self.distinct = distinct
        self.nulls = nulls
        self.deduplicates = deduplicates
        self.alignment = alignment
        self.variable = variable


TABLES = """
SELECT c.oid::regclass::text, c.oid,
       (SELECT COALESCE(sum(GREATEST(l.reltuples, 0)), 0) FROM pg_class l WHERE l.oid = ANY (p.leaves) OR l.oid = c.oid AND c.relkind = 'r'),
       CASE WHEN c.relkind = 'p' THEN ARRAY(SELECT u::regclass::text FROM unnest(p.leaves) u) ELSE ARRAY[c.oid::regclass::text] END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT ARRAY(SELECT relid::oid FROM pg_partition_tree(c.oid) WHERE isleaf AND c.relkind = 'p') AS leaves) p
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY (%s)
"""

# numeric, float and jsonb keys may be equal without being the same bytes: their B-trees do not deduplicate.
COLUMNS = """
SELECT a.attname, COALESCE(s.avg_width, NULLIF(t.typlen, -1), 16),
       COALESCE(s.n_distinct, -1), COALESCE(s.null_frac, 0),
       t.oid NOT IN ('numeric'::regtype, 'float4'::regtype, 'float8'::regtype, 'jsonb'::regtype),
       t.typalign, t.typlen < 0
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
                    AND s.inherited = (c.relkind = 'p')
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
  AND EXISTS (SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
              WHERE o.opcdefault AND (o.opcintype = t.oid OR o.opcintype = 'text'::regtype AND t.typname = 'varchar'
                                      OR o.opcintype = 'anyarray'::regtype AND t.typcategory = 'A'
                                      OR o.opcintype = 'anyenum'::regtype AND t.typcategory = 'E'))
ORDER BY a.attnum
"""

ALIGN = {"c": 1, "s": 2, "i": 4, "d": 8}


def read_catalog(cursor, schemas):
    cursor.execute(TABLES, (schemas,))
    tables = {}
    for name, relation, rows, leaves in cursor.fetchall():
        table = Table(name, relation, float(rows), leaves)
        cursor.execute(COLUMNS, (relation,))
        for column, width, distinct, nulls, deduplicates, align, variable in cursor.fetchall():
            count = distinct if distinct >= 0 else -distinct * table.rows
            table.columns[column] = Column(column, width, max(count, 1), nulls, deduplicates, ALIGN[align], variable)
        tables[name] = table
    return tables


WORD = re.compile(r"[a-z_][a-z0-9_]*")


def mentioned(sql, tables):
    """{table: columns} of the tables and of their columns that the text names: what the published algorithms call
    syntactically relevant. Columns of equal name count for each table that the statement reads."""
    text = re.sub(r"'(?:[^']|'')*'", "''", sql.lower())
    words = set(WORD.findall(text))
    found = {}
    for table in tables.values():
        if table.name.split(".")[-1] in words:
            columns = [name for name in table.columns if name in words]
            if columns:
                found[table.name] = columns
    return found


def btree_bytes(table, columns):
    """Size of a freshly built B-tree, by the layout of nbtsort.c: fill factor 90, posting lists of up to a tenth of a
    page. The peers are given this instead of HypoPG's size, which is up to three times too large for keys that repeat."""
    offset = 0
    for name in columns:
        column = table.columns[name]
        alignment = 1 if column.variable and column.width < 127 else column.alignment
        offset = -(-offset // alignment) * alignment + column.width * (1 - column.nulls)
    nulls = any(table.columns[name].nulls > 0 for name in columns)
    key = -(-int((16 if nulls else 8) + offset + 0.5) // 8) * 8
    distinct = 1.0
    for name in columns:
        distinct = min(distinct * table.columns[name].distinct, table.rows)
    total = 0.0
    leaves = len(table.leaves)
    rows = table.rows
    repeats = rows / max(distinct, 1)
    if repeats >= 1.5 and all(table.columns[name].deduplicates for name in columns):
        per_list = max((812 - key) // 6, 1)
        lists = -(-repeats // per_list)
        total = distinct * (lists * (key + 4) + repeats * 6)
    else:
        total = rows * (key + 4)
    pages = total / (0.9 * (8192 - 24 - 16)) * (1 + (key + 12) / 7000.0)
    return int(8192 * (pages + 2 * leaves))
