-- Archives of whole tables: the hash of their content, the destinations, verification, reading them where they lie.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
ALTER TABLE citadel.archive_entry ALTER COLUMN archive_id RESTART WITH 7001;
CREATE SCHEMA arc;
SET search_path = arc, public;
CREATE ROLE regress_archivist;
CREATE ROLE regress_reader;
GRANT ALL ON SCHEMA arc TO regress_archivist;
GRANT USAGE ON SCHEMA arc TO regress_reader;

-- A row's binary form tells what its text or its equality does not.
CREATE TABLE numbers (a numeric, b text, c json, d point);
INSERT INTO numbers VALUES (1.0, '', '{"a": 1}', '(1,2)');
SELECT hash AS before FROM citadel.content_hash('numbers') \gset
SELECT rows, length(hash) FROM citadel.content_hash('numbers');
UPDATE numbers SET a = 1.00;
SELECT hash = :'before' AS same FROM citadel.content_hash('numbers');
UPDATE numbers SET a = 1.0, b = NULL;
SELECT hash = :'before' AS same FROM citadel.content_hash('numbers');
UPDATE numbers SET b = '', c = '{"a":1}';
SELECT hash = :'before' AS same FROM citadel.content_hash('numbers');
UPDATE numbers SET c = '{"a": 1}';
SELECT hash = :'before' AS same FROM citadel.content_hash('numbers');

