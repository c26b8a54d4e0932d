-- Which tasks wait for this one.
\set id random(1, :tasks)
SELECT t.id, t.task_number, t.title, t.status
FROM citadel_tasks.hero_task_dependencies d JOIN citadel_tasks.hero_tasks t ON t.id = d.task_id
WHERE d.depends_on_id = :id;
