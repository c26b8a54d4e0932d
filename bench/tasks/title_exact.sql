-- Looks for a duplicate before creating a task, without regard to case.
\set customer random_zipfian(1, 5000, 1.05)
SELECT id, task_number, status FROM citadel_tasks.hero_tasks
WHERE lower(title) = lower('Fix login redirect in billing for customer ' || :customer::integer);
