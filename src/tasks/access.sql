-- Nothing is granted at installation. The owner gives the application's role what an application needs with one call.

CREATE FUNCTION citadel_tasks.grant_access(grantee regrole, read_only boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF grantee IS NULL OR read_only IS NULL THEN
        RAISE EXCEPTION 'grantee and read_only must not be NULL' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA citadel_tasks TO %s', grantee);
    EXECUTE format('GRANT SELECT ON citadel_tasks.hero_tasks, citadel_tasks.hero_task_dependencies, '
                   'citadel_tasks.hero_workflow_history, citadel_tasks.hero_task_comments TO %s', grantee);
    EXECUTE format('GRANT EXECUTE ON FUNCTION citadel_tasks.encode_cursor(text, regtype[], text[]), '
                   'citadel_tasks.decode_cursor(text, text, regtype[]), '
                   'citadel_tasks.list_tasks(bigint, text[], integer[], text[], text, boolean, text, boolean, integer, text), '
                   'citadel_tasks.get_task_statistics(timestamptz), '
                   'citadel_tasks.get_user_task_summary(bigint, timestamptz), '
                   'citadel_tasks.get_task_dependencies(bigint, integer) TO %s', grantee);
    IF NOT read_only THEN
        EXECUTE format('GRANT INSERT, UPDATE, DELETE ON citadel_tasks.hero_tasks, citadel_tasks.hero_task_dependencies TO %s',
                       grantee);
        -- Events are written once; a comment may be edited.
        EXECUTE format('GRANT INSERT ON citadel_tasks.hero_workflow_history, citadel_tasks.hero_task_comments TO %s', grantee);
        EXECUTE format('GRANT UPDATE (body, is_internal, edited_at) ON citadel_tasks.hero_task_comments TO %s', grantee);
        EXECUTE format('GRANT USAGE ON SEQUENCE citadel_tasks.hero_tasks_id_seq, citadel_tasks.hero_workflow_history_id_seq, '
                       'citadel_tasks.hero_task_comments_id_seq TO %s', grantee);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.grant_access(regrole, boolean) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.grant_access(regrole, boolean) IS
    'Grants a role what the tasks application needs: reading, and unless read_only writing, of tasks, dependencies, history and comments, and the functions except the generator and the care of partitions. To be called by the owner';
