-- One task, by the number people write in mails.
\set id random(1, :tasks)
SELECT id, title, status, assignee_id, due_at FROM citadel_tasks.hero_tasks WHERE task_number = 'HT-' || :id::bigint;
