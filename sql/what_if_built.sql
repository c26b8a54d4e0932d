-- Hypothetical indexes against the same indexes really built: the planner's cost of a statement with each, and the
-- size. Tables are smaller than ANALYZE's sample, so both sides know the same.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
CREATE SCHEMA wb;
SET search_path = wb;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE fact (id int, day date, kind int, price numeric(9, 2), name text, email text, gone timestamptz, code bigint, state text, near point, span int4range, host inet);
INSERT INTO fact
SELECT i, date '2020-01-01' + i / 20, (i * 7919) % 20, ((i * 31) % 500)::numeric / 4, 'Name of ' || (i * 13) % 9000,
    md5((i % 15000)::text) || '@example.org', CASE WHEN i % 50 = 0 THEN timestamptz '2026-01-01' + i * interval '1 minute' END,
    (i * 7919::bigint) % 3000, (ARRAY['open', 'paid', 'sent'])[1 + (i * 7) % 3],
    point((i * 37) % 1000, (i * 91) % 1000), int4range(i % 9000, i % 9000 + 10), ('10.0.' || (i * 17) % 256 || '.' || i % 250)::inet
FROM generate_series(1, 28000) i;
CREATE TABLE doc (id int, body jsonb, tags text[], words tsvector, title text);
INSERT INTO doc
SELECT i, jsonb_build_object('kind', i % 40, 'owner', 'user ' || (i * 7919) % 900, 'size', i % 1000),
    ARRAY['t' || i % 100, 'u' || (i * 31) % 700, 'v' || i % 5], to_tsvector('simple', 'word' || i % 3000 || ' term' || (i * 7) % 500 || ' all'),
    'title ' || (i * 7919) % 10000
FROM generate_series(1, 15000) i;
CREATE TABLE part (id int, at date NOT NULL, owner int, label text) PARTITION BY RANGE (at);
CREATE TABLE part_new (label text, owner int, unused int, id int, at date NOT NULL);
ALTER TABLE part_new DROP COLUMN unused;
CREATE TABLE part_old PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
ALTER TABLE part ATTACH PARTITION part_new FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO part SELECT i, date '2026-01-01' + i % 59, (i * 31) % 3000, 'Label ' || i % 700 FROM generate_series(1, 20000) i;
CALL public.wait_for_old_snapshots();
VACUUM (ANALYZE) fact;
CALL public.wait_for_old_snapshots();
VACUUM (ANALYZE) doc;
CALL public.wait_for_old_snapshots();
VACUUM (ANALYZE) part;

