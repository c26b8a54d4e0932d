-- The newest tasks, a page further on, by keyset: after the last row of the page before, which the client remembers.
\set id random(1, :tasks)
SELECT EXTRACT(epoch FROM created_at) AS created, id AS last FROM citadel_tasks.hero_tasks WHERE id = :id \gset
SELECT id, task_number, title, status, created_at FROM citadel_tasks.hero_tasks
WHERE (created_at, id) < (to_timestamp(:created::float8), :last::bigint)
ORDER BY created_at DESC, id DESC LIMIT 50;
