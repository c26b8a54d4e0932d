-- Tasks of a customer, from the metadata. Only a GIN index would help.
\set customer random_zipfian(1, 20000, 1.05)
SELECT id, task_number, title, status, updated_at FROM citadel_tasks.hero_tasks
WHERE metadata @> jsonb_build_object('customer', :customer::integer)
ORDER BY updated_at DESC LIMIT 50;
