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
