-- Legal holds: the table is in lifecycle.sql.

CREATE FUNCTION citadel.place_hold(relation regclass, from_time timestamptz, to_time timestamptz, reason text,
    predicate text DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'citadel_place_hold'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.place_hold(regclass, timestamptz, timestamptz, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.place_hold(regclass, timestamptz, timestamptz, text, text) TO PUBLIC;
COMMENT ON FUNCTION citadel.place_hold(regclass, timestamptz, timestamptz, text, text) IS
'Keeps rows of a table from being moved or dropped until citadel.release_hold(): those from from_time (NULL: the beginning) to before to_time (NULL: no end) and, with a predicate, only those for which this SQL condition over the table''s columns is true or unknown, names outside pg_catalog qualified. Returns the hold_id. For the table''s owner';

CREATE FUNCTION citadel.release_hold(hold_id bigint, reason text)
RETURNS void
AS 'MODULE_PATHNAME', 'citadel_release_hold'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.release_hold(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.release_hold(bigint, text) TO PUBLIC;
COMMENT ON FUNCTION citadel.release_hold(bigint, text) IS
'Ends a hold placed with citadel.place_hold(). For the table''s owner, and for superusers when the table is gone';
