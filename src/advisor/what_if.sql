-- What a statement would cost with other indexes.

CREATE TYPE citadel.what_if_result AS (
    cost_before float8,
    cost_after float8,
    indexes_used text[],
    plan_before json,
    plan_after json,
    index_bytes bigint[]
);
COMMENT ON TYPE citadel.what_if_result IS
'A statement''s total cost in planner units without and with hypothetical indexes, which of them it uses, both plans, and the estimated bytes of each index in the order given';

CREATE FUNCTION citadel.what_if(query text, indexes text[], parameters text[] DEFAULT NULL,
    hidden regclass[] DEFAULT NULL)
RETURNS citadel.what_if_result
AS 'MODULE_PATHNAME', 'citadel_what_if'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION citadel.what_if(text, text[], text[], regclass[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.what_if(text, text[], text[], regclass[]) TO pg_monitor;
COMMENT ON FUNCTION citadel.what_if(text, text[], text[], regclass[]) IS
'Plans one statement (SELECT or DML; nothing is executed) as the caller, in the caller''s search_path, without and with the indexes given as CREATE INDEX statements: B-tree, hash, BRIN, GIN or GiST, with expressions, INCLUDE, WHERE, operator classes and fill factor; parameters: values of $1, $2 ..., NULL for a generic plan; hidden: existing indexes that cost_after and plan_after do without. Errors: 42601 for several statements, 0A000 for utility statements and other access methods, 42501 for tables the caller may not read, 42809 for hidden relations that are no indexes, 54000 for an index that a sampled row is too long for';
