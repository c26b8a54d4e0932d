-- The same list by OFFSET, as it should not be done.
\set page random(1, 400)
SELECT id, task_number, title, status, created_at FROM citadel_tasks.hero_tasks
ORDER BY created_at DESC, id DESC LIMIT 50 OFFSET :page * 50;
