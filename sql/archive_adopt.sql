-- DROP EXTENSION leaves archives, CREATE EXTENSION and adopt_archives() find them again; marks and manifests are not trusted.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT current_database() AS main \gset
CREATE DATABASE regress_adopt;
CREATE ROLE regress_adopter;
GRANT pg_write_server_files TO regress_adopter;
\c regress_adopt
SET client_min_messages = warning;
CREATE EXTENSION citadel_opt CASCADE;
SELECT current_setting('data_directory') || '/regress_adopt' AS folder \gset
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mkdir regress_adopt && touch regress_adopt/file && ln -s . regress_adopt/link';
SET citadel_opt.archive_directory = :'folder';
CREATE SCHEMA a AUTHORIZATION regress_adopter;
CREATE TYPE a.mood AS ENUM ('calm', 'cross');
CREATE TABLE a.moved (id int, m a.mood, n numeric(8, 2));
INSERT INTO a.moved SELECT i, 'calm', i / 3.0 FROM generate_series(1, 100) AS i;
CREATE TABLE a.filed AS TABLE a.moved;
CREATE TABLE a.broken AS TABLE a.moved;
ALTER TABLE a.moved OWNER TO regress_adopter;
ALTER TABLE a.filed OWNER TO regress_adopter;
ALTER TABLE a.broken OWNER TO regress_adopter;
COMMENT ON TABLE a.moved IS 'The owner''s own words';
CREATE FUNCTION pg_temp.archived(source regclass, destination text) RETURNS bigint LANGUAGE sql AS
    $$ SELECT citadel.archive_begin(source, destination, partition_bound => 'FOR VALUES FROM (1) TO (101)') $$;
CREATE FUNCTION pg_temp.walk(id bigint, step text) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN WHILE citadel.archive_step(id, step) <> 'done' LOOP END LOOP; END $$;
SELECT pg_temp.archived('a.moved', 'schema') AS moved \gset
SELECT pg_temp.archived('a.filed', 'file:x/y') AS filed \gset
SELECT pg_temp.archived('a.broken', 'file:z') AS broken \gset
SELECT pg_temp.walk(:moved, 'copy'), pg_temp.walk(:filed, 'copy'), pg_temp.walk(:broken, 'copy');
SELECT pg_temp.walk(:moved, 'verify'), pg_temp.walk(:filed, 'verify'), pg_temp.walk(:broken, 'verify');
SELECT split_part(obj_description('citadel_archive.moved'::regclass), E'\n', 1) AS comment;
SELECT hash AS before FROM citadel.content_hash('a.filed') \gset
SELECT count(*) FROM citadel.adopt_archives();
SELECT location AS place FROM citadel.archive WHERE archive_id = :broken \gset
\set damage 'sed -i s/numeric/numerik/ regress_adopt/' :place '/MANIFEST'
COPY (SELECT 1) TO PROGRAM :'damage';
-- Without CASCADE: nothing of the archives is in its way.
DROP EXTENSION citadel_opt;
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'citadel_archive'::regnamespace ORDER BY 1;
CREATE EXTENSION citadel_opt;
SET ROLE regress_adopter;
-- Anybody can write a mark; it says nothing that is believed.
CREATE TABLE a.forged (id int);
DO $$ BEGIN EXECUTE format('COMMENT ON TABLE a.forged IS %L', obj_description('citadel_archive.moved'::regclass)); END $$;
CREATE TABLE a.odd (id int);
COMMENT ON TABLE a.odd IS 'citadel_opt archive {"rows": "many"}';
SELECT citadel.adopt_archives();
RESET ROLE;
SELECT count(*) FROM citadel.adopt_archives();
-- What is left alone, and why. (Folders have random names.)
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -r regress_adopt/z';
\set VERBOSITY terse
SET client_min_messages = notice;
SELECT count(*) FROM citadel.adopt_archives();
\set VERBOSITY default
SET client_min_messages = warning;
SELECT source_schema, source_name, owner_name, destination, rows, hash = :'before' AS same, state, verification, read_from
FROM citadel.archive ORDER BY source_name;
SELECT rows, hash = :'before' AS same FROM citadel.content_hash('citadel_archive.filed');
-- Both come back.
DROP TABLE a.filed;
SELECT archive_id AS moved FROM citadel.archive WHERE source_name = 'moved' \gset
SELECT archive_id AS filed FROM citadel.archive WHERE source_name = 'filed' \gset
CREATE TABLE a.parent (id int NOT NULL, m a.mood, n numeric(8, 2)) PARTITION BY RANGE (id);
ALTER TABLE a.parent OWNER TO regress_adopter;
SELECT citadel.archive_restore_begin(:filed, 'a.parent', 'partition'), citadel.archive_restore_begin(:moved, NULL, 'beside');
SELECT pg_temp.walk(:filed, 'restore'), pg_temp.walk(:moved, 'restore');
SELECT rows, hash = :'before' AS same FROM citadel.content_hash('a.parent');
SELECT rows, hash = :'before' AS same, obj_description('a.moved'::regclass) FROM citadel.content_hash('a.moved');
-- Bounds that are more than bounds.
SELECT citadel.archive_restore_begin(:filed, 'a.parent', 'partition');
UPDATE citadel.archive_entry SET origin_bound = 'FOR VALUES FROM (1) TO (101); DROP TABLE a.moved' WHERE archive_id = :filed;
SELECT pg_temp.walk(:filed, 'restore');
UPDATE citadel.archive_entry SET origin_bound = 'FOR VALUES FROM (1) TO (101), DROP COLUMN m' WHERE archive_id = :filed;
SELECT pg_temp.walk(:filed, 'restore');
SELECT count(*) FROM a.moved;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -r regress_adopt';
\c :main
DROP DATABASE regress_adopt WITH (FORCE);
DROP ROLE regress_adopter;
