-- Open tasks with a label. Only a GIN index would help with the label itself.
\set topic random_zipfian(1, 3000, 1.05)
SELECT id, task_number, title, status FROM citadel_tasks.hero_tasks
WHERE tags @> ARRAY['topic-' || :topic::integer] AND deleted_at IS NULL
ORDER BY updated_at DESC LIMIT 50;
