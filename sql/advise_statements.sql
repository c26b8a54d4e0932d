-- Statements of all forms, and what they ask for: rows are looked up in MERGE, in subqueries of UPDATE and DELETE, in WITH
-- and under FOR UPDATE as they are in a plain SELECT.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
CREATE SCHEMA af;
SET search_path = af;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE client (id int PRIMARY KEY, name text NOT NULL, town text NOT NULL, parent int NOT NULL, gone boolean NOT NULL, filler text);
INSERT INTO client SELECT g, 'name ' || g * 7919 % 30011, 'town ' || g % 2000, g % 1500, g % 200 <> 0, repeat('x', 80) FROM generate_series(1, 30000) g;
CREATE TABLE event (id int PRIMARY KEY, client_id int NOT NULL, kind int NOT NULL, at timestamp NOT NULL, amount numeric NOT NULL, filler text);
INSERT INTO event SELECT g, g * 7919 % 30000, g % 50, timestamp '2026-01-01' + (g * 7919 % 30011) * interval '1 minute', g % 977, repeat('y', 60)
    FROM generate_series(1, 30000) g;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE client, event;
CREATE FUNCTION keys(VARIADIC statements text[]) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(definition, '^CREATE INDEX (CONCURRENTLY )?[^ ]+ ON af.', '') FROM citadel.recommend_indexes(statements) ORDER BY 1
$$;
-- MERGE: into what it writes, and from what it reads.
SELECT * FROM keys('MERGE INTO client USING (SELECT 5 AS p) s ON client.parent = s.p WHEN MATCHED THEN UPDATE SET name = ''n''');
SELECT * FROM keys('MERGE INTO client c USING (SELECT client_id FROM event WHERE at < timestamp ''2026-01-01 02:00'') s ON c.id = s.client_id WHEN MATCHED THEN DELETE');
-- A queue: the next one, locked.
SELECT * FROM keys('SELECT * FROM event WHERE kind = 3 ORDER BY at LIMIT 1 FOR UPDATE SKIP LOCKED');
-- UPDATE and DELETE with subqueries.
SELECT * FROM keys('UPDATE client SET name = ''q'' WHERE id IN (SELECT client_id FROM event WHERE at BETWEEN timestamp ''2026-01-02'' AND timestamp ''2026-01-02 01:00'')');
SELECT * FROM keys('UPDATE client SET name = (SELECT count(*)::text FROM event WHERE event.client_id = client.id) WHERE town = ''town 9''');
SELECT * FROM keys('DELETE FROM client WHERE parent = 7 AND NOT EXISTS (SELECT FROM event WHERE event.client_id = client.id)');
-- WITH: folded in, kept apart, and writing.
SELECT * FROM keys('WITH few AS (SELECT * FROM client WHERE parent = 12) SELECT few.*, event.* FROM few JOIN event ON event.client_id = few.id');
SELECT * FROM keys('WITH few AS MATERIALIZED (SELECT * FROM client WHERE name = ''name 77'') SELECT * FROM few');
SELECT * FROM keys('WITH gone AS (DELETE FROM event WHERE client_id = 9 RETURNING *) SELECT count(*) FROM gone');
SELECT * FROM keys('INSERT INTO client SELECT -id, filler, ''t'', 0, false FROM event WHERE at < timestamp ''2026-01-01 02:00''');
-- The last few of each; paging by key; both arms of an OR.
SELECT * FROM keys('SELECT c.name, l.filler FROM client c, LATERAL (SELECT * FROM event e WHERE e.client_id = c.id ORDER BY at DESC LIMIT 3) l WHERE c.id < 40');
SELECT * FROM keys('SELECT * FROM event WHERE (at, id) > (timestamp ''2026-01-10'', 7) ORDER BY at, id LIMIT 20');
SELECT * FROM keys('SELECT * FROM client WHERE name = ''name 5'' OR parent = 3');
-- A soft-delete flag that few rows lack: for those that are left.
SELECT * FROM keys('SELECT * FROM client WHERE NOT gone AND name = ''name 5''');
-- Nothing helps: most rows are met, the whole table is joined, the key is there, nothing is read.
SELECT * FROM keys('SELECT * FROM client WHERE gone', 'SELECT * FROM client c FULL JOIN event e ON c.id = e.client_id', 'SELECT * FROM client WHERE id = 4',
    'INSERT INTO client VALUES (1, '''', '''', 0, false) ON CONFLICT (id) DO UPDATE SET name = ''y''');
-- What is no statement is said, and does not keep the others from being examined.
SELECT * FROM keys('SELEC T', 'SELECT * FROM nowhere', 'VACUUM client', 'BEGIN', '', 'SELECT 1', 'SELECT * FROM client WHERE name = ''a''; DROP TABLE client',
    'SELECT * FROM client WHERE name = ''name 1''');
-- A megabyte of text; a table that was dropped since.
SELECT * FROM keys('SELECT * FROM client WHERE name = ''name 1'' AND filler <> ''' || repeat('z', 1048576) || '''');
DROP TABLE event;
SELECT * FROM keys('SELECT * FROM event WHERE client_id = 1', 'SELECT * FROM client WHERE town = ''town 7''');
SET client_min_messages = warning;
DROP SCHEMA af CASCADE;
