-- What-if: hypothetical B-trees, priced by the planner, never visible to anything else.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
CREATE SCHEMA wi;
SET search_path = wi;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE item (id int PRIMARY KEY, kind int NOT NULL, owner int NOT NULL, due timestamptz, "Label" text, gone int);
ALTER TABLE item DROP COLUMN gone;
INSERT INTO item SELECT i, i % 20, i % 5000, timestamptz '2026-01-01' + i * interval '1 minute', 'label ' || i FROM generate_series(1, 50000) i;
CREATE TABLE part (id int, at date NOT NULL, owner int) PARTITION BY RANGE (at);
CREATE TABLE part_new (owner int, unused int, id int, at date NOT NULL);
ALTER TABLE part_new DROP COLUMN unused;
CREATE TABLE part_old PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
ALTER TABLE part ATTACH PARTITION part_new FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
INSERT INTO part SELECT i, date '2026-01-01' + i % 59, i % 3000 FROM generate_series(1, 60000) i;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE item, part;

-- The node types of a plan, from its root down.
CREATE FUNCTION nodes(plan json) RETURNS text LANGUAGE sql AS $$
    WITH RECURSIVE tree(node, path) AS (
        SELECT plan -> 0 -> 'Plan', ARRAY[0]
        UNION ALL
        SELECT child.value, path || child.ordinality::int
        FROM tree, json_array_elements(node -> 'Plans') WITH ORDINALITY child
    )
    SELECT string_agg(concat_ws(' on ', node ->> 'Node Type', node ->> 'Index Name'), ' > ' ORDER BY path) FROM tree
$$;
CREATE FUNCTION try(query text, indexes text[], parameters text[] DEFAULT NULL,
    OUT cheaper boolean, OUT used text[], OUT before text, OUT after text) LANGUAGE sql AS $$
    SELECT cost_after < cost_before, indexes_used, nodes(plan_before), nodes(plan_after)
    FROM citadel.what_if(query, indexes, parameters)
$$;

SELECT * FROM try('SELECT * FROM item WHERE owner = 17', ARRAY['CREATE INDEX ON item (owner)']);
SELECT * FROM try('SELECT * FROM item WHERE owner = 17', ARRAY['CREATE INDEX ON item (due)']);
SELECT * FROM try('SELECT * FROM item WHERE kind = 3 ORDER BY due DESC LIMIT 10', ARRAY['CREATE INDEX by_kind_due ON item (kind, due DESC)']);
SELECT * FROM try('SELECT owner, due FROM item WHERE owner < 20', ARRAY['CREATE INDEX covering ON item (owner) INCLUDE (due)']);
SELECT * FROM try('SELECT * FROM item WHERE "Label" = ''label 7''', ARRAY['CREATE INDEX "Odd Name" ON item ("Label")']);
SELECT * FROM try('SELECT * FROM item a JOIN item b ON b.owner = a.id WHERE a.id = 5', ARRAY['CREATE INDEX ON wi.item (owner)']);
-- An expression, and a part of the rows.
SELECT * FROM try('SELECT * FROM item WHERE lower("Label") = ''label 7''', ARRAY['CREATE INDEX ON item (lower("Label"))']);
SELECT * FROM try('SELECT * FROM item WHERE owner = 17 AND kind = 3', ARRAY['CREATE INDEX ON item (owner) WHERE kind = 3']);
SELECT * FROM try('SELECT * FROM item WHERE owner = 17 AND kind = 4', ARRAY['CREATE INDEX ON item (owner) WHERE kind = 3']);
-- Several at once: only what is used is named.
SELECT used FROM try('SELECT * FROM item WHERE owner = 17', ARRAY['CREATE INDEX a ON item (owner)', 'CREATE INDEX b ON item (kind)']);
-- DML is planned, not executed.
SELECT * FROM try('UPDATE item SET kind = 0 WHERE owner = 17', ARRAY['CREATE INDEX ON item (owner)']);
SELECT * FROM try('DELETE FROM item WHERE owner = 17', ARRAY['CREATE INDEX ON item (owner)']);
SELECT * FROM try('INSERT INTO item SELECT id + 100000, 1, 1 FROM item WHERE owner = 17', ARRAY['CREATE INDEX ON item (owner)']);
SELECT count(*) FROM item;
-- Parameters: unknown, then known.
SELECT * FROM try('SELECT * FROM item WHERE owner = $1 AND id > $2', ARRAY['CREATE INDEX ON item (owner)']);
SELECT * FROM try('SELECT * FROM item WHERE owner = $1 AND id > $2', ARRAY['CREATE INDEX ON item (owner)'], ARRAY['17', '0']);
SELECT * FROM try('SELECT * FROM item WHERE owner = $1', ARRAY['CREATE INDEX ON item (owner)'], ARRAY[NULL]);
-- Partitions, one with its columns in another order.
SELECT * FROM try('SELECT * FROM part WHERE owner = 9', ARRAY['CREATE INDEX ON part (owner)']);
SELECT * FROM try('SELECT * FROM part WHERE owner + 1 = 9', ARRAY['CREATE INDEX ON part ((owner + 1)) WHERE id > 0']);
SELECT * FROM try('SELECT * FROM part WHERE owner + 1 = 9 AND id > 5', ARRAY['CREATE INDEX ON part ((owner + 1)) WHERE id > 0']);
SELECT * FROM try('SELECT * FROM part WHERE owner = 9 AND at = $1', ARRAY['CREATE INDEX ON part (owner)']);
-- Existing indexes hidden: the primary key, and an index on a partitioned table.
SELECT cost_after > cost_before AS dearer, nodes(plan_before), nodes(plan_after)
FROM citadel.what_if('SELECT * FROM item WHERE id = 5', '{}', hidden => ARRAY['item_pkey'::regclass]);
CREATE INDEX part_owner ON part (owner);
SELECT cost_after > cost_before AS dearer, nodes(plan_before), nodes(plan_after)
FROM citadel.what_if('SELECT * FROM part WHERE owner = 5', '{}', hidden => ARRAY['part_owner'::regclass]);
SELECT indexes_used, nodes(plan_after)
FROM citadel.what_if('SELECT owner FROM part WHERE owner = 5', ARRAY['CREATE INDEX other ON part (owner, id)'], hidden => ARRAY['part_owner'::regclass]);
DROP INDEX part_owner;
SELECT citadel.what_if('SELECT 1', '{}', hidden => ARRAY['item'::regclass]);
-- Nothing stays behind.
EXPLAIN (COSTS OFF) SELECT * FROM item WHERE owner = 17;
SELECT count(*) FROM pg_index WHERE indrelid = 'item'::regclass;
SELECT * FROM try('SELECT 1', ARRAY[]::text[]);

