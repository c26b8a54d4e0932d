-- The history tab of a task.
\set id random(1, :tasks)
SELECT from_status, to_status, changed_by, reason, changed_at FROM citadel_tasks.hero_workflow_history
WHERE task_id = :id ORDER BY changed_at DESC LIMIT 50;
