-- The door between C++ and the server: errors, exceptions, memory, roles. The probes come from test/modules.
CREATE SCHEMA door;
SET search_path = door;
CREATE FUNCTION catch(sql text, OUT sqlstate text, OUT message text, OUT detail text, OUT hint text, OUT position_ int)
    RETURNS SETOF record AS '$libdir/citadel_test', 'citadel_test_catch' LANGUAGE C;
CREATE FUNCTION parse(sql text) RETURNS void AS '$libdir/citadel_test', 'citadel_test_parse' LANGUAGE C;
CREATE FUNCTION throw(kind text) RETURNS bigint AS '$libdir/citadel_test', 'citadel_test_throw' LANGUAGE C;
CREATE FUNCTION destructors() RETURNS int AS '$libdir/citadel_test', 'citadel_test_destructors' LANGUAGE C;
CREATE FUNCTION error_growth(count int) RETURNS bigint AS '$libdir/citadel_test', 'citadel_test_error_growth' LANGUAGE C;
CREATE FUNCTION as_role(role text, sql text, writes boolean DEFAULT false) RETURNS text AS '$libdir/citadel_test', 'citadel_test_as_role' LANGUAGE C;

-- Server to C++: all parts arrive, and the transaction goes on.
BEGIN;
SELECT * FROM catch($sql$DO $$ BEGIN RAISE EXCEPTION 'told you' USING ERRCODE = '22023', DETAIL = 'a detail', HINT = 'a hint'; END $$ $sql$);
SELECT * FROM catch('SELECT 1 FROM no_such_table');
SELECT count(*) FROM catch('SELECT 1');
COMMIT;

-- Through both borders: the position survives, and so do destructors.
SELECT destructors() >= 0 AS counter_reset;
SELECT parse('SELECT 1 FROM WHERE');
\echo :LAST_ERROR_SQLSTATE
SELECT destructors();

-- C++ to server: every exception is an ERROR, and the session lives.
SELECT throw('raise');
\echo :LAST_ERROR_SQLSTATE
SELECT throw('standard');
\echo :LAST_ERROR_SQLSTATE
SELECT throw('bad_alloc');
\echo :LAST_ERROR_SQLSTATE
SELECT throw('huge');
SELECT throw('unknown');
\echo :LAST_ERROR_SQLSTATE
SELECT destructors();

-- 100,000 errors on each road leave all memory contexts as large as they were.
SELECT error_growth(100000) <= 8192 AS flat;
SELECT destructors();
-- The same through SQL, where the error leaves the function and an exception block takes it.
CREATE FUNCTION memory_used() RETURNS bigint LANGUAGE sql AS 'SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts';
DO $$
DECLARE
    used bigint[];
    kind text;
BEGIN
    FOR round IN 1..4 LOOP
        FOR i IN 1..20000 LOOP
            kind := (ARRAY['raise', 'standard', 'bad_alloc', 'unknown'])[1 + i % 4];
            BEGIN
                PERFORM door.throw(kind);
            EXCEPTION WHEN OTHERS THEN
                NULL;
            END;
        END LOOP;
        used := used || door.memory_used();
    END LOOP;
    -- The first rounds fill the server's own caches.
    IF used[4] > used[2] + 16384 THEN
        RAISE EXCEPTION 'memory grew: %', used;
    END IF;
END $$;

-- Acting as somebody else: restricted, and his deferred triggers fire as him.
CREATE ROLE regress_door_owner;
GRANT USAGE, CREATE ON SCHEMA door TO regress_door_owner;
SET ROLE regress_door_owner;
CREATE TABLE door.trap (id int);
CREATE TABLE door.who_ran (who text);
CREATE FUNCTION door.spring() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO door.who_ran VALUES (current_user); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER spring AFTER INSERT ON door.trap DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION door.spring();
RESET ROLE;
SELECT as_role('regress_door_owner', 'INSERT INTO door.trap VALUES (1)');
SELECT as_role('regress_door_owner', 'INSERT INTO door.trap VALUES (1)', writes => true) = current_user AS back_to_ourselves;
SELECT who FROM door.who_ran;
SELECT as_role('regress_door_owner', 'SET ROLE NONE');
SELECT as_role('regress_door_owner', 'CREATE TEMP TABLE leftover (a int)');
SELECT as_role('regress_door_owner', 'SELECT door.no_such_function()');
SELECT current_user = session_user AS ourselves_after_error, current_setting('search_path') AS path;
SET client_min_messages = warning;
DROP SCHEMA door CASCADE;
DROP ROLE regress_door_owner;
