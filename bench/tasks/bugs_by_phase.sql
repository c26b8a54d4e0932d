-- The bug triage view: type, status and phase, newest first.
SELECT id, task_number, title, priority, created_at FROM citadel_tasks.hero_tasks
WHERE type = 'bug_fix' AND status = 'ready' AND phase = 'decide'
ORDER BY created_at DESC LIMIT 50;
