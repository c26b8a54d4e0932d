-- What one user changed lately, on the profile page.
\set assignee random_zipfian(1, :users, 1.05)
SELECT h.changed_at, h.to_status, t.task_number, t.title
FROM citadel_tasks.hero_workflow_history h JOIN citadel_tasks.hero_tasks t ON t.id = h.task_id
WHERE h.changed_by = :assignee
ORDER BY h.changed_at DESC LIMIT 30;
