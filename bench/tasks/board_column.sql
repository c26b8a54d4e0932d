-- A column of the board: most urgent first, then the newest.
SELECT id, task_number, title, assignee_id, priority, due_at FROM citadel_tasks.hero_tasks
WHERE status = 'in_progress' AND deleted_at IS NULL
ORDER BY priority, created_at DESC LIMIT 100;
