-- The search box: a part of the title. Only a trigram index would help.
\set customer random_zipfian(1, 5000, 1.05)
SELECT id, task_number, title FROM citadel_tasks.hero_tasks
WHERE title ILIKE '%customer ' || :customer::integer || '%' AND deleted_at IS NULL
ORDER BY updated_at DESC LIMIT 20;
