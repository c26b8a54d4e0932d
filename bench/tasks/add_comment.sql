-- A comment, and the task's time of change.
\set id random(1, :tasks)
\set by random_zipfian(1, :users, 1.05)
BEGIN;
INSERT INTO citadel_tasks.hero_task_comments (task_id, author_id, body)
VALUES (:id, :by, 'Checked again after the deploy, the error is gone.');
UPDATE citadel_tasks.hero_tasks SET updated_at = now() WHERE id = :id;
COMMIT;
