-- A new task with the first row of its history.
\set reporter random_zipfian(1, :users, 1.05)
\set assignee random_zipfian(1, :users, 1.05)
\set priority random(1, 4)
BEGIN;
WITH new_task AS (
    INSERT INTO citadel_tasks.hero_tasks (task_number, title, description, status, priority, type, phase, assignee_id,
                                          reporter_id, tags, metadata, due_at)
    VALUES ('HT-N' || nextval('citadel_tasks.hero_tasks_id_seq'), 'Fix login redirect in billing', 'Reported by mail.',
            'ready', :priority::integer, 'bug_fix', 'decide', :assignee::bigint, :reporter::bigint, ARRAY['backend'],
            '{"source": "api"}', now() + interval '14 days')
    RETURNING id, status, reporter_id)
INSERT INTO citadel_tasks.hero_workflow_history (task_id, to_status, to_phase, changed_by)
SELECT id, status, 'decide', reporter_id FROM new_task;
COMMIT;
