-- The hourly job: what one user has overdue becomes more urgent.
\set assignee random_zipfian(1, :users, 1.05)
UPDATE citadel_tasks.hero_tasks SET priority = priority - 1, updated_at = now()
WHERE assignee_id = :assignee AND status = 'ready' AND due_at < now() AND priority > 2;