-- Neither order nor layout nor dropped columns matter; toasted values and generated columns are content.
CREATE TABLE mixed (id int, dropped text DEFAULT 'x', long text, twice int GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE mixed ALTER long SET STORAGE EXTERNAL;
INSERT INTO mixed SELECT i, 'x', repeat('long ', 1000 * (i % 3)) FROM generate_series(1, 300) AS i;
CREATE TABLE shuffled AS SELECT id, long, twice FROM mixed ORDER BY id % 7, id DESC;
ALTER TABLE mixed DROP COLUMN dropped;
SELECT a.rows, a.hash = b.hash AS same FROM citadel.content_hash('mixed') AS a, citadel.content_hash('shuffled') AS b;
SELECT a.hash = b.hash AS same
FROM citadel.content_hash('mixed') AS a, citadel.content_hash('mixed', 'true') AS b;
SELECT rows FROM citadel.content_hash('mixed', 'id <= 10');
UPDATE shuffled SET long = overlay(long PLACING 'l' FROM 4000 FOR 1) WHERE id = 299;
SELECT a.rows, a.hash = b.hash AS same FROM citadel.content_hash('mixed') AS a, citadel.content_hash('shuffled') AS b;
SELECT * FROM citadel.content_hash(NULL);
SELECT rows FROM citadel.content_hash('pg_catalog.pg_am');
-- A partitioned table is its rows.
CREATE TABLE parted (LIKE shuffled) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT * FROM shuffled;
SELECT a.hash = b.hash AS same FROM citadel.content_hash('parted') AS a, citadel.content_hash('shuffled') AS b;
-- With the permissions of whoever asks.
SET ROLE regress_reader;
SELECT rows FROM citadel.content_hash('arc.mixed');
RESET ROLE;

-- A table with a bit of everything.
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int NOT NULL CHECK (VALUE > 0);
CREATE TABLE everything (
    id bigint PRIMARY KEY, gone int, n numeric(12, 3), j json, jb jsonb, p point, ts timestamptz, d date, t text,
    v varchar(20), c char(5), f float8, b boolean, u uuid, arr int[], m mood, cp pair, dom positive, r int4range,
    by bytea, g int GENERATED ALWAYS AS (length(t)) STORED, "odd ""name" inet, acl aclitem, iv interval, i2 int2,
    ch "char", x text COLLATE "C");
INSERT INTO everything (id, gone, n, j, jb, p, ts, d, t, v, c, f, b, u, arr, m, cp, dom, r, by, "odd ""name", acl, iv, i2, ch, x)
SELECT i, i, i / 7.0, '{"a":  1}', '{"b": 2}', point(i, -i), '2024-01-01 00:00+00'::timestamptz + i * '1 h'::interval,
    '2024-01-01'::date + i, repeat('x', i % 50), 'v' || i, 'c', CASE i % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0' ELSE i / 3.0 END,
    i % 2 = 0, md5(i::text)::uuid, ARRAY[i, NULL], CASE i % 2 WHEN 0 THEN 'calm' ELSE 'cross' END::mood,
    (i, NULL)::pair, i, int4range(i, i + 5), decode(lpad(to_hex(i), 8, '0'), 'hex'), '10.0.0.1', NULL, '1 day 3 h', i % 100, 'z', 'c'
FROM generate_series(1, 2000) AS i;
INSERT INTO everything (id, t, dom, ts) VALUES (9001, NULL, 1, 'infinity'), (9002, repeat('toasted', 100000), 2, '-infinity');
INSERT INTO everything (id, dom, acl) VALUES (9003, 3, 'regress_archivist=r/postgres');
ALTER TABLE everything DROP COLUMN gone;
ALTER TABLE everything ADD COLUMN late int DEFAULT 7;
ALTER TABLE everything OWNER TO regress_archivist;
ALTER DOMAIN positive OWNER TO regress_archivist;
CREATE VIEW overview AS
SELECT archive_id > 0 AS id, origin_schema, source_name, owner_name, destination, rows, state, verification, read_from
FROM citadel.archive WHERE archive_id > 7000;

-- What is no destination, and what is not allowed.
SELECT citadel.archive_begin('everything', 'tape:1');
SELECT citadel.archive_begin('everything', 'file:');
SELECT citadel.archive_begin('everything', 'file:x');
SELECT citadel.archive_begin('everything', 'server:nowhere');
SELECT citadel.archive_begin('everything', 'schema:nowhere');
SELECT citadel.archive_begin('everything', 'schema:citadel');
SELECT citadel.archive_begin('everything', 'schema', 'nowhere');
SELECT citadel.archive_begin('everything', 'server:nowhere', 'pg_default');
SELECT citadel.archive_begin('parted', 'schema');
SELECT citadel.archive_begin('parted_1', 'schema');
SELECT citadel.archive_begin('overview', 'schema');
SELECT citadel.archive_begin(NULL, 'schema');
SELECT citadel.archive_step(0, 'copy');
GRANT pg_write_server_files TO regress_archivist;
SELECT citadel.archive_begin('everything', 'file:x');
SELECT current_setting('data_directory') || '/regress_archive' AS folder \gset
SET citadel_opt.archive_directory = 'relative';
SELECT citadel.archive_begin('everything', 'file:x');
SET citadel_opt.archive_directory = '/nowhere/at/all';
SELECT citadel.archive_begin('everything', 'file:x');
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mkdir regress_archive && ln -s /tmp regress_archive/link';
SET citadel_opt.archive_directory = :'folder';
SELECT citadel.archive_begin('everything', 'file:../x');
SELECT citadel.archive_begin('everything', 'file:x/../../y');
\set VERBOSITY terse
SELECT citadel.archive_begin('everything', 'file:/etc');
SELECT citadel.archive_begin('everything', 'file:link');
SELECT citadel.archive_begin('everything', 'file:link/x');
\set VERBOSITY default
SELECT count(*) FROM citadel.archive WHERE archive_id > 7000;

-- To files.
SELECT citadel.archive_begin('everything', 'file:x/y', partition_bound => 'FOR VALUES IN (1)') AS id \gset
SELECT citadel.archive_step(:id, 'verify');
SELECT citadel.archive_step(:id, 'write');
SELECT citadel.archive_step(:id, 'copy');
SELECT * FROM citadel.read_archive(:id) AS t (a int);
SELECT citadel.archive_step(:id, 'copy');
SELECT citadel.archive_step(:id, 'copy');
SELECT citadel.archive_step(:id, 'compare');
SELECT citadel.archive_step(:id, 'verify');
SELECT citadel.archive_step(:id, 'verify');
SELECT citadel.archive_step(:id, 'verify');
SELECT citadel.archive_step(:id, 'compare');
SELECT citadel.archive_step(:id, 'discard');
SELECT * FROM overview;
SELECT a.hash = encode(e.hash, 'hex') AS same, a.hash = v.hash AS same_where_it_lies, e.bytes > 0 AS bytes, e.checksum ~ '^[0-9a-f]{64}$' AS checksum
FROM citadel.content_hash('everything') AS a, citadel.content_hash('citadel_archive.everything') AS v, citadel.archive_entry AS e
WHERE e.archive_id = :id;
SELECT id, n, j, f, arr, m, cp, dom, by, g, "odd ""name", late FROM citadel_archive.everything WHERE id < 4;
SELECT id, acl FROM citadel_archive.everything WHERE acl IS NOT NULL;
SELECT viewowner FROM pg_views WHERE schemaname = 'citadel_archive' AND viewname = 'everything';
SELECT * FROM citadel.read_archive(:id) AS t (id int, n numeric(12, 3));
-- Read by its owner, and by whom he lets.
SET ROLE regress_reader;
SELECT count(*) FROM citadel_archive.everything;
SELECT * FROM citadel.read_archive(:id) AS t (a int);
SELECT count(*) FROM citadel.archive WHERE archive_id > 7000;
RESET ROLE;
SET ROLE regress_archivist;
SELECT count(*) FROM citadel_archive.everything;
SELECT count(*) FROM citadel.archive WHERE archive_id > 7000;
GRANT SELECT ON citadel_archive.everything TO regress_reader;
SET ROLE regress_reader;
SELECT count(*) FROM citadel_archive.everything;
RESET ROLE;

-- What changed after the copy is found, and so is a damaged file.
UPDATE everything SET n = n + 1 WHERE id = 77;
SELECT citadel.archive_step(:id, 'compare');
UPDATE everything SET n = n - 1 WHERE id = 77;
SELECT citadel.archive_step(:id, 'compare');
CREATE TABLE small AS SELECT i AS id, md5(i::text) AS t FROM generate_series(1, 100) AS i;
ALTER TABLE small OWNER TO regress_archivist;
SELECT citadel.archive_begin('small', 'file:x') AS id \gset
SELECT citadel.archive_step(:id, 'copy'), citadel.archive_step(:id, 'copy');
UPDATE small SET t = upper(t) WHERE id = 5;
SELECT citadel.archive_step(:id, 'verify');
UPDATE small SET t = lower(t) WHERE id = 5;
ALTER TABLE small ADD COLUMN more int;
SELECT citadel.archive_step(:id, 'verify');
ALTER TABLE small DROP COLUMN more;
SELECT citadel.archive_step(:id, 'verify'), citadel.archive_step(:id, 'verify');
SELECT location AS place FROM citadel.archive WHERE archive_id = :id \gset
\set damage 'printf X | dd of=regress_archive/' :place '/000001.copy.zst bs=1 seek=40 conv=notrunc status=none'
COPY (SELECT 1) TO PROGRAM :'damage';
\set VERBOSITY terse

DO $$ BEGIN
    PERFORM * FROM citadel_archive.small;
EXCEPTION WHEN data_corrupted THEN
    RAISE NOTICE 'damaged: %', regexp_replace(sqlerrm, '^".*"', 'FILE');
END $$;
\set damage 'sed -i s/small/SMALL/ regress_archive/' :place '/MANIFEST'
COPY (SELECT 1) TO PROGRAM :'damage';
DO $$ BEGIN
    PERFORM * FROM citadel_archive.small;
EXCEPTION WHEN data_corrupted THEN
    RAISE NOTICE 'damaged: %', regexp_replace(sqlerrm, '".*"', 'FOLDER');
END $$;
\set damage 'rm -r regress_archive/' :place
COPY (SELECT 1) TO PROGRAM :'damage';
DO $$ BEGIN
    PERFORM * FROM citadel_archive.small;
EXCEPTION WHEN undefined_file THEN
    RAISE NOTICE 'missing: %', regexp_replace(sqlerrm, '".*"', 'FOLDER');
END $$;
\set VERBOSITY default

-- An unfinished copy is given up without a trace.
SELECT citadel.archive_begin('small', 'file:x/z') AS id \gset
SELECT citadel.archive_step(:id, 'copy'), citadel.archive_step(:id, 'discard');
SELECT state FROM citadel.archive WHERE archive_id = :id;
SELECT count(*) FROM pg_ls_dir('regress_archive/x/z');
SELECT citadel.archive_step(:id, 'copy');

-- To a schema: moved, with its hash.
SELECT hash AS before FROM citadel.content_hash('small') \gset
CREATE TABLE citadel_archive.taken (a int);
SELECT citadel.archive_begin('small', 'schema') AS id \gset
SELECT citadel.archive_step(:id, 'copy'), citadel.archive_step(:id, 'copy'), citadel.archive_step(:id, 'verify');
SELECT * FROM overview WHERE destination = 'schema';
SELECT hash = :'before' AS same FROM citadel.archive WHERE archive_id = :id;
SELECT c.oid::regclass, pg_get_userbyid(relowner) FROM pg_class AS c WHERE relname LIKE 'small%' AND relkind = 'r';
SELECT citadel.archive_step(:id, 'compare'), citadel.archive_step(:id, 'verify');
-- A name that is taken, and a tablespace.
CREATE TABLE taken AS SELECT 1 AS a;
SELECT citadel.archive_begin('taken', 'schema', 'pg_default') AS id \gset
SELECT citadel.archive_step(:id, 'copy'), citadel.archive_step(:id, 'copy'), citadel.archive_step(:id, 'verify');
SELECT replace(read_from, :'id', 'N') AS read_from, verification FROM citadel.archive WHERE archive_id = :id;

-- DROP EXTENSION leaves archives, and needs no CASCADE for their views.
SELECT count(*) FROM pg_depend
WHERE refclassid = 'pg_proc'::regclass AND refobjid = 'citadel.read_archive(bigint)'::regprocedure AND deptype = 'n';

SET client_min_messages = warning;
DROP SCHEMA citadel_archive CASCADE;
DROP SCHEMA arc CASCADE;
COPY (SELECT 1) TO PROGRAM 'rm -r regress_archive';
DELETE FROM citadel.archive_entry WHERE archive_id > 7000;
DROP ROLE regress_archivist, regress_reader;
