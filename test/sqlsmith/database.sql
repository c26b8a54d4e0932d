-- What sqlsmith makes statements about: the tasks application, tables and views of many types, and ways to call every
-- function of ours. Its roles see their functions through a view of pg_proc of their own (see roles.sql).
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE EXTENSION citadel_opt CASCADE;
CREATE EXTENSION citadel_tasks;
SELECT citadel_tasks.setup_partitions(6, 3) \g /dev/null
SELECT citadel_tasks.generate_tasks(2000, 7, date_trunc('day', now(), 'UTC'), 5) \g /dev/null

CREATE SCHEMA many;
CREATE TYPE many.mood AS ENUM ('sad', 'ok', 'happy', 'O''Neil; --');
CREATE DOMAIN many.positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN many.word AS text CHECK (VALUE !~ ' ');
CREATE TYPE many.pair AS (a integer, b text);
CREATE TYPE many.span AS RANGE (subtype = float8);

CREATE TABLE many.scalars AS
SELECT g AS id, (g % 5)::smallint AS small, g::bigint * 1000003 AS big, g / 3.0 AS num, sqrt(g)::real AS single,
       CASE WHEN g % 50 = 0 THEN 'NaN' ELSE ln(g) END::float8 AS double, g % 2 = 0 AS flag, md5(g::text) AS words,
       left(md5(g::text), 3)::char(5) AS padded, chr(65 + g % 26)::"char" AS one, ('n' || g)::name AS ident,
       decode(md5(g::text), 'hex') AS bytes, (g % 7)::many.positive::integer + 1 AS pos,
       (ARRAY['sad', 'ok', 'happy', 'O''Neil; --']::many.mood[])[1 + g % 4] AS mood, ROW(g, 'b')::many.pair AS pair,
       md5(g::text)::uuid AS key, ('10.0.' || g % 200 || '.1')::inet AS address, '08:00:2b:01:02:03'::macaddr AS mac,
       g::text::money AS price, (g % 16)::bit(4) AS bits, now() - g * interval '1 hour' AS at, date '2020-02-29' + g AS day,
       time '00:00' + g * interval '1 min' AS clock, g * interval '1 day' AS wait, ('<a>' || g || '</a>')::xml AS doc,
       to_tsvector('english', 'some words of row ' || g) AS vector, NULLIF(g % 3, 0) AS maybe
FROM generate_series(1, 1500) AS g WHERE g % 7 > 0;
ALTER TABLE many.scalars ADD PRIMARY KEY (id), ALTER words SET STATISTICS 10;
CREATE INDEX ON many.scalars (lower(words), big) INCLUDE (small) WHERE flag;
CREATE STATISTICS many.together (ndistinct, dependencies, mcv) ON small, pos, flag FROM many.scalars;

CREATE TABLE many.nested AS
SELECT g AS id, ARRAY[g, g % 3, NULL] AS ints, ARRAY['a', 'b' || g % 9] AS texts, ARRAY[ARRAY[1, 2], ARRAY[g, 3]] AS square,
       jsonb_build_object('a', g, 'b', jsonb_build_array(g % 4, NULL, 'x'), 'c"d', 'O''Neil') AS json_b,
       json_build_object('k', g) AS json_t, int4range(g, g + 5) AS ints_between,
       tstzrange(now() - g * interval '1 h', now(), '[]') AS times_between, many.span(g, g + 0.5) AS floats_between,
       int4multirange(int4range(g, g + 1), int4range(g + 7, g + 9)) AS ranges, point(g, g % 7) AS place,
       box(point(0, 0), point(g, g)) AS area, circle(point(g, 0), 2) AS round, polygon(box(point(0, 0), point(g, 1))) AS shape,
       lseg(point(0, 0), point(g, g)) AS line_part, path(polygon(box(point(0, 0), point(1, g)))) AS way
FROM generate_series(1, 800) AS g;
CREATE INDEX ON many.nested USING gin (json_b);
CREATE INDEX ON many.nested USING gist (place);
CREATE INDEX ON many.nested USING gist (times_between);

CREATE TABLE many.parts (id bigint, region text, at timestamptz, amount numeric) PARTITION BY LIST (region);
CREATE TABLE many.parts_north PARTITION OF many.parts FOR VALUES IN ('north', NULL) PARTITION BY RANGE (id);
CREATE TABLE many.parts_north_1 PARTITION OF many.parts_north FOR VALUES FROM (MINVALUE) TO (500);
CREATE TABLE many.parts_north_2 (amount numeric, id bigint, at timestamptz, region text);
ALTER TABLE many.parts_north ATTACH PARTITION many.parts_north_2 FOR VALUES FROM (500) TO (MAXVALUE);
CREATE TABLE many.parts_else PARTITION OF many.parts DEFAULT PARTITION BY HASH (id);
CREATE TABLE many.parts_else_0 PARTITION OF many.parts_else FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE many.parts_else_1 PARTITION OF many.parts_else FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO many.parts SELECT g, (ARRAY['north', NULL, 'south', 'east'])[1 + g % 4], now() - g * interval '1 day', g % 10
FROM generate_series(1, 2000) AS g;
CREATE TABLE many.empty (a integer, b text COLLATE "C", c integer GENERATED ALWAYS AS (a * 2) STORED, UNIQUE (a, b));
CREATE TABLE many.base (a integer, b text);
CREATE TABLE many.child (c float8) INHERITS (many.base);
INSERT INTO many.base SELECT g, g::text FROM generate_series(1, 100) AS g;
INSERT INTO many.child SELECT g, g::text, g FROM generate_series(1, 300) AS g;
CREATE TABLE many.guarded (id integer, owner name, secret text);
ALTER TABLE many.guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON many.guarded USING (owner = CURRENT_USER);
INSERT INTO many.guarded SELECT g, (ARRAY['smith_user', 'postgres'])[1 + g % 2], md5(g::text) FROM generate_series(1, 400) AS g;
CREATE VIEW many.joined WITH (security_barrier) AS
SELECT s.id, s.mood, n.json_b, n.ints, p.amount FROM many.scalars AS s JOIN many.nested AS n USING (id) LEFT JOIN many.parts AS p ON p.id = s.id AND s.flag;
CREATE VIEW many.summed AS SELECT region, count(*), sum(amount) FROM many.parts GROUP BY ROLLUP (region);
CREATE MATERIALIZED VIEW many.kept AS SELECT small, array_agg(id) AS ids FROM many.scalars GROUP BY small;
CREATE VIEW many.windowed AS SELECT id, lag(big) OVER (PARTITION BY small ORDER BY id) AS before, ntile(4) OVER () AS quarter FROM many.scalars;
CREATE FUNCTION many.twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION many.looked_up(n integer) RETURNS text LANGUAGE plpgsql STABLE AS
    'DECLARE r text; BEGIN SELECT words INTO r FROM many.scalars WHERE id = n; RETURN r; END';
CREATE FUNCTION many.fails(n integer) RETURNS integer LANGUAGE plpgsql AS
    'BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN RETURN n / (n - n); END';
CREATE FUNCTION many.written(n integer) RETURNS bigint LANGUAGE sql AS
    'INSERT INTO many.base SELECT g, ''w'' FROM generate_series(1, n % 5) AS g; SELECT count(*) FROM many.base';
CREATE INDEX ON many.scalars (many.twice(small));
ANALYZE;
