-- Full text over the tasks of the last week.
SELECT id, task_number, title FROM citadel_tasks.hero_tasks
WHERE created_at > now() - interval '7 days'
  AND to_tsvector('english', title || ' ' || coalesce(description, '')) @@ plainto_tsquery('english', 'payment retries')
ORDER BY created_at DESC LIMIT 20;
