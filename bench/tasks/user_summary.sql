-- The figures above a user's task list.
\set assignee random_zipfian(1, :users, 1.05)
SELECT * FROM citadel_tasks.get_user_task_summary(:assignee);
