-- The comments of a task, oldest first.
\set id random(1, :tasks)
SELECT id, author_id, body, is_internal, created_at, edited_at FROM citadel_tasks.hero_task_comments
WHERE task_id = :id ORDER BY created_at LIMIT 100;
