-- docs/settings.md says of every setting what the server says; docs/functions.md has every function, view, table and type.
\set QUIET on
\pset format unaligned
\pset tuples_only on
\set settings `cat docs/settings.md`
\set functions `cat docs/functions.md`
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
SELECT plan(7);

-- Rows of the table: | `name` | type | default | unit | bounds | context | what for |
CREATE TEMP TABLE documented AS
SELECT trim(BOTH ' `' FROM c[2]) AS name, trim(c[3]) AS vartype, trim(BOTH ' `' FROM c[4]) AS boot_val, trim(c[5]) AS unit,
    trim(c[6]) AS bounds, trim(c[7]) AS context, trim(c[8]) AS purpose
FROM regexp_split_to_table(:'settings', E'\n') AS line, string_to_array(line, '|') AS c
WHERE line LIKE '| `citadel\_opt.%';
SELECT set_eq('SELECT name FROM documented', $$SELECT name FROM pg_settings WHERE name LIKE 'citadel\_opt.%'$$,
    'settings.md has every setting and no other');
SELECT set_eq('SELECT name, vartype, boot_val, unit FROM documented', $$
    SELECT name, vartype, CASE WHEN boot_val = '' THEN '-' ELSE boot_val END, coalesce(unit, '-')
    FROM pg_settings WHERE name LIKE 'citadel\_opt.%' $$, 'types, defaults and units are right');
SELECT set_eq('SELECT name, bounds FROM documented', $$
    SELECT name, coalesce(array_to_string(enumvals, ', '), min_val || ' .. ' || max_val, '-')
    FROM pg_settings WHERE name LIKE 'citadel\_opt.%' $$, 'bounds are right');
SELECT set_eq('SELECT name, context FROM documented', $$SELECT name, context FROM pg_settings WHERE name LIKE 'citadel\_opt.%'$$,
    'contexts are right');
SELECT is_empty('SELECT name FROM documented WHERE length(purpose) < 10', 'each says what it is for');

-- Names stand in functions.md in backticks, functions with their parenthesis.
SELECT is_empty(format($$
    SELECT DISTINCT p.proname FROM pg_proc AS p
    WHERE p.pronamespace = 'citadel'::regnamespace AND strpos(%L, '`' || p.proname || '(') = 0 $$, :'functions'),
    'functions.md has every function');
SELECT is_empty(format($$
    SELECT c.relname FROM pg_class AS c
    WHERE c.relnamespace = 'citadel'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'c') AND NOT c.relispartition
        AND strpos(%L, '`' || c.relname || '`') = 0 $$, :'functions'), 'functions.md has every table, view and type');

SELECT finish();
ROLLBACK;
