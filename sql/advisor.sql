-- recommend_indexes(): finds what helps, and nothing else.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
CREATE SCHEMA adv;
SET search_path = adv;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE item (id int PRIMARY KEY, kind int NOT NULL, owner int NOT NULL, due timestamptz, flag boolean, "Odd Name" int, note text);
INSERT INTO item SELECT i, i % 7, i % 2500, timestamptz '2026-01-01' + (i * 7919 % 50000) * interval '1 minute', i % 2 = 0, i % 1000, 'note ' || i FROM generate_series(1, 50000) i;
CREATE TABLE comment (id int PRIMARY KEY, item_id int NOT NULL, body text);
INSERT INTO comment SELECT i, i * 31 % 50000, 'body ' || i FROM generate_series(1, 100000) i;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE item, comment;
-- The columns of each recommendation, in the order of choice, and whether its figures are sound.
CREATE FUNCTION advise(workload text[], budget bigint DEFAULT NULL, width int DEFAULT 3)
RETURNS TABLE (definition text, helped int, sound boolean) LANGUAGE sql AS $$
    SELECT definition, queries_helped, cost_after < cost_before AND size_bytes > 0 AND improvement BETWEEN 0 AND 1
           AND write_cost >= 0 AND access_method = 'btree' AND reason <> ''
    FROM citadel.recommend_indexes(workload, budget, width)
