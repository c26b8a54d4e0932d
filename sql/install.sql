-- CREATE EXTENSION ... CASCADE brings what is required, and what was created can be dropped and created again.
SET client_min_messages = warning;

CREATE EXTENSION citadel_opt CASCADE;
SELECT extname FROM pg_extension WHERE extname IN ('citadel_opt', 'pg_partman', 'pg_stat_statements') ORDER BY 1;
SELECT citadel.preloaded();
DROP EXTENSION citadel_opt;
SELECT count(*) AS schemas_left FROM pg_namespace WHERE nspname = 'citadel';
CREATE EXTENSION citadel_opt;
-- Errors raised from SQL keep all their parts.
SELECT citadel.raise_error('22023', 'a message', 'a detail', 'a hint');
\echo :LAST_ERROR_SQLSTATE
-- Unknown settings of ours are refused.
SET citadel_opt.no_such_setting = 1;
SHOW citadel_opt.slow_query_threshold;
-- What was written is visible to all, and VACUUM can say so, once nobody has a snapshot from before (the workers take some).
CREATE PROCEDURE public.wait_for_old_snapshots() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 1200 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL);
        PERFORM pg_sleep(0.05);
        PERFORM pg_stat_clear_snapshot();
    END LOOP;
END
$$;
-- Partitions of hours are counted in tests: none begins when an hour is about to end.
CREATE PROCEDURE public.wait_for_the_next_hour() LANGUAGE plpgsql AS $$
BEGIN
    IF extract(epoch FROM clock_timestamp())::bigint % 3600 >= 3540 THEN
        PERFORM pg_sleep(61 - extract(second FROM clock_timestamp()));
    END IF;
END
$$;
