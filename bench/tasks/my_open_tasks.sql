-- "My tasks": open ones of one user, the next due first.
\set assignee random_zipfian(1, :users, 1.05)
SELECT id, task_number, title, status, priority, due_at FROM citadel_tasks.hero_tasks
WHERE assignee_id = :assignee AND status IN ('ready', 'in_progress', 'blocked') AND deleted_at IS NULL
ORDER BY due_at LIMIT 50;
