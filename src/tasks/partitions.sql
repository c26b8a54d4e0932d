-- Monthly partitions of the two event tables, through pg_partman.
--
-- pg_partman has no fixed schema, and create_parent has another signature in 4.x than in 5.x: the schema is looked up,
-- arguments are named. Partition bounds follow the time zone of whoever makes them, so it is pinned to UTC here and all
-- maintenance should come through maintain_partitions().
--
-- pg_partman sets search_path for the session and puts back what it found, which is what our own SET clause pinned: the
-- caller would be left with our search_path. So what calls it is wrapped by a function that restores the caller's.

CREATE FUNCTION citadel_tasks.partman_schema() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found text;
BEGIN
    SELECT quote_ident(n.nspname) INTO found
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_partman';
    IF found IS NULL THEN
        RAISE EXCEPTION 'pg_partman is not installed in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run CREATE EXTENSION pg_partman.';
    END IF;
    RETURN found;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.partman_schema() FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.partman_schema() IS
    'Schema of pg_partman, quoted; error 55000 when it is not installed';

-- The bounds come from relpartbound, never from a partition's name, which differs between versions of pg_partman.
CREATE FUNCTION citadel_tasks.partition_bounds(
    parent regclass,
    OUT partition regclass, OUT lower_bound timestamptz, OUT upper_bound timestamptz) RETURNS SETOF record
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' SET DateStyle = 'ISO, YMD'
AS $$
    SELECT c.oid::regclass, b.bound[1]::timestamptz, b.bound[2]::timestamptz
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid),
                                    $re$^FOR VALUES FROM \('([^']+)'\) TO \('([^']+)'\)$re$) AS b (bound)
    WHERE i.inhparent = parent AND b.bound IS NOT NULL
    ORDER BY 2
$$;
REVOKE ALL ON FUNCTION citadel_tasks.partition_bounds(regclass) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.partition_bounds(regclass) IS
    'Partitions of a table partitioned by a range of time, with their bounds (upper one exclusive); without a default partition';

CREATE FUNCTION citadel_tasks.make_partitions(months_back integer, premake integer)
    RETURNS integer LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' SET DateStyle = 'ISO, YMD'
AS $$
DECLARE
    partman       text := citadel_tasks.partman_schema();
    is_version_4  boolean;
    this_month    timestamptz := date_trunc('month', now());
    event_table   record;
    months        timestamptz[];
    registered    boolean;
    default_child oid;
    has_rows      boolean;
    made          integer := 0;
    before_count  bigint;
