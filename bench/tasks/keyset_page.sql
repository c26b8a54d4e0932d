-- The newest tasks, a page further on, by keyset.
\set id random(1, :tasks)
SELECT id, task_number, title, status, created_at FROM citadel_tasks.hero_tasks
WHERE (created_at, id) < (SELECT created_at, id FROM citadel_tasks.hero_tasks WHERE id = :id)
ORDER BY created_at DESC, id DESC LIMIT 50;