CREATE FUNCTION cost_of(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Total Cost')::float8;
END $$;
-- What the hypothetical index says, then what the built one does; `cost` and `size` are the errors in per cent, allowed
-- up to the limits given, and shown only when they are larger.
CREATE PROCEDURE compare(title text, query text, definition text, size_limit float8, cost_limit float8 DEFAULT 1) LANGUAGE plpgsql AS $$
DECLARE
    said citadel.what_if_result;
    built bigint;
    real_cost float8;
    cost_error float8;
    size_error float8;
BEGIN
    said := citadel.what_if(query, ARRAY[definition]);
    EXECUTE definition;
    EXECUTE 'ANALYZE ' || substring(definition FROM ' ON (\w+)');
    SELECT sum(pg_relation_size(oid)) INTO built FROM pg_class WHERE (relname LIKE 'wb_built%' OR relname LIKE 'part\_%idx') AND relkind = 'i' AND relnamespace = 'wb'::regnamespace;
    real_cost := cost_of(query);
    EXECUTE 'DROP INDEX wb_built';
    cost_error := round((100 * (said.cost_after / real_cost - 1))::numeric, 1);
    size_error := round((100 * (said.index_bytes[1]::float8 / built - 1))::numeric, 1);
    RAISE NOTICE '%: used %, cost %, size %', title, said.indexes_used <> '{}',
        CASE WHEN abs(cost_error) <= cost_limit THEN 'right' ELSE format('%s %% off (%s for %s)', cost_error, said.cost_after, real_cost) END,
        CASE WHEN abs(size_error) <= size_limit THEN 'right' ELSE format('%s %% off (%s for %s)', size_error, said.index_bytes[1], built) END;
END $$;

-- B-trees
CALL compare('unique values', 'SELECT * FROM fact WHERE id = 77', 'CREATE INDEX wb_built ON fact (id)', 2);
CALL compare('duplicates', 'SELECT * FROM fact WHERE code = 77', 'CREATE INDEX wb_built ON fact (code)', 5);
CALL compare('numeric, which is not deduplicated', 'SELECT * FROM fact WHERE price = 77.5', 'CREATE INDEX wb_built ON fact (price)', 5);
CALL compare('text', 'SELECT * FROM fact WHERE name = ''Name of 13''', 'CREATE INDEX wb_built ON fact (name)', 5);
CALL compare('two columns', 'SELECT * FROM fact WHERE kind = 3 AND day < ''2020-02-01''', 'CREATE INDEX wb_built ON fact (kind, day)', 5);
CALL compare('columns that depend on each other', 'SELECT * FROM fact WHERE code = 3 AND kind = 1', 'CREATE INDEX wb_built ON fact (code, kind)', 5);
CALL compare('descending, for a limit', 'SELECT * FROM fact WHERE kind = 3 ORDER BY day DESC NULLS LAST LIMIT 10', 'CREATE INDEX wb_built ON fact (kind, day DESC NULLS LAST)', 5);
CALL compare('included columns', 'SELECT id, state FROM fact WHERE id < 500', 'CREATE INDEX wb_built ON fact (id) INCLUDE (state)', 5);
CALL compare('fill factor', 'SELECT * FROM fact WHERE id = 77', 'CREATE INDEX wb_built ON fact (id) WITH (fillfactor = 50)', 5);
CALL compare('another operator class', 'SELECT * FROM fact WHERE name LIKE ''Name of 13%''', 'CREATE INDEX wb_built ON fact (name text_pattern_ops)', 5);
CALL compare('partial', 'SELECT * FROM fact WHERE code = 50 AND gone IS NOT NULL', 'CREATE INDEX wb_built ON fact (code) WHERE gone IS NOT NULL', 10);
CALL compare('partial by a value', 'SELECT id FROM fact WHERE id < 900 AND state = ''open''', 'CREATE INDEX wb_built ON fact (id) WHERE state = ''open''', 5);
CALL compare('expression', 'SELECT * FROM fact WHERE lower(email) = ''x''', 'CREATE INDEX wb_built ON fact (lower(email))', 5);
CALL compare('expression over two columns', 'SELECT * FROM fact WHERE id % 100 + kind = 4', 'CREATE INDEX wb_built ON fact ((id % 100 + kind))', 10);
CALL compare('expression range', 'SELECT * FROM fact WHERE (price * 2) > 240', 'CREATE INDEX wb_built ON fact ((price * 2))', 5);
CALL compare('jsonb member', 'SELECT * FROM doc WHERE body ->> ''owner'' = ''user 5''', 'CREATE INDEX wb_built ON doc ((body ->> ''owner''))', 10);
CALL compare('partitions', 'SELECT * FROM part WHERE owner = 9', 'CREATE INDEX wb_built ON part (owner)', 5);
CALL compare('expression and predicate on partitions', 'SELECT * FROM part WHERE upper(label) = ''LABEL 9'' AND owner > 100', 'CREATE INDEX wb_built ON part (upper(label)) WHERE owner > 100', 5);
-- "name" is kept without what it is padded with; values longer than half a kilobyte are compressed, unless the column is not.
CREATE TABLE long (id int, label name, body text, raw text);
ALTER TABLE long ALTER raw SET STORAGE EXTERNAL;
INSERT INTO long SELECT i, 'label ' || i % 9000, repeat('word ' || i % 977 || ' ', 120) || i, repeat('word ' || i % 977 || ' ', 80) || i FROM generate_series(1, 9000) i;
CALL public.wait_for_old_snapshots();
VACUUM (ANALYZE) long;
CALL compare('a name', 'SELECT * FROM long WHERE label = ''label 5''', 'CREATE INDEX wb_built ON long (label)', 5);
CALL compare('a name that is included', 'SELECT label FROM long WHERE id = 5', 'CREATE INDEX wb_built ON long (id) INCLUDE (label)', 5);
CALL compare('compressed', 'SELECT * FROM long WHERE body = ''x''', 'CREATE INDEX wb_built ON long (body)', 5);
CALL compare('compressed expression', 'SELECT * FROM long WHERE upper(body) = ''x''', 'CREATE INDEX wb_built ON long (upper(body))', 5);
CALL compare('not compressed', 'SELECT * FROM long WHERE raw = ''x''', 'CREATE INDEX wb_built ON long (raw)', 10);
-- The others
CALL compare('hash', 'SELECT * FROM fact WHERE email = ''x''', 'CREATE INDEX wb_built ON fact USING hash (email)', 15);
CALL compare('hash of few values', 'SELECT * FROM fact WHERE kind = 3', 'CREATE INDEX wb_built ON fact USING hash (kind)', 15);
CALL compare('BRIN', 'SELECT * FROM fact WHERE day < ''2020-01-05''', 'CREATE INDEX wb_built ON fact USING brin (day)', 30);
CALL compare('GIN, jsonb', 'SELECT * FROM doc WHERE body @> ''{"owner": "user 5"}''', 'CREATE INDEX wb_built ON doc USING gin (body)', 10);
CALL compare('GIN, jsonb paths', 'SELECT * FROM doc WHERE body @> ''{"owner": "user 5"}''', 'CREATE INDEX wb_built ON doc USING gin (body jsonb_path_ops)', 10);
CALL compare('GIN, array', 'SELECT * FROM doc WHERE tags @> ''{t7,v2}''', 'CREATE INDEX wb_built ON doc USING gin (tags)', 10);
CALL compare('GIN, text search', 'SELECT * FROM doc WHERE words @@ ''word7 & term5''', 'CREATE INDEX wb_built ON doc USING gin (words)', 10);
CALL compare('GIN, expression', 'SELECT * FROM doc WHERE to_tsvector(''simple'', title) @@ ''77''', 'CREATE INDEX wb_built ON doc USING gin (to_tsvector(''simple'', title))', 10);
CALL compare('GiST, range', 'SELECT * FROM fact WHERE span @> 77', 'CREATE INDEX wb_built ON fact USING gist (span)', 30, 3);
CALL compare('GiST, nearest', 'SELECT * FROM fact ORDER BY near <-> point(3, 4) LIMIT 5', 'CREATE INDEX wb_built ON fact USING gist (near)', 10, 10);
CALL compare('GiST, network', 'SELECT * FROM fact WHERE host << ''10.0.7.0/24''', 'CREATE INDEX wb_built ON fact USING gist (host inet_ops)', 30, 3);

-- A row that is too long for the index: what_if() says what CREATE INDEX would.
INSERT INTO long SELECT 0, 'x', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 200) i), 'x';
CREATE INDEX wb_built ON long (lower(body));
SELECT citadel.what_if('SELECT * FROM long WHERE lower(body) = ''x''', ARRAY['CREATE INDEX wb_built ON long (lower(body))']);
SELECT indexes_used FROM citadel.what_if('SELECT * FROM long WHERE lower(body) = ''x'' AND id > 0', ARRAY['CREATE INDEX wb_built ON long (lower(body)) WHERE id > 0']);
SELECT indexes_used FROM citadel.what_if('SELECT * FROM long WHERE lower(body) = ''x''', ARRAY['CREATE INDEX wb_built ON long USING hash (lower(body))']);
INSERT INTO doc (id, tags) SELECT 0, ARRAY[body, 'x'] FROM long WHERE id = 0;
CREATE INDEX wb_built ON doc USING gin (tags);
SELECT indexes_used FROM citadel.what_if('SELECT * FROM doc WHERE tags @> ''{t7,v2}''', ARRAY['CREATE INDEX wb_built ON doc USING gin (tags)']);
SELECT count(*) FROM citadel.recommend_indexes(ARRAY['SELECT * FROM doc WHERE tags @> ''{t7,v2}''']);

-- Both sides know the expression: without an index in use, the estimate is that of the built index.
SELECT (plan_before -> 0 -> 'Plan' ->> 'Plan Rows')::int < 10 AS knows
FROM citadel.what_if('SELECT * FROM fact WHERE lower(email) = ''x''', ARRAY['CREATE INDEX ON fact (lower(email))']);
-- Functions of others than superusers never run, so nothing is known of their values; nor of what fails for a row.
CREATE FUNCTION spy(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'seen %', $1; RETURN $1; END $$;
SELECT indexes_used, index_bytes[1] > 0 AS sized FROM citadel.what_if('SELECT * FROM fact WHERE spy(id) = 3', ARRAY['CREATE INDEX spied ON fact (spy(id))']);
SELECT indexes_used, index_bytes[1] > 0 AS sized FROM citadel.what_if('SELECT * FROM fact WHERE name::int = 3', ARRAY['CREATE INDEX failing ON fact ((name::int))']);
SET client_min_messages = warning;
DROP SCHEMA wb CASCADE;
