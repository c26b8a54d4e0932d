-- Work on a task begins again: its state with optimistic locking, and a row of history.
\set id random(1, :tasks)
\set by random_zipfian(1, :users, 1.05)
BEGIN;
UPDATE citadel_tasks.hero_tasks
SET status = 'in_progress', phase = 'apply', completed_at = NULL, updated_at = now(), version = version + 1
WHERE id = :id AND deleted_at IS NULL;
INSERT INTO citadel_tasks.hero_workflow_history (task_id, from_status, to_status, changed_by, reason)
VALUES (:id, 'ready', 'in_progress', :by, 'picked up');
COMMIT;