BEGIN
    IF months_back IS NULL OR months_back NOT BETWEEN 0 AND 1200 THEN
        RAISE EXCEPTION 'months_back must be between 0 and 1200' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF premake IS NULL OR premake NOT BETWEEN 1 AND 120 THEN
        RAISE EXCEPTION 'premake must be between 1 and 120' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT split_part(extversion, '.', 1)::integer < 5 INTO is_version_4 FROM pg_extension WHERE extname = 'pg_partman';
    months := ARRAY(SELECT m FROM generate_series(this_month - make_interval(months => months_back),
                                                  this_month + make_interval(months => premake), '1 month') AS m);

    FOR event_table IN
        SELECT * FROM (VALUES ('citadel_tasks.hero_workflow_history', 'changed_at'),
                              ('citadel_tasks.hero_task_comments', 'created_at')) AS t (name, control)
    LOOP
        SELECT count(*) INTO before_count FROM pg_inherits WHERE inhparent = event_table.name::regclass;

        -- A registration without partitions is left over from an earlier life of this extension.
        IF before_count = 0 THEN
            EXECUTE format('DELETE FROM %s.part_config WHERE parent_table = $1', partman) USING event_table.name;
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s.part_config WHERE parent_table = $1)', partman)
            INTO registered USING event_table.name;
        IF NOT registered THEN
            EXECUTE format('SELECT %s.create_parent(p_parent_table => $1, p_control => $2, p_type => $3, '
                           'p_interval => ''1 month'', p_premake => $4, p_start_partition => $5, '
                           'p_template_table => $6)', partman)
                USING event_table.name, event_table.control, CASE WHEN is_version_4 THEN 'native' ELSE 'range' END,
                      premake, months[1]::text, event_table.name || '_template';
        END IF;
        -- Months are made ahead of the clock, also when no new rows arrive.
        EXECUTE format('UPDATE %s.part_config SET premake = $2, infinite_time_partitions = true '
                       'WHERE parent_table = $1', partman) USING event_table.name, premake;
        EXECUTE format('SELECT %s.create_partition_time(p_parent_table => $1, p_partition_times => $2)', partman)
            USING event_table.name, months;

        -- A default partition makes each new month wait for readers, and forbids DETACH ... CONCURRENTLY.
        SELECT partdefid INTO default_child FROM pg_partitioned_table WHERE partrelid = event_table.name::regclass;
        IF default_child <> 0 THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', default_child::regclass) INTO has_rows;
            IF has_rows THEN
                RAISE WARNING 'default partition % holds rows and stays', default_child::regclass
                    USING HINT = 'Move its rows into monthly partitions, then call setup_partitions() again.';
            ELSE
                EXECUTE format('DROP TABLE %s', default_child::regclass);
            END IF;
        END IF;
        made := made + (SELECT count(*) FROM pg_inherits WHERE inhparent = event_table.name::regclass) - before_count;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.make_partitions(integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.make_partitions(integer, integer) IS
    'Internal: the work of setup_partitions(); leaves search_path changed';

-- Not at installation: in a restored dump the policies come with the rows of citadel.lifecycle_policy.
CREATE FUNCTION citadel_tasks.setup_lifecycle(retain text DEFAULT '24 months', premake integer DEFAULT 12,
    archive_to text DEFAULT 'schema') RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    event_table record;
    made        integer := 0;
BEGIN
    FOR event_table IN
        SELECT t.name::regclass AS relation, t.control
        FROM (VALUES ('citadel_tasks.hero_workflow_history', 'changed_at'),
                     ('citadel_tasks.hero_task_comments', 'created_at')) AS t (name, control)
        WHERE NOT EXISTS (SELECT FROM citadel.partition_runway AS r WHERE r.relation = t.name)
    LOOP
        PERFORM citadel.create_lifecycle_policy(event_table.relation, event_table.control, partition_interval => '1 month',
                                                premake => premake, retain => retain, on_expiry => 'archive',
                                                archive_to => archive_to);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.setup_lifecycle(text, integer, text) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.setup_lifecycle(text, integer, text) IS
    'Gives hero_workflow_history and hero_task_comments lifecycle policies, where they have none: monthly partitions, premake ahead, months older than retain are archived to archive_to (see citadel.create_lifecycle_policy()); returns how many it made. setup_partitions() calls it';

CREATE FUNCTION citadel_tasks.setup_partitions(months_back integer DEFAULT 18, premake integer DEFAULT 12)
    RETURNS integer LANGUAGE plpgsql
AS $$
DECLARE
    callers_path text := pg_catalog.current_setting('search_path');
    made         integer := citadel_tasks.make_partitions(months_back, premake);
BEGIN
    PERFORM pg_catalog.set_config('search_path', callers_path, false);
    PERFORM citadel_tasks.setup_lifecycle(premake => premake);
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.setup_partitions(integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.setup_partitions(integer, integer) IS
    'Registers hero_workflow_history and hero_task_comments with pg_partman and makes their monthly partitions (UTC), months_back months back and premake ahead; returns how many it made. Gives both lifecycle policies (setup_lifecycle). May be called again, for example to reach further back. Errors: 22023 for counts out of range, 55000 without pg_partman';

CREATE FUNCTION citadel_tasks.run_partition_maintenance() RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' SET DateStyle = 'ISO, YMD'
AS $$
DECLARE
    partman text := citadel_tasks.partman_schema();
    parent  text;
    before_count bigint;
    made    integer := 0;
BEGIN
    FOREACH parent IN ARRAY ARRAY['citadel_tasks.hero_workflow_history', 'citadel_tasks.hero_task_comments'] LOOP
        SELECT count(*) INTO before_count FROM pg_inherits WHERE inhparent = parent::regclass;
        IF before_count = 0 THEN
            RAISE EXCEPTION 'table % has no partitions yet', parent
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = 'Call citadel_tasks.setup_partitions() first.';
        END IF;
        EXECUTE format('SELECT %s.run_maintenance(p_parent_table => $1)', partman) USING parent;
        made := made + (SELECT count(*) FROM pg_inherits WHERE inhparent = parent::regclass) - before_count;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.run_partition_maintenance() FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.run_partition_maintenance() IS
    'Internal: the work of maintain_partitions(); leaves search_path changed';

CREATE FUNCTION citadel_tasks.maintain_partitions() RETURNS integer LANGUAGE plpgsql
AS $$
DECLARE
    callers_path text := pg_catalog.current_setting('search_path');
    made         integer := citadel_tasks.run_partition_maintenance();
BEGIN
    PERFORM pg_catalog.set_config('search_path', callers_path, false);
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.maintain_partitions() FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.maintain_partitions() IS
    'Has pg_partman make the months ahead that are missing, in UTC; returns how many. Error 55000 before setup_partitions()';

CREATE FUNCTION citadel_tasks.unregister_partitions() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM citadel.drop_lifecycle_policy(r.policy_id) FROM citadel.partition_runway AS r
    WHERE r.relation IN ('citadel_tasks.hero_workflow_history', 'citadel_tasks.hero_task_comments');
    EXECUTE format('DELETE FROM %s.part_config WHERE parent_table = ANY ($1)', citadel_tasks.partman_schema())
        USING ARRAY['citadel_tasks.hero_workflow_history', 'citadel_tasks.hero_task_comments'];
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.unregister_partitions() FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.unregister_partitions() IS
    'Takes both tables out of the care of pg_partman and of their lifecycle policies, and leaves their partitions; call it before DROP EXTENSION citadel_tasks, as pg_partman would fail over tables that are gone';
