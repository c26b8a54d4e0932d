-- What selection weighs beside the statements' plans: writes, existing indexes, limits.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
CREATE SCHEMA sel;
SET search_path = sel;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE account (id int PRIMARY KEY, owner int NOT NULL, balance int NOT NULL, seen int NOT NULL, note text);
INSERT INTO account SELECT i, i % 5000, i % 977, i % 5003, 'note ' || i FROM generate_series(1, 50000) i;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE account;
-- Writes count by how often they run: the same read is worth an index beside a few, and not beside many.
SELECT definition, write_cost > 0 AS costs FROM citadel.recommend_indexes(
    ARRAY['SELECT * FROM account WHERE owner = 7', 'INSERT INTO account VALUES ($1, $2, $3, $4, $5)'], weights => ARRAY[10, 10]);
SELECT definition FROM citadel.recommend_indexes(
    ARRAY['SELECT * FROM account WHERE owner = 7', 'INSERT INTO account VALUES ($1, $2, $3, $4, $5)'], weights => ARRAY[10, 1000000]);
-- Updates that stay HOT cost nothing; an index on the column that they set would end that.
SELECT definition, write_cost > 0 AS costs FROM citadel.recommend_indexes(
    ARRAY['SELECT * FROM account WHERE owner = 7', 'UPDATE account SET balance = balance + 1 WHERE id = $1'], weights => ARRAY[10, 10]);
SELECT count(*) FROM citadel.recommend_indexes(
    ARRAY['SELECT * FROM account WHERE seen = 7', 'UPDATE account SET seen = $2 WHERE id = $1'], weights => ARRAY[10, 1000000]);
-- The planner makes each path of an index once more for parallel workers, and frees it when it is not worth any.
SET max_parallel_workers_per_gather = 2;
SELECT count(*) > 0 AS found FROM citadel.recommend_indexes(ARRAY[
    'SELECT owner, count(*) FROM account WHERE seen BETWEEN 5 AND 9 AND balance > 900 GROUP BY owner ORDER BY owner',
    'SELECT a.note FROM account a JOIN account b ON b.owner = a.seen WHERE a.balance = 3 AND b.seen < 20 ORDER BY a.owner LIMIT 9']);
SET min_parallel_index_scan_size = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT count(*) > 0 AS found FROM citadel.recommend_indexes(ARRAY[
    'SELECT owner, count(*) FROM account WHERE seen BETWEEN 5 AND 9 AND balance > 900 GROUP BY owner ORDER BY owner',
    'SELECT a.note FROM account a JOIN account b ON b.owner = a.seen WHERE a.balance = 3 AND b.seen < 20 ORDER BY a.owner LIMIT 9']);
RESET min_parallel_index_scan_size;
RESET min_parallel_table_scan_size;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
SET max_parallel_workers_per_gather = 0;
-- Existing indexes: a duplicate and a prefix go, unique ones and those that are needed stay.
CREATE INDEX account_owner ON account (owner);
CREATE INDEX account_owner_again ON account (owner);
CREATE INDEX account_seen_balance ON account (seen, balance);
CREATE INDEX account_seen ON account (seen);
CREATE UNIQUE INDEX account_note ON account (note);
SELECT definition, access_method, size_bytes > 0 AS sized, reason, action FROM citadel.recommend_indexes(
    ARRAY['SELECT * FROM account WHERE owner = 7', 'SELECT * FROM account WHERE seen = 7 AND balance = 3'], consider_drops => true) ORDER BY 1;
SELECT definition FROM citadel.recommend_indexes(ARRAY['SELECT * FROM account WHERE owner = 7']);
-- An index that makes another superfluous replaces it.
DROP INDEX account_owner_again, account_seen, account_seen_balance, account_note;
SELECT definition, reason, action FROM citadel.recommend_indexes(
    ARRAY['SELECT count(*) FROM account WHERE owner = 7 AND balance > 900 AND seen = 3', 'SELECT * FROM account WHERE owner = 8',
          'INSERT INTO account VALUES ($1, $2, $3, $4, $5)'],
    index_kinds => ARRAY['btree'], consider_drops => true, weights => ARRAY[1000, 1, 100]);
-- A statement that takes too long to plan is skipped, with the reason.
SET citadel_opt.advise_planning_limit = 1;
SET join_collapse_limit = 20;
SET geqo = off;
SELECT definition FROM citadel.recommend_indexes(ARRAY['SELECT 1 FROM account a JOIN account b USING (owner) JOIN account c USING (owner)
    JOIN account d USING (owner) JOIN account e USING (owner) JOIN account f USING (owner) JOIN account g USING (owner)
    JOIN account h USING (owner) JOIN account i USING (owner)', 'SELECT * FROM account WHERE seen = 9']);
RESET citadel_opt.advise_planning_limit;
RESET join_collapse_limit;
RESET geqo;
-- Nobody runs an advisor now.
SELECT count(*) FROM citadel.advisor_progress;
SELECT citadel.stop_advisor(0);
SET client_min_messages = warning;
DROP SCHEMA sel CASCADE;
