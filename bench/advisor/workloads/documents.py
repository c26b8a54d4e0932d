"""Documents with jsonb, arrays, full text, ranges, addresses and points: what B-trees serve badly or not at all, beside
statements that they serve well."""
from model import Statement, Workload

ROWS = {"quick": 60_000, "full": 400_000}

SCHEMA = """
CREATE TABLE author (au_id int PRIMARY KEY, au_name text NOT NULL, au_email text NOT NULL, au_joined timestamptz NOT NULL);
INSERT INTO author SELECT g, initcap(md5(g::text)) || ' ' || initcap(left(md5((g * 7)::text), 6)),
    'User' || g || '@Mail' || g % 50 || '.example', timestamptz '2015-01-01' + g * interval '3 hours'
FROM generate_series(1, {rows} / 10) AS g;
CREATE TABLE document (do_id int PRIMARY KEY, do_author int NOT NULL, do_title text NOT NULL, do_body text NOT NULL,
    do_words tsvector NOT NULL, do_tags text[] NOT NULL, do_attributes jsonb NOT NULL, do_valid daterange NOT NULL,
    do_place point NOT NULL, do_from inet NOT NULL, do_created timestamptz NOT NULL, do_state text NOT NULL,
    do_deleted boolean NOT NULL);
INSERT INTO document SELECT g, 1 + floor({rows} / 10 * power(random(), 2))::int, t.title, t.body, to_tsvector('english', t.body),
    ARRAY['tag ' || floor(2000 * power(random(), 2))::int, 'tag ' || floor(2000 * power(random(), 2))::int,
          'topic ' || g % 300],
    jsonb_build_object('kind', (ARRAY['note', 'letter', 'report', 'invoice', 'image'])[1 + floor(5 * power(random(), 2))::int],
        'pages', floor(200 * power(random(), 3))::int, 'customer', floor(8000 * power(random(), 1.5))::int,
        'labels', jsonb_build_array('l' || g % 97, 'l' || g % 89))
        || CASE WHEN g % 40 = 0 THEN jsonb_build_object('urgent', true) ELSE '{{}}' END,
    daterange(d.day, d.day + 1 + (random() * 60)::int), point(1000 * random(), 1000 * random()),
    ('10.' || g % 200 || '.' || floor(250 * random())::int || '.' || g % 251)::inet,
    d.day + interval '1 second' * floor(86400 * random()),
    (ARRAY['published', 'draft', 'review', 'rejected'])[1 + floor(4 * power(random(), 4))::int], random() < 0.03
FROM generate_series(1, {rows}) AS g
CROSS JOIN LATERAL (SELECT date '2019-01-01' + (2100.0 * g / {rows})::int AS day OFFSET 0) AS d
CROSS JOIN LATERAL (SELECT string_agg(w.word, ' ') AS body, 'Document ' || g || ' on ' || min(w.word) || ' and ' || max(w.word) AS title
    FROM (SELECT 'w' || translate((floor(4000 * power(random(), 3)))::text, '0123456789', 'aeioubcdfg') || CASE WHEN g < 0 THEN 'x' ELSE '' END
          AS word FROM generate_series(1, 25)) AS w) AS t;
CREATE TABLE revision (re_id bigint PRIMARY KEY, re_document int NOT NULL, re_at timestamptz NOT NULL, re_hash text NOT NULL,
    re_change jsonb NOT NULL, re_size int NOT NULL);
INSERT INTO revision SELECT g, 1 + floor({rows} * power(random(), 1.5))::int, timestamptz '2019-01-01' + interval '1 second' *
    (181440000.0 * g / ({rows} * 3)), md5(g::text) || md5((g + 1)::text), jsonb_build_object('by', g % 3000, 'lines', g % 40),
    100 + (g * 37) % 5000
FROM generate_series(1, {rows} * 3) AS g;
"""

