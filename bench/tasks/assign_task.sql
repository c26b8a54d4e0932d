-- A task gets another assignee.
\set id random(1, :tasks)
\set assignee random_zipfian(1, :users, 1.05)
UPDATE citadel_tasks.hero_tasks SET assignee_id = :assignee, updated_at = now(), version = version + 1 WHERE id = :id;
