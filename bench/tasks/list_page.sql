-- A page of a user's list through the application's own function.
\set assignee random_zipfian(1, :users, 1.05)
SELECT id, title, status, due_at, cursor FROM citadel_tasks.list_tasks(assignee => :assignee, statuses => ARRAY['in_progress']);
