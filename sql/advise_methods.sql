-- Recommendations of GIN, GiST, BRIN and hash indexes; and where they would not pay.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
CREATE SCHEMA am;
CREATE EXTENSION pg_trgm SCHEMA am;
CREATE EXTENSION btree_gist SCHEMA am;
RESET client_min_messages;
SET search_path = am;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE doc (id int PRIMARY KEY, data jsonb, tags text[], body text, name text, at timestamp NOT NULL, shuffled timestamp NOT NULL, span int4range, place point, area box, ip inet,
    room int, token text, hidden boolean);
INSERT INTO doc SELECT i, jsonb_build_object('k', i % 5000, 'kind', i % 7), ARRAY['t' || i % 2000, 'u' || i % 7], md5(i::text) || ' word' || i % 3000, 'Name ' || i * 7919 % 30011,
    timestamp '2026-01-01' + i * interval '1 minute', timestamp '2026-01-01' + (i * 7919 % 60013) * interval '1 minute', int4range(i, i + 10), point(i * 37 % 1000, i * 91 % 1009),
    box(point(i % 500, i % 300), point(i % 500 + 1, i % 300 + 1)), ('10.' || i % 200 || '.' || i % 250 || '.' || i % 13)::inet, i % 50, repeat(md5(i::text), 3), i % 50 = 0
    FROM generate_series(1, 60000) i;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE doc;
CREATE FUNCTION advise(statement text, kinds text[] DEFAULT NULL) RETURNS TABLE (key text, sound boolean) LANGUAGE sql AS $$
    SELECT regexp_replace(definition, '^CREATE INDEX (CONCURRENTLY )?[^ ]+ ON am.doc USING ', ''),
           cost_after < cost_before AND size_bytes > 0 AND access_method = substring(definition FROM 'USING ([a-z]+)')
    FROM citadel.recommend_indexes(ARRAY[statement], index_kinds => kinds) ORDER BY 1
$$;
-- GIN: jsonb, arrays, full text, trigrams.
SELECT * FROM advise('SELECT * FROM doc WHERE data @> ''{"k": 17}''');
SELECT * FROM advise('SELECT * FROM doc WHERE data ? ''nothing''');
SELECT * FROM advise('SELECT * FROM doc WHERE data->''kind'' @> ''3'' AND data @> ''{"k": 17}''', '{gin}');
SELECT * FROM advise('SELECT * FROM doc WHERE tags @> ARRAY[''t17'']');
SELECT * FROM advise('SELECT * FROM doc WHERE ARRAY[''t17''] <@ tags');
SELECT * FROM advise('SELECT * FROM doc WHERE tags && ARRAY[''t17'', ''t18'']');
SELECT * FROM advise('SELECT * FROM doc WHERE to_tsvector(''english'', body) @@ to_tsquery(''english'', ''word17'')');
SELECT * FROM advise('SELECT * FROM doc WHERE name LIKE ''%777%''');
SELECT * FROM advise('SELECT * FROM doc WHERE name ILIKE ''%e 777%''');
SELECT * FROM advise('SELECT * FROM doc WHERE name ~ ''e 77+''');
SELECT * FROM advise('SELECT * FROM doc WHERE tags @> ARRAY[''t17''] OR data @> ''{"k": 17}''');
SELECT * FROM advise('SELECT * FROM doc WHERE hidden AND tags @> ARRAY[''t50'']');
-- Not: what nearly all rows have, a configuration that may change, an element of the column, kinds that are off.
SELECT * FROM advise('SELECT count(body) FROM doc WHERE tags && ARRAY[''u0'', ''u1'', ''u2'', ''u3'', ''u4'', ''u5'']');
SELECT * FROM advise('SELECT * FROM doc WHERE to_tsvector(body) @@ to_tsquery(''word17'')');
SELECT * FROM advise('SELECT * FROM doc WHERE ''t17'' = ANY (tags)');
SELECT * FROM advise('SELECT * FROM doc WHERE tags @> ARRAY[''t17'']', '{btree,gist}');
-- GiST: ranges, geometry, networks, nearest neighbours.
SELECT * FROM advise('SELECT * FROM doc WHERE span @> 500');
SELECT * FROM advise('SELECT * FROM doc WHERE span && int4range(500, 510)');
SELECT * FROM advise('SELECT * FROM doc WHERE place <@ box(point(1, 1), point(5, 5))');
SELECT * FROM advise('SELECT * FROM doc WHERE area && box(point(1, 1), point(2, 2))');
SELECT * FROM advise('SELECT * FROM doc WHERE ip && ''10.3.4.0/24''');
SELECT * FROM advise('SELECT * FROM doc WHERE ip << ''10.3.4.0/24''', '{btree}');
SELECT * FROM advise('SELECT * FROM doc ORDER BY place <-> point(3, 4) LIMIT 5');
SELECT * FROM advise('SELECT * FROM doc ORDER BY point(3, 4) <-> place LIMIT 5');
SELECT * FROM advise('SELECT * FROM doc ORDER BY room <-> 17 LIMIT 5');
SELECT * FROM advise('SELECT * FROM doc ORDER BY name <-> ''name 777'' LIMIT 5');
SELECT * FROM advise('SELECT id FROM doc ORDER BY place <-> point(3, 4) DESC LIMIT 5', '{gist}');
SELECT * FROM advise('SELECT place FROM doc WHERE name LIKE ''%77%''', '{btree,include}');
SELECT * FROM advise('SELECT * FROM doc WHERE NOT (span @> 500)');
-- BRIN: where values lie in the order of the rows, in a large table; B-trees switched off, they find more but are larger.
SELECT * FROM advise('SELECT * FROM doc WHERE at BETWEEN ''2026-01-20'' AND ''2026-01-21''', '{brin}');
SELECT * FROM advise('SELECT * FROM doc WHERE shuffled BETWEEN ''2026-01-20'' AND ''2026-01-21''', '{brin}');
-- Hash: equality of long values; not of short ones, and not where a B-tree does it already.
SELECT * FROM advise('SELECT * FROM doc WHERE token = ''x''');
SELECT * FROM advise('SELECT * FROM doc WHERE room = 7 AND token = ''x''', '{hash}');
SELECT * FROM advise('SELECT * FROM doc WHERE room = 70', '{hash}');
SELECT * FROM advise('SELECT * FROM doc WHERE token > ''fff''', '{hash}');
CREATE INDEX ON doc (token);
CREATE INDEX ON doc USING gin (data);
CREATE INDEX ON doc USING gist (place, span);
SELECT * FROM advise('SELECT * FROM doc WHERE token = ''x''', '{hash}');
SELECT * FROM advise('SELECT * FROM doc WHERE data ? ''nothing''', '{gin}');
SELECT * FROM advise('SELECT * FROM doc WHERE span @> 500', '{gist}');
SET client_min_messages = warning;
DROP SCHEMA am CASCADE;
