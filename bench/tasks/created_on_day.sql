-- The report of one day; the function around the column keeps an index on it from being used.
\set back random(1, 300)
SELECT type, count(*) FROM citadel_tasks.hero_tasks
WHERE date_trunc('day', created_at) = date_trunc('day', now()) - :back * interval '1 day'
GROUP BY type;
