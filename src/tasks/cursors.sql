-- Keyset pagination: opaque, typed, versioned cursors.
--
-- A cursor is base64url(first 4 bytes of SHA-256 of the payload || payload), the payload being JSON in UTF-8:
--   {"v": 1, "k": kind, "t": [type of each key], "d": [each key as text, or null]}
-- The digest is not a signature. It finds cursors that were cut or mangled on their way. Somebody who forges a cursor
-- gains nothing: it carries no condition, only values, which are checked against their types and then bound.

CREATE FUNCTION citadel_tasks.encode_cursor(kind text, key_types regtype[], keys text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    payload bytea;
BEGIN
    IF kind IS NULL OR kind = '' THEN
        RAISE EXCEPTION 'kind of a cursor must not be empty' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF cardinality(keys) IS NULL OR cardinality(keys) NOT BETWEEN 1 AND 16
       OR cardinality(keys) IS DISTINCT FROM cardinality(key_types) OR array_position(key_types, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'a cursor needs 1 to 16 keys and one type for each'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    payload := convert_to(jsonb_build_object('v', 1, 'k', kind, 't', to_jsonb(key_types::text[]),
                                             'd', to_jsonb(keys))::text, 'UTF8');
    RETURN rtrim(translate(replace(encode(substr(sha256(payload), 1, 4) || payload, 'base64'), E'\n', ''),
                           '+/', '-_'), '=');
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.encode_cursor(text, regtype[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.encode_cursor(text, regtype[], text[]) IS
    'Opaque cursor of a page''s last row: kind names the listing (with its order and filters), keys are the sort keys as text, key_types their types. Error 22023 for an empty kind or unequal arrays';

CREATE FUNCTION citadel_tasks.decode_cursor(cursor_text text, kind text, key_types regtype[]) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    hint_text constant text := 'Pass the cursor of the last row of the previous page unchanged, '
                               'with the same order and the same filters.';
    raw     bytea;
    payload jsonb;
    keys    text[];
    i       integer;
BEGIN
    IF cursor_text IS NULL THEN
        RETURN NULL;
    END IF;
    IF kind IS NULL OR cardinality(key_types) IS NULL OR cardinality(key_types) = 0
       OR array_position(key_types, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'decode_cursor needs a kind and key types' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- The length limit also keeps nested JSON from reaching the parser's stack limit.
    IF length(cursor_text) > 8192 OR cursor_text !~ '^[A-Za-z0-9_-]+$' THEN
        RAISE EXCEPTION 'invalid cursor' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It is empty, too long, or has characters that no cursor has.', HINT = hint_text;
    END IF;
    BEGIN
        raw := decode(translate(cursor_text, '-_', '+/') || repeat('=', (4 - length(cursor_text) % 4) % 4), 'base64');
        IF substr(raw, 1, 4) = substr(sha256(substr(raw, 5)), 1, 4) THEN
            payload := convert_from(substr(raw, 5), 'UTF8')::jsonb;
        END IF;
    EXCEPTION WHEN data_exception OR statement_too_complex THEN
        payload := NULL;
    END;
    IF payload IS NULL OR jsonb_typeof(payload) <> 'object' THEN
        RAISE EXCEPTION 'invalid cursor' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It is not a whole cursor: it was cut or changed.', HINT = hint_text;
    END IF;
    IF payload -> 'v' IS DISTINCT FROM '1'::jsonb THEN
        RAISE EXCEPTION 'invalid cursor' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It has a version that this server does not know.', HINT = 'Start again from the first page.';
    END IF;
    IF payload ->> 'k' IS DISTINCT FROM kind THEN
        RAISE EXCEPTION 'invalid cursor' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It belongs to another listing, order or filter.', HINT = hint_text;
    END IF;
    IF payload -> 't' IS DISTINCT FROM to_jsonb(key_types::text[])
       OR jsonb_typeof(payload -> 'd') IS DISTINCT FROM 'array'
       OR jsonb_array_length(payload -> 'd') <> cardinality(key_types) THEN
        RAISE EXCEPTION 'invalid cursor' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'Its keys have other types than this listing.', HINT = hint_text;
    END IF;
    keys := ARRAY(SELECT value FROM jsonb_array_elements_text(payload -> 'd') WITH ORDINALITY AS e (value, n) ORDER BY n);
    FOR i IN 1 .. cardinality(keys) LOOP
        BEGIN
            EXECUTE format('SELECT $1::%s', key_types[i]) USING keys[i];
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR syntax_error_or_access_rule_violation THEN
            RAISE EXCEPTION 'invalid cursor' USING ERRCODE = 'invalid_parameter_value',
                DETAIL = format('Key %s is not a value of type %s.', i, key_types[i]), HINT = hint_text;
        END;
    END LOOP;
    RETURN keys;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.decode_cursor(text, text, regtype[]) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.decode_cursor(text, text, regtype[]) IS
    'Keys in a cursor of encode_cursor, as text, after checking that it is whole, of this version, this kind and these types; NULL for NULL. Error 22023 for any other cursor';
