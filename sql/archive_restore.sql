-- Restoring archives: as a partition, as rows, beside; what is refused; and that a hostile owner's code runs as nobody else.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
ALTER TABLE citadel.archive_entry ALTER COLUMN archive_id RESTART WITH 8001;
CREATE ROLE regress_restorer;
CREATE ROLE regress_stranger;
GRANT pg_write_server_files TO regress_restorer;
CREATE SCHEMA rst AUTHORIZATION regress_restorer;
GRANT ALL ON SCHEMA rst TO regress_stranger;
SET search_path = rst, public;
SELECT current_setting('data_directory') || '/regress_restore' AS folder \gset
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mkdir regress_restore';
SET citadel_opt.archive_directory = :'folder';
-- Walks through a step's pieces; says which steps a restore took.
CREATE FUNCTION pg_temp.walk(id bigint, step text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    path text := '';
    now_at text;
BEGIN
    FOR i IN 1 .. 100 LOOP
        SELECT progress->>'step' INTO now_at FROM citadel.archive_entry WHERE archive_id = id;
        IF now_at IS NOT NULL AND path NOT LIKE '%' || now_at THEN path := path || ' ' || now_at; END IF;
        IF citadel.archive_step(id, step) = 'done' THEN RETURN trim(path || ' done'); END IF;
    END LOOP;
    RAISE 'no end';
END $$;
CREATE FUNCTION pg_temp.archived(source regclass, destination text, bound text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    id bigint := citadel.archive_begin(source, destination, partition_bound => bound);
BEGIN
    PERFORM pg_temp.walk(id, 'copy');
    PERFORM pg_temp.walk(id, 'verify');
    RETURN id;
END $$;

-- Every kind of code that an owner can attach: a domain's check, a table's check, an index, a default, a generated column, a
-- trigger, a deferred trigger. It says as whom it runs, in a sequence for the owner and with an error for everybody else.
SET ROLE regress_restorer;
CREATE SEQUENCE spied;
CREATE FUNCTION spy(anyelement) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> 'regress_restorer' THEN RAISE EXCEPTION 'a spy ran as %', current_user; END IF;
    PERFORM nextval('rst.spied');
    RETURN true;
END $$;
CREATE FUNCTION spy_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM rst.spy(NEW.id);
    RETURN NEW;
END $$;
CREATE DOMAIN watched AS int CHECK (rst.spy(VALUE));
CREATE TABLE parent (id int NOT NULL, at date NOT NULL, w watched, t text DEFAULT 't' || spy(1), ok boolean GENERATED ALWAYS AS (spy(id)) STORED,
    CONSTRAINT checked CHECK (spy(id)), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE INDEX ON parent (spy(t));
CREATE TABLE part_1 PARTITION OF parent FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
INSERT INTO part_1 SELECT i, '2024-01-01'::date + i % 31, i, 't' || i FROM generate_series(1, 500) AS i;
ALTER TABLE parent DETACH PARTITION part_1;
RESET ROLE;
SELECT hash AS before FROM citadel.content_hash('part_1') \gset
SELECT pg_temp.archived('part_1', 'file:a', $$FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')$$) AS id \gset
ALTER TABLE part_1 RENAME TO original;

-- As a partition; a column that came later gets its default, one that is NOT NULL too.
SET ROLE regress_restorer;
ALTER TABLE parent ADD COLUMN later text NOT NULL DEFAULT 'later' || spy(2);
GRANT SELECT ON parent TO PUBLIC;
ALTER TABLE parent REPLICA IDENTITY FULL;
RESET ROLE;
SELECT setval('spied', 1) AS reset;
SELECT citadel.archive_restore_begin(:id, 'parent', 'partition');
SELECT pg_temp.walk(:id, 'restore');
SELECT nextval('spied') > 500 AS spies_ran;
\d part_1
SELECT count(*), min(later), count(DISTINCT t) FROM parent;
SELECT pg_get_userbyid(relowner), has_table_privilege('pg_read_all_stats', oid, 'SELECT') AS granted, relreplident FROM pg_class WHERE oid = 'part_1'::regclass;
SELECT state, restored_to, verification FROM citadel.archive WHERE archive_id = :id;
-- It is there already.
SELECT citadel.archive_restore_begin(:id, 'parent', 'partition');
SELECT pg_temp.walk(:id, 'restore');
SELECT count(*) FROM parent;
-- Given up, nothing is left of it.
SELECT citadel.archive_step(:id, 'restore'), citadel.archive_step(:id, 'restore');
SELECT c.relname FROM pg_class AS c WHERE relname LIKE 'part\_1%' AND relkind = 'r' ORDER BY 1;
SELECT citadel.archive_step(:id, 'discard');
SELECT state FROM citadel.archive WHERE archive_id = :id;
SELECT c.relname FROM pg_class AS c WHERE relname LIKE 'part\_1%' AND relkind = 'r' ORDER BY 1;
DELETE FROM citadel.archive_entry WHERE archive_id = :id;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -r regress_restore/a';
DROP TABLE IF EXISTS part_1 CASCADE;

-- As rows of a plain table, with triggers.
SELECT pg_temp.archived('original', 'file:a') AS id \gset
SET ROLE regress_restorer;
CREATE TABLE plain (ok boolean GENERATED ALWAYS AS (spy(id)) STORED, at date, t text, gone int, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, w watched);
ALTER TABLE plain DROP COLUMN gone;
CREATE TRIGGER t1 BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION spy_trigger();
CREATE CONSTRAINT TRIGGER t2 AFTER INSERT ON plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spy_trigger();
RESET ROLE;
SELECT setval('spied', 1) AS reset;
SELECT citadel.archive_restore_begin(:id, 'plain', 'rows');
SELECT pg_temp.walk(:id, 'restore');
SELECT nextval('spied') > 2000 AS spies_ran;
SELECT count(*), sum(id) FROM plain;
SELECT a.hash = :'before' AS same FROM citadel.content_hash('original') AS a;
SELECT count(*) FROM pg_class WHERE relnamespace = 'citadel_archive'::regnamespace AND relkind = 'r' AND relname LIKE 'original%';
-- The rows are there already.
SELECT citadel.archive_restore_begin(:id, 'plain', 'rows');
SELECT pg_temp.walk(:id, 'restore');
TRUNCATE plain;
SELECT pg_temp.walk(:id, 'restore');
SELECT count(*) FROM plain;
-- A trigger that changes or swallows rows; a table that lacks a column, or has another type.
SET ROLE regress_restorer;
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 7 THEN NEW.t := 'changed'; END IF; RETURN NEW; END $$;
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 7 THEN RETURN NULL; END IF; RETURN NEW; END $$;
TRUNCATE plain;
CREATE TRIGGER t3 BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION change();
CREATE TABLE narrow (id int, at date);
CREATE TABLE wide (LIKE original);
ALTER TABLE wide ALTER id TYPE bigint;
RESET ROLE;
SELECT citadel.archive_restore_begin(:id, 'plain', 'rows');
SELECT pg_temp.walk(:id, 'restore');
DROP TRIGGER t3 ON plain;
CREATE TRIGGER t3 BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT pg_temp.walk(:id, 'restore');
SELECT count(*) FROM plain;
DROP TRIGGER t3 ON plain;
SELECT pg_temp.walk(:id, 'restore');
SELECT citadel.archive_restore_begin(:id, 'narrow', 'rows');
SELECT citadel.archive_restore_begin(:id, 'wide', 'rows');
SELECT citadel.archive_restore_begin(:id, 'plain', 'partition');
SELECT citadel.archive_restore_begin(:id, 'parent', 'partition');
SELECT citadel.archive_restore_begin(:id, 'parent', 'sideways');
SELECT citadel.archive_restore_begin(NULL, 'parent', 'rows');
-- Policies of the table do not hide rows on their way: an error, or all of them.
SET ROLE regress_restorer;
CREATE TABLE guarded (LIKE original INCLUDING GENERATED);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
RESET ROLE;
SELECT citadel.archive_restore_begin(:id, 'guarded', 'rows');
SELECT pg_temp.walk(:id, 'restore');
ALTER TABLE guarded NO FORCE ROW LEVEL SECURITY;
SELECT pg_temp.walk(:id, 'restore');
SELECT count(*) FROM guarded;

-- Beside, and from a schema: moved back.
SELECT citadel.archive_restore_begin(:id, NULL, 'beside');
SELECT pg_temp.walk(:id, 'restore');
SELECT restored_to FROM citadel.archive WHERE archive_id = :id;
SELECT a.rows, a.hash = :'before' AS same FROM citadel.content_hash('original_8002') AS a;
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'original_8002'::regclass;
SELECT pg_temp.archived('original', 'schema') AS id \gset
SELECT to_regclass('rst.original') AS original, read_from FROM citadel.archive WHERE archive_id = :id;
SELECT citadel.archive_restore_begin(:id, NULL, 'beside');
SELECT pg_temp.walk(:id, 'restore');
SELECT to_regclass('rst.original') AS original, state, read_from, restored_to FROM citadel.archive WHERE archive_id = :id;
SELECT citadel.archive_restore_begin(:id, NULL, 'beside');
-- Somebody changed the table in the archive: it does not pass for what was archived.
SELECT pg_temp.archived('original', 'schema') AS id \gset
SET ROLE regress_restorer;
UPDATE citadel_archive.original_8004 SET t = 'forged' WHERE id = 3;
RESET ROLE;
SELECT citadel.archive_restore_begin(:id, NULL, 'beside');
SELECT pg_temp.walk(:id, 'restore');
SET ROLE regress_restorer;
UPDATE citadel_archive.original_8004 SET t = 't3' WHERE id = 3;
RESET ROLE;
SELECT pg_temp.walk(:id, 'restore');

-- Who may restore.
SELECT pg_temp.archived('original', 'file:a') AS id \gset
SET ROLE regress_stranger;
CREATE TABLE mine (id int, at date, w watched, t text, ok boolean);
CALL citadel.restore_archive(:id);
CALL citadel.restore_archive(:id, 'mine');
SET ROLE regress_restorer;
CALL citadel.restore_archive(:id, 'mine');
CALL citadel.restore_archive(0);
CALL citadel.restore_archive(NULL);
CALL citadel.restore_archive(:id, NULL, 'rows');
CALL citadel.restore_archive(:id, 'plain', 'beside');
CALL citadel.restore_archive(:id, 'plain', 'sideways');
BEGIN;
CALL citadel.restore_archive(:id);
ROLLBACK;
SELECT citadel.archive_step(:id, 'restore');
SELECT * FROM citadel.archive_entry;
RESET ROLE;
SELECT state FROM citadel.archive WHERE archive_id = :id;

DROP SCHEMA citadel_archive CASCADE;
DROP SCHEMA rst CASCADE;
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm -r regress_restore';
DELETE FROM citadel.archive_entry WHERE archive_id > 8000;
DROP ROLE regress_restorer, regress_stranger;
