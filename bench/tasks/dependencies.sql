-- What a task waits for, directly and through others.
\set id random(1, :tasks)
SELECT * FROM citadel_tasks.get_task_dependencies(:id);
