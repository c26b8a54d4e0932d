-- B-tree recommendations: covering, order, prefix search, partial, expressions; and where they would not pay.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
CREATE SCHEMA ab;
SET search_path = ab;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE doc (id int PRIMARY KEY, owner int NOT NULL, status text NOT NULL, kind int, deleted_at timestamptz, hidden boolean NOT NULL,
    name text, email varchar(80), code text COLLATE "C", data jsonb, ts timestamp, price numeric, filler text);
INSERT INTO doc SELECT i, i * 7919 % 5000, CASE WHEN i % 100 = 0 THEN 'open' WHEN i % 3 = 0 THEN 'done' ELSE 'closed' END, i % 7,
    CASE WHEN i % 20 = 0 THEN timestamptz '2026-05-01' + i * interval '1 second' END, i % 50 = 0, 'Name ' || i * 7919 % 30011, 'user' || i || '@ex' || i % 100 || '.org',
    md5(i::text), jsonb_build_object('k', i % 5000, 'n', i), timestamp '2026-01-01' + (i * 7919 % 60013) * interval '1 minute', i % 977, repeat('x', 60)
    FROM generate_series(1, 60000) i;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE doc;
CREATE FUNCTION advise(statement text, width int DEFAULT 3, kinds text[] DEFAULT NULL) RETURNS TABLE (key text, sound boolean) LANGUAGE sql AS $$
    SELECT regexp_replace(definition, '^CREATE INDEX (CONCURRENTLY )?[^ ]+ ON ab.doc USING ', ''),
           cost_after < cost_before AND size_bytes > 0 AND access_method = substring(definition FROM 'USING ([a-z]+)')
    FROM citadel.recommend_indexes(ARRAY[statement], NULL, width, index_kinds => kinds) ORDER BY 1
