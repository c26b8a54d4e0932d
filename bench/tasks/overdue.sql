-- What should have been done, longest overdue first.
SELECT id, task_number, title, assignee_id, due_at FROM citadel_tasks.hero_tasks
WHERE status IN ('ready', 'in_progress', 'blocked') AND due_at < now() AND deleted_at IS NULL
ORDER BY due_at LIMIT 100;