TEMPLATES = [
    ("by_customer", """SELECT do_id, do_title FROM document WHERE do_attributes @> '{{"customer": {0}}}'""", [7001, 512]),
    ("urgent", """SELECT do_id, do_created FROM document WHERE do_attributes ? 'urgent' AND do_attributes @> '{{"kind": "{0}"}}' ORDER BY """
     "do_created DESC LIMIT 20", ["image", "letter"]),
    ("label", """SELECT count(*) FROM document WHERE do_attributes -> 'labels' ? '{0}'""", ["l11", "l88"]),
    ("pages", "SELECT do_id FROM document WHERE (do_attributes ->> 'pages')::int = {0}", [197, 190]),
    ("kind_text", "SELECT count(*) FROM document WHERE do_attributes ->> 'customer' = '{0}'", ["77", "6100"]),
    ("tagged", "SELECT do_id, do_title FROM document WHERE do_tags @> ARRAY['tag {0}'] AND NOT do_deleted", [1500, 888]),
    ("any_tag", "SELECT count(*) FROM document WHERE do_tags && ARRAY['tag {0}', 'topic 17']", [1999, 1200]),
    ("words", "SELECT do_id, ts_rank(do_words, q) FROM document, to_tsquery('english', '{0}') AS q WHERE do_words @@ q ORDER BY 2 DESC "
     "LIMIT 10", ["wieob & woaea", "wcfgd"]),
    ("words_recent", "SELECT do_id FROM document WHERE do_words @@ to_tsquery('english', '{0}') AND do_created > '2024-06-01' ORDER BY "
     "do_created DESC LIMIT 20", ["wiuoe", "wbbaa"]),
    ("title_words", "SELECT do_id FROM document WHERE to_tsvector('english', do_title) @@ to_tsquery('english', '{0}')",
     ["wdgag", "wfffa"]),
    ("title_prefix", "SELECT do_id, do_title FROM document WHERE do_title LIKE 'Document {0}%'", [4711, 3333]),
    ("title_part", "SELECT do_id, do_title FROM document WHERE do_title ILIKE '%{0}%'", ["wdcab and", "wggfe"]),
    ("mail", "SELECT au_id, au_name FROM author WHERE lower(au_email) = 'user{0}@mail{1}.example'", [(1234, 34), (5001, 1)]),
    ("name_prefix", "SELECT au_id FROM author WHERE lower(au_name) LIKE '{0}%'", ["ab12", "ffe0"]),
    ("valid_on", "SELECT count(*) FROM document WHERE do_valid @> date '{0}'", ["2023-02-03", "2021-11-11"]),
    ("nearest", "SELECT do_id FROM document ORDER BY do_place <-> point({0}, {0}) LIMIT 10", [500, 20]),
    ("in_box", "SELECT count(*) FROM document WHERE do_place <@ box(point({0}, {0}), point({0} + 10, {0} + 10))", [100, 870]),
    ("from_net", "SELECT count(*) FROM document WHERE do_from << inet '10.{0}.7.0/24'", [11, 180]),
    ("of_author", "SELECT do_id, do_title, do_created FROM document WHERE do_author = {0} AND NOT do_deleted ORDER BY do_created DESC LIMIT "
     "20", [39, 4400]),
    ("drafts", "SELECT do_id, do_title FROM document WHERE do_state = 'rejected' AND do_deleted AND do_created >= '{0}'",
     ["2024-01-01", "2022-06-01"]),
    ("per_month", "SELECT date_trunc('month', re_at AT TIME ZONE 'UTC'), count(*), sum(re_size) FROM revision WHERE re_at >= '{0}' AND re_at < "
     "timestamptz '{0}' + interval '7 days' GROUP BY 1", ["2023-05-01", "2020-09-01"]),
    ("on_day", "SELECT count(*) FROM revision WHERE (re_at AT TIME ZONE 'UTC')::date = '{0}'", ["2024-02-29", "2019-10-10"]),
    ("revisions", "SELECT re_at, re_size FROM revision WHERE re_document = {0} ORDER BY re_at DESC LIMIT 5", [1000, 50_001]),
    ("hash", "SELECT re_id FROM revision WHERE re_hash = md5('{0}') || md5('{1}')", [(17, 18), (90_000, 90_001)]),
    ("changed_by", """SELECT count(*) FROM revision WHERE re_change @> '{{"by": {0}}}'""", [77, 2900]),
    ("author_docs", "SELECT au_name, count(*) FROM author JOIN document ON do_author = au_id WHERE lower(au_email) = "
     "'user{0}@mail{1}.example' GROUP BY au_name", [(150, 0), (3021, 21)]),
]


def build(cursor, size):
    cursor.execute("SELECT setseed(0.3)")
    cursor.execute(SCHEMA.format(rows=ROWS[size]))


def statements(_size):
    return [Statement(f"{name}_{i + 1}", sql.format(*(value if isinstance(value, tuple) else (value,))))
            for name, sql, values in TEMPLATES for i, value in enumerate(values)]


WORKLOAD = Workload("documents", "jsonb, text search, arrays, ranges, points", build, statements, beyond_btree=True)
