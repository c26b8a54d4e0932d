-- Plain tables: the operations are driven by the job lifecycle; the policy says what is wanted (plain_table).

CREATE FUNCTION citadel.cancel_operation(operation_id bigint, reason text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'citadel_cancel_operation'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.cancel_operation(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cancel_operation(bigint, text) TO PUBLIC;
COMMENT ON FUNCTION citadel.cancel_operation(bigint, text) IS
'Asks for the end of a conversion, a splitting or a batched move (kinds convert, split, move_rows in citadel.lifecycle_step) and queues a run of the job, which stops at the next step or batch. A conversion leaves the table as it was and suspends the policy; a split leaves the partition whole; a move archives what it has collected. Error 55000 when it has ended. For the table''s owner';