$$;
-- Covering: what is read besides the key comes along where the index is clearly smaller than the table, and not as a copy of it.
SELECT * FROM advise('SELECT sum(price) FROM doc WHERE ts BETWEEN ''2026-01-10'' AND ''2026-01-15''');
SELECT * FROM advise('SELECT * FROM doc WHERE ts BETWEEN ''2026-01-10'' AND ''2026-01-10 12:00''');
SELECT * FROM advise('SELECT sum(price) FROM doc WHERE ts BETWEEN ''2026-01-10'' AND ''2026-01-15''', kinds => '{btree}');
SELECT * FROM advise('SELECT kind, count(*) FROM doc GROUP BY kind');
-- Order and limit: directions and NULLS as the statement wants them, or wholly mirrored.
SELECT * FROM advise('SELECT * FROM doc WHERE owner = 5 ORDER BY price DESC LIMIT 5');
SELECT * FROM advise('SELECT * FROM doc ORDER BY price DESC NULLS LAST, ts LIMIT 5');
SELECT * FROM advise('SELECT * FROM doc ORDER BY price, ts DESC LIMIT 5');
SELECT * FROM advise('SELECT * FROM doc ORDER BY filler, price');
-- LIKE 'x%': the pattern class where the collation is not C; none for %x%, and none more when the pattern is unknown.
SELECT * FROM advise('SELECT * FROM doc WHERE name LIKE ''Name 777%''');
SELECT * FROM advise('SELECT * FROM doc WHERE email LIKE ''user5000%''');
SELECT * FROM advise('SELECT * FROM doc WHERE code LIKE ''abc%''');
SELECT * FROM advise('SELECT * FROM doc WHERE name ~ ''^Name 777''');
SELECT * FROM advise('SELECT * FROM doc WHERE starts_with(name, ''Name 777'')');
SELECT * FROM advise('SELECT * FROM doc WHERE name LIKE ''Name 777%''', kinds => '{btree}');
SELECT * FROM advise('SELECT * FROM doc WHERE name LIKE $1');
-- An index has one collation.
SELECT * FROM advise('SELECT * FROM doc WHERE name COLLATE "C" = ''Name 7''');
SELECT * FROM advise('SELECT * FROM doc WHERE name > ''Name 99'' COLLATE "C"');
-- Either side, casts that change nothing, other types of the family.
SELECT * FROM advise('SELECT * FROM doc WHERE 17 = owner');
SELECT * FROM advise('SELECT * FROM doc WHERE owner = 17::bigint');
SELECT * FROM advise('SELECT * FROM doc WHERE email = ''user5000@ex0.org''');
SELECT * FROM advise('SELECT * FROM doc WHERE 17 > owner');
SELECT * FROM advise('SELECT * FROM doc WHERE owner::numeric = 17', kinds => '{btree}');
SELECT * FROM advise('SELECT * FROM doc WHERE owner + 0 = kind');
SELECT * FROM advise('SELECT * FROM doc WHERE (5, 10) > (owner, kind)');
SELECT * FROM advise('SELECT * FROM doc WHERE hidden IS TRUE AND owner = 8');
-- Outer joins: the inner side can be looked up, the side whose rows are all kept cannot.
CREATE TABLE few AS SELECT i AS id, i * 31 AS doc_owner FROM generate_series(1, 20) i;
ANALYZE few;
SELECT * FROM advise('SELECT * FROM few LEFT JOIN doc ON doc.owner = few.doc_owner');
SELECT * FROM advise('SELECT * FROM few WHERE NOT EXISTS (SELECT FROM doc WHERE doc.owner = few.doc_owner)');
SELECT * FROM advise('SELECT * FROM few WHERE doc_owner IN (SELECT owner FROM doc WHERE kind = 3)');
SELECT * FROM advise('SELECT * FROM few, LATERAL (SELECT * FROM doc WHERE doc.owner = few.doc_owner ORDER BY doc.ts DESC LIMIT 1) newest');
-- Partial: flags, NULL tests and states that few or nearly all rows have; not categories, keys or parameters.
SELECT * FROM advise('SELECT * FROM doc WHERE status = ''open'' AND owner = 200');
SELECT * FROM advise('SELECT * FROM doc WHERE status = ''open''');
SELECT * FROM advise('SELECT * FROM doc WHERE hidden AND price > 900');
SELECT * FROM advise('SELECT * FROM doc WHERE deleted_at IS NOT NULL ORDER BY ts DESC LIMIT 5');
SELECT * FROM advise('SELECT * FROM doc WHERE kind = 3 AND owner = 17', width => 1);
SELECT key ~ 'WHERE' AS partial, sound FROM advise('SELECT * FROM doc WHERE status = $1 AND owner = 200');
SELECT key ~ 'WHERE' AS partial, sound FROM advise('SELECT * FROM doc WHERE status = ''open'' AND owner = 200', kinds => '{btree,include}');
-- Expressions, immutable ones.
SELECT * FROM advise('SELECT * FROM doc WHERE lower(name) = ''name 17''');
SELECT * FROM advise('SELECT * FROM doc WHERE data->>''k'' = ''17''');
SELECT * FROM advise('SELECT * FROM doc WHERE (data->>''k'')::int BETWEEN 17 AND 19');
SELECT * FROM advise('SELECT * FROM doc WHERE date_trunc(''day'', ts) = ''2026-01-20''');
SELECT * FROM advise('SELECT * FROM doc WHERE lower(name) LIKE ''name 777%''');
SELECT * FROM advise('SELECT * FROM doc ORDER BY lower(email) LIMIT 3');
SELECT * FROM advise('SELECT * FROM doc WHERE lower(email) = $1 AND kind = 3');
SELECT * FROM advise('SELECT * FROM doc WHERE date_trunc(''day'', deleted_at) = ''2026-05-01''');
SELECT * FROM advise('SELECT * FROM doc WHERE data->>$1 = ''17''');
SELECT * FROM advise('SELECT * FROM doc ORDER BY ts_rank(to_tsvector(''english'', name), to_tsquery(''english'', ''name'')) DESC LIMIT 5');
SELECT * FROM advise('SELECT sum(length(filler)) FROM doc WHERE ts < ''2026-01-10''', kinds => '{btree,include}');
SELECT * FROM advise('SELECT * FROM doc WHERE random() < 0.1 AND lower(name) || random()::text = ''x''');
SELECT * FROM advise('SELECT * FROM doc WHERE lower(name) = ''name 17''', kinds => '{btree,hash}');
-- What exists is not recommended again: covering, partial, expression, pattern.
CREATE INDEX ON doc (ts) INCLUDE (price);
CREATE INDEX ON doc (owner) WHERE status = 'open';
CREATE INDEX ON doc (lower(name));
CREATE INDEX ON doc (name varchar_pattern_ops);
CREATE INDEX ON doc (owner DESC, kind DESC);
ANALYZE doc;
SELECT * FROM advise('SELECT sum(price) FROM doc WHERE ts BETWEEN ''2026-01-10'' AND ''2026-01-15''');
SELECT * FROM advise('SELECT * FROM doc WHERE status = ''open'' AND owner = 200');
SELECT * FROM advise('SELECT * FROM doc WHERE lower(name) = ''name 17''');
SELECT * FROM advise('SELECT * FROM doc WHERE name LIKE ''Name 777%''');
SELECT * FROM advise('SELECT * FROM doc WHERE owner = 5 ORDER BY kind LIMIT 5');
-- A row that is too long keeps its column out of the index, and other partitions of its table do not help.
CREATE TABLE note (id int, kind int, body text, filler text) PARTITION BY RANGE (id);
CREATE TABLE note_1 PARTITION OF note FOR VALUES FROM (1) TO (10001);
CREATE TABLE note_2 PARTITION OF note FOR VALUES FROM (10001) TO (20001);
INSERT INTO note SELECT i, i % 5000, CASE WHEN i = 15000 THEN (SELECT string_agg(md5(j::text), '') FROM generate_series(1, 200) j) ELSE 'note ' || i END, repeat('x', 200)
    FROM generate_series(1, 20000) i;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE note;
CREATE FUNCTION advised(statement text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT relation || substring(definition FROM ' \(.*') FROM citadel.recommend_indexes(ARRAY[statement], index_kinds => '{btree,include,expression}') ORDER BY 1
$$;
SELECT * FROM advised('SELECT body FROM note_2 WHERE kind = 7');
SELECT * FROM advised('SELECT * FROM note_2 WHERE body = ''note 17''');
SELECT * FROM advised('SELECT id FROM note_2 WHERE lower(body) = ''note 17'' AND kind = 7');
SELECT * FROM advised('SELECT * FROM note WHERE body = ''note 17''');
SELECT * FROM advised('SELECT body FROM note WHERE kind = 7');
SELECT * FROM advised('SELECT * FROM note_1 WHERE body = ''note 17''');
-- The ends of several columns: each needs an index of its own, and none helps without the others.
SELECT * FROM advised('SELECT min(code), max(price), min(id), max(email) FROM doc');
SELECT * FROM advised('SELECT min(code), max(price), sum(kind) FROM doc');
SET client_min_messages = warning;
DROP SCHEMA ab CASCADE;
