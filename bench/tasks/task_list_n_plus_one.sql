-- A list, and then the last comment of each row by a statement of its own: N+1.
\set assignee random_zipfian(1, :users, 1.05)
\set a random(1, :tasks)
\set b random(1, :tasks)
\set c random(1, :tasks)
\set d random(1, :tasks)
\set e random(1, :tasks)
\set f random(1, :tasks)
\set g random(1, :tasks)
\set h random(1, :tasks)
\set i random(1, :tasks)
\set j random(1, :tasks)
\set k random(1, :tasks)
\set l random(1, :tasks)
BEGIN;
SELECT id, title FROM citadel_tasks.hero_tasks WHERE assignee_id = :assignee AND status = 'in_progress' ORDER BY updated_at DESC LIMIT 12;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :a ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :b ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :c ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :d ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :e ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :f ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :g ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :h ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :i ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :j ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :k ORDER BY created_at DESC LIMIT 1;
SELECT body, created_at FROM citadel_tasks.hero_task_comments WHERE task_id = :l ORDER BY created_at DESC LIMIT 1;
COMMIT;
