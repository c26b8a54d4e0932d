-- One task, opened from a link.
\set id random(1, :tasks)
SELECT * FROM citadel_tasks.hero_tasks WHERE id = :id;