-- Functions that planning runs see no hypothetical index.
CREATE FUNCTION nosy() RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT count(*) FROM wi.item WHERE owner = 17); END $$;
SELECT * FROM try('SELECT * FROM item WHERE owner = nosy()', ARRAY['CREATE INDEX ON item (owner)']);

-- Bad input: a clear error each, and the next call works.
SELECT citadel.what_if(NULL, ARRAY[]::text[]);
SELECT citadel.what_if('SELECT 1', NULL);
SELECT citadel.what_if('SELECT 1', ARRAY[NULL]::text[]);
SELECT citadel.what_if('', ARRAY[]::text[]);
SELECT citadel.what_if('SELECT FROM WHERE', ARRAY[]::text[]);
SELECT citadel.what_if('SELECT nothing FROM item', ARRAY[]::text[]);
SELECT citadel.what_if('SELECT 1; SELECT 2', ARRAY[]::text[]);
SELECT citadel.what_if('VACUUM item', ARRAY[]::text[]);
SELECT citadel.what_if('SELECT * INTO copy FROM item', ARRAY[]::text[]);
SELECT citadel.what_if('SELECT * FROM item WHERE id = $1 AND kind = $2', ARRAY[]::text[], ARRAY['1']);
SELECT citadel.what_if('SELECT * FROM item WHERE id = $1', ARRAY[]::text[], ARRAY['x']);
SELECT citadel.what_if('SELECT 1', ARRAY['SELECT 1']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item (id); DROP TABLE item']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON no_such_table (id)']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item (no_such_column)']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item (ctid)']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item USING gin (kind)']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item USING spgist ("Label")']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item ((kind + random()))']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item (kind) WHERE due < now()']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item USING hash (kind) INCLUDE (owner)']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item USING brin (kind DESC)']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item (kind) WITH (fillfactor = 5)']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item (kind COLLATE "C")']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item ((kind + no_such_column))']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON pg_class (relname)']);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON item (kind no_such_ops)']);
CREATE TEMP TABLE passing (a int);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON passing (a)']);
CREATE VIEW seen AS SELECT * FROM item;
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON seen (id)']);
CREATE TABLE shape (p point, j json);
SELECT citadel.what_if('SELECT 1', ARRAY['CREATE INDEX ON shape (p)']);
SELECT used FROM try('SELECT * FROM item WHERE owner = 17', ARRAY['CREATE INDEX ON item (owner)']);

-- Who may not read a table learns nothing of it.
CREATE ROLE regress_wi_monitor IN ROLE pg_monitor;
GRANT USAGE ON SCHEMA wi TO regress_wi_monitor;
SET ROLE regress_wi_monitor;
SELECT cost_before > 0 FROM citadel.what_if('SELECT * FROM item WHERE owner = 17', ARRAY['CREATE INDEX ON item (owner)']);
SELECT cost_before > 0 FROM citadel.what_if('SELECT * FROM seen WHERE owner = 17', ARRAY[]::text[]);
RESET ROLE;
GRANT SELECT (id) ON item TO regress_wi_monitor;
SET ROLE regress_wi_monitor;
SELECT cost_before > 0 FROM citadel.what_if('SELECT id FROM item', ARRAY[]::text[]);
SELECT cost_before > 0 FROM citadel.what_if('UPDATE item SET kind = 1', ARRAY[]::text[]);
RESET ROLE;
CREATE ROLE regress_wi_other;
SET ROLE regress_wi_other;
SELECT citadel.what_if('SELECT 1', ARRAY[]::text[]);
RESET ROLE;
-- EXECUTE ... USING passes values that the text need not use: a number that is missing has no type to infer.
SELECT cost_before > cost_after AS cheaper FROM citadel.what_if('SELECT * FROM wi.item WHERE owner = $3', ARRAY['CREATE INDEX ON wi.item (owner)']);
SELECT cost_before > cost_after AS cheaper FROM citadel.what_if('SELECT * FROM wi.item WHERE owner = $3', ARRAY['CREATE INDEX ON wi.item (owner)'], ARRAY['x', NULL, '7']);
SET client_min_messages = warning;
DROP SCHEMA wi CASCADE;
DROP ROLE regress_wi_monitor, regress_wi_other;
