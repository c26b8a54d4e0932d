-- Parts of a task with their state.
\set id random(1, :tasks)
SELECT id, task_number, title, status, assignee_id FROM citadel_tasks.hero_tasks
WHERE parent_id = :id AND deleted_at IS NULL ORDER BY id;
