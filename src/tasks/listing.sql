-- Pages of tasks by keyset: the cost of a page does not grow with its number.

CREATE TYPE citadel_tasks.task_page AS (
    id          bigint,
    task_number text,
    title       text,
    status      text,
    priority    smallint,
    type        text,
    phase       text,
    assignee_id bigint,
    due_at      timestamptz,
    created_at  timestamptz,
    updated_at  timestamptz,
    cursor      text
);
COMMENT ON TYPE citadel_tasks.task_page IS
    'One row of list_tasks(); cursor continues the list after this row';

-- The statement is put together from the filters in use, so that each combination is planned for itself and can use its
-- own index. Rows without the sort key come last in both directions; they are read by a second statement, because one
-- row comparison over a nullable key is no index condition.
CREATE FUNCTION citadel_tasks.list_tasks(
    assignee        bigint   DEFAULT NULL,
    statuses        text[]   DEFAULT NULL,
    priorities      integer[] DEFAULT NULL,
    types           text[]   DEFAULT NULL,
    tag             text     DEFAULT NULL,
    include_deleted boolean  DEFAULT false,
    sort            text     DEFAULT 'due_at',
    descending      boolean  DEFAULT false,
    page_size       integer  DEFAULT 50,
    after           text     DEFAULT NULL)
    RETURNS SETOF citadel_tasks.task_page LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' SET DateStyle = 'ISO, YMD'
AS $$
DECLARE
    key_type   regtype;
    nullable   boolean := false;
    kind       text;
    keys       text[];
    conditions text := '';
    direction  text;
    compare    text;
    columns    text;
    part       text;
    returned   bigint := 0;
BEGIN
    CASE sort
        WHEN 'due_at' THEN key_type := 'timestamptz'; nullable := true;
        WHEN 'created_at', 'updated_at' THEN key_type := 'timestamptz';
        WHEN 'priority' THEN key_type := 'smallint';
        WHEN 'id' THEN key_type := 'bigint';
        ELSE
            RAISE EXCEPTION 'cannot sort tasks by "%"', sort USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Sort by due_at, created_at, updated_at, priority or id.';
    END CASE;
    IF page_size IS NULL OR page_size NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'page_size must be between 1 and 1000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF descending IS NULL OR include_deleted IS NULL THEN
        RAISE EXCEPTION 'descending and include_deleted must not be NULL' USING ERRCODE = 'invalid_parameter_value';
    END IF;

    direction := CASE WHEN descending THEN 'DESC' ELSE 'ASC' END;
    compare := CASE WHEN descending THEN '<' ELSE '>' END;
    -- The filters are part of the kind: a cursor must not continue another list.
    kind := format('hero_tasks/%s/%s/%s', sort, lower(direction),
                   left(encode(sha256(convert_to(jsonb_build_array(assignee, statuses, priorities, types, tag,
                                                                    include_deleted)::text, 'UTF8')), 'hex'), 12));
    keys := citadel_tasks.decode_cursor(after, kind, ARRAY[key_type, 'bigint'::regtype]);
    IF keys IS NOT NULL AND (keys[2] IS NULL OR (keys[1] IS NULL AND NOT nullable)) THEN
        RAISE EXCEPTION 'invalid cursor' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'A key that is never NULL is NULL.', HINT = 'Start again from the first page.';
    END IF;

    -- Types are spelled out, so that the statement also parses where only its text is known.
    -- $1 assignee, $2 statuses, $3 priorities, $4 types, $5 tag, $6 key, $7 id, $8 rows, $9 kind
    IF assignee IS NOT NULL THEN conditions := conditions || ' AND t.assignee_id = $1::bigint'; END IF;
    IF cardinality(statuses) = 1 THEN
        conditions := conditions || ' AND t.status = ($2::text[])[1]';
    ELSIF statuses IS NOT NULL THEN
        conditions := conditions || ' AND t.status = ANY ($2::text[])';
    END IF;
    IF priorities IS NOT NULL THEN conditions := conditions || ' AND t.priority = ANY ($3::integer[])'; END IF;
    IF types IS NOT NULL THEN conditions := conditions || ' AND t.type = ANY ($4::text[])'; END IF;
    IF tag IS NOT NULL THEN conditions := conditions || ' AND t.tags @> ARRAY[$5::text]'; END IF;
    IF NOT include_deleted THEN conditions := conditions || ' AND t.deleted_at IS NULL'; END IF;
    columns := format('SELECT t.id, t.task_number, t.title, t.status, t.priority, t.type, t.phase, t.assignee_id, '
                      't.due_at, t.created_at, t.updated_at, '
                      'citadel_tasks.encode_cursor($9, ARRAY[%L, %L]::regtype[], ARRAY[t.%I::text, t.id::text]) '
                      'FROM citadel_tasks.hero_tasks t', key_type, 'bigint', sort);

    IF keys IS NULL OR keys[1] IS NOT NULL THEN
        IF sort = 'id' THEN
            part := format('%s WHERE %s%s ORDER BY t.id %s LIMIT $8', columns,
                           CASE WHEN keys IS NULL THEN 'true' ELSE format('t.id %s $7', compare) END,
                           conditions, direction);
        ELSE
            part := format('%s WHERE %s%s ORDER BY t.%I %s, t.id %5$s LIMIT $8', columns,
                           CASE WHEN keys IS NOT NULL THEN format('(t.%I, t.id) %s ($6::%s, $7)', sort, compare, key_type)
                                WHEN nullable THEN format('t.%I IS NOT NULL', sort) ELSE 'true' END,
                           conditions, sort, direction);
        END IF;
        RETURN QUERY EXECUTE part
            USING assignee, statuses, priorities, types, tag, keys[1], keys[2]::bigint, page_size::bigint, kind;
        GET DIAGNOSTICS returned = ROW_COUNT;
    END IF;
    IF nullable AND returned < page_size THEN
        part := format('%s WHERE t.%I IS NULL%s%s ORDER BY t.id %s LIMIT $8', columns, sort,
                       CASE WHEN keys IS NOT NULL AND keys[1] IS NULL THEN format(' AND t.id %s $7', compare) ELSE '' END,
                       conditions, direction);
        RETURN QUERY EXECUTE part
            USING assignee, statuses, priorities, types, tag, keys[1], keys[2]::bigint, page_size - returned, kind;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.list_tasks(bigint, text[], integer[], text[], text, boolean, text, boolean, integer, text)
    FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.list_tasks(bigint, text[], integer[], text[], text, boolean, text, boolean, integer, text) IS
    'A page of at most page_size (1 to 1000) tasks by due_at, created_at, updated_at, priority or id, ties by id, rows without a due date last in both directions. after: cursor of the last row of the page before. Error 22023 for an unknown order, a page size out of range, or a cursor that is not one of this list';
