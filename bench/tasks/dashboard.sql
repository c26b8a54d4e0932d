-- The team dashboard: open tasks by status and priority.
SELECT status, priority, count(*), count(*) FILTER (WHERE due_at < now()) AS overdue
FROM citadel_tasks.hero_tasks
WHERE status IN ('draft', 'ready', 'in_progress', 'blocked') AND deleted_at IS NULL
GROUP BY status, priority;