$$;
-- One table: equality, range, order, OR, IN, boolean columns, quoted names.
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = 17']);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE "Odd Name" = 5']);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE kind = 3 AND due < ''2026-01-01 05:00'' AND due > ''2026-01-01 04:00''']);
SELECT * FROM advise(ARRAY['SELECT * FROM item ORDER BY due DESC LIMIT 5']);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE (due, id) > (''2026-01-20'', 7) ORDER BY due, id LIMIT 5']);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = 3 OR "Odd Name" = 9']);
SELECT * FROM advise(ARRAY['SELECT max(due) FROM item']);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner IN (1, 2, 3)']);
-- Joins, subqueries, CTEs, views, DML, parameters.
SELECT * FROM advise(ARRAY['SELECT * FROM item i JOIN comment c ON c.item_id = i.id WHERE i.id = 4']);
SELECT * FROM advise(ARRAY['SELECT id, (SELECT count(*) FROM comment c WHERE c.item_id = i.id) FROM item i WHERE id < 20']);
SELECT * FROM advise(ARRAY['WITH w AS MATERIALIZED (SELECT * FROM item WHERE owner = 5) SELECT * FROM w']);
CREATE VIEW item_view AS SELECT * FROM item WHERE flag;
SELECT * FROM advise(ARRAY['SELECT * FROM item_view WHERE owner = 5']);
SELECT * FROM advise(ARRAY['UPDATE item SET note = $1 WHERE owner = $2', 'DELETE FROM comment WHERE item_id = $1']);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = $1 FOR UPDATE']);
-- Statements share an index.
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = 17', 'SELECT * FROM item WHERE owner = 18 AND kind = 2 AND due > ''2026-01-30'' ORDER BY due LIMIT 3'], width => 2);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = 17 AND kind = 3'], width => 1);
-- Nothing helps: all rows, what an index serves already, a useless filter, no rows.
SELECT * FROM advise(ARRAY['SELECT count(*) FROM comment WHERE body IS NOT NULL']);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE id = 17', 'SELECT * FROM item ORDER BY id DESC LIMIT 3']);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE flag']);
CREATE INDEX item_owner_kind ON item (owner, kind);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = 17']);
DROP INDEX item_owner_kind;
-- Its name is taken.
CREATE INDEX item_owner_idx ON item (flag);
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = 17']);
DROP INDEX item_owner_idx;
-- Partitioned: one statement for the parent, which cannot be CONCURRENTLY.
CREATE TABLE event (id int, at date NOT NULL, owner int) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE event_2 (owner int, unused int, id int, at date NOT NULL);
ALTER TABLE event_2 DROP COLUMN unused;
ALTER TABLE event ATTACH PARTITION event_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO event SELECT i, date '2026-01-01' + i % 59, i % 3000 FROM generate_series(1, 60000) i;
ANALYZE event;
SELECT relation, definition, queries_helped, reason LIKE '%partitioned%' AS note FROM citadel.recommend_indexes(ARRAY['SELECT * FROM event WHERE owner = 5']);
-- Budgets.
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = 17', 'SELECT * FROM comment WHERE item_id = 17'], budget => 0);
SELECT count(*), sum(size_bytes) <= 600000 AS within FROM citadel.recommend_indexes(ARRAY['SELECT * FROM item WHERE owner = 17', 'SELECT * FROM comment WHERE item_id = 17'], 600000);
SELECT count(*) FROM advise(ARRAY['SELECT * FROM item WHERE owner = 17', 'SELECT * FROM comment WHERE item_id = 17'], budget => 100000000);
SELECT * FROM advise(ARRAY['SELECT 1'], budget => -1);
SELECT * FROM advise(ARRAY['SELECT 1'], width => 0);
SELECT * FROM advise(ARRAY['SELECT 1'], width => 33);
-- Weights, number, kinds, time.
SELECT definition FROM citadel.recommend_indexes(ARRAY['SELECT * FROM item WHERE owner = 17', 'SELECT * FROM comment WHERE item_id = 17'], weights => ARRAY[1, 0], max_indexes => 1);
SELECT definition, action FROM citadel.recommend_indexes(ARRAY['SELECT * FROM item WHERE owner = 17', 'SELECT * FROM comment WHERE item_id = 17'], weights => ARRAY[1, 1000], max_indexes => 1);
SELECT count(*) FROM citadel.recommend_indexes(ARRAY['SELECT * FROM item WHERE owner = 17'], max_indexes => 0);
SELECT count(*) FROM citadel.recommend_indexes(ARRAY['SELECT * FROM item WHERE owner = 17'], index_kinds => '{}');
SELECT definition FROM citadel.recommend_indexes(ARRAY['SELECT * FROM item WHERE owner = 17'], index_kinds => '{btree}', time_limit_ms => 60000);
SELECT * FROM citadel.recommend_indexes(ARRAY['SELECT 1'], weights => ARRAY[1, 2]);
SELECT * FROM citadel.recommend_indexes(ARRAY['SELECT 1'], weights => ARRAY[-1]);
SELECT * FROM citadel.recommend_indexes(ARRAY['SELECT 1'], weights => ARRAY['NaN'::float8]);
SELECT * FROM citadel.recommend_indexes(weights => ARRAY[1]);
SELECT * FROM citadel.recommend_indexes(ARRAY['SELECT 1'], index_kinds => '{btree,bitmap}');
SELECT * FROM citadel.recommend_indexes(ARRAY['SELECT 1'], max_indexes => -1);
SELECT * FROM citadel.recommend_indexes(ARRAY['SELECT 1'], time_limit_ms => 0);
-- What cannot be examined is said, and does not stop the rest.
CREATE TEMP TABLE passing (a int);
SELECT * FROM advise(ARRAY['SELECT * FROM passing WHERE a = 1', 'SELECT 1', 'VACUUM', 'SELECT FROM WHERE', 'SELECT 1; SELECT 2', '', 'SELECT * FROM nowhere', 'SELECT * FROM pg_class WHERE relname = ''x''', 'SELECT * FROM item WHERE owner = 17']);
SELECT * FROM advise(ARRAY[]::text[]);
SELECT * FROM advise(ARRAY['SELECT 1', NULL]);
SELECT * FROM advise(ARRAY['SELECT 1/0 FROM item WHERE owner = 1/0']);
-- Nothing was created, and nothing hypothetical is left.
SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'adv'::regnamespace;
EXPLAIN (COSTS OFF) SELECT * FROM item WHERE owner = 17;
-- A table that the caller may not read gives nothing away.
CREATE ROLE adv_reader;
GRANT pg_monitor TO adv_reader;
GRANT USAGE ON SCHEMA adv TO adv_reader;
GRANT SELECT ON comment TO adv_reader;
SET ROLE adv_reader;
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = 17', 'SELECT * FROM comment WHERE item_id = 17']);
RESET ROLE;
-- Functions that planning runs see the caller and nothing hypothetical; volatile ones are not run.
CREATE SEQUENCE ran;
CREATE FUNCTION side_effect() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM nextval('adv.ran'); RETURN 17; END $$;
CREATE FUNCTION folded() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN (SELECT min(owner) FROM adv.item WHERE owner = 17); END $$;
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = side_effect()', 'SELECT * FROM item WHERE owner = folded()']);
SELECT is_called FROM ran;
-- Estimated sizes against built ones, within 15 %.
CREATE TABLE estimate AS SELECT r.definition, r.size_bytes FROM unnest(ARRAY[
    'SELECT * FROM item WHERE owner = 17', 'SELECT * FROM comment WHERE item_id = 17', 'SELECT * FROM comment WHERE body = ''body 5''',
    'SELECT * FROM item WHERE due = ''2026-01-20''', 'SELECT * FROM item WHERE "Odd Name" = 5']) q, citadel.recommend_indexes(ARRAY[q]) r;
DO $$
DECLARE e record;
BEGIN
    FOR e IN SELECT * FROM estimate LOOP
        EXECUTE replace(e.definition, 'CONCURRENTLY ', '');
    END LOOP;
END $$;
SELECT regexp_replace(e.definition, '.*btree ', '') AS columns, abs(e.size_bytes::float8 / pg_relation_size(i.indexrelid) - 1) < 0.15 AS close
FROM estimate e JOIN pg_indexes d ON d.indexdef = replace(e.definition, 'CONCURRENTLY ', '')
JOIN pg_index i ON i.indexrelid = format('%I.%I', d.schemaname, d.indexname)::regclass ORDER BY 1;
-- Built, they are not recommended again.
SELECT * FROM advise(ARRAY['SELECT * FROM item WHERE owner = 17', 'SELECT * FROM comment WHERE item_id = 17']);
SET client_min_messages = warning;
DROP SCHEMA adv CASCADE;
DROP OWNED BY adv_reader;
DROP ROLE adv_reader;
