-- Soft delete.
\set id random(1, :tasks)
UPDATE citadel_tasks.hero_tasks SET deleted_at = now(), updated_at = now() WHERE id = :id AND deleted_at IS NULL;
