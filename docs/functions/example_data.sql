-- The data of the examples in this folder: a shop with customers, orders, and an event log partitioned by month.
CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL, city text NOT NULL);
INSERT INTO customer SELECT g, 'customer ' || g, (ARRAY['Oslo', 'Turin', 'Graz', 'Porto', 'Lyon'])[1 + g % 5]
FROM generate_series(1, 2000) AS g;

CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customer, status text NOT NULL,
    placed_at timestamptz NOT NULL, total numeric NOT NULL);
INSERT INTO orders SELECT g, 1 + g % 2000, CASE WHEN g % 50 = 0 THEN 'open' ELSE 'done' END,
    '2024-01-01 00:00+00'::timestamptz + g * interval '10 minutes', g % 900 + 0.5
FROM generate_series(1, 50000) AS g;
CREATE INDEX orders_placed_at ON orders (placed_at);
CREATE INDEX orders_placed_at_again ON orders (placed_at);

CREATE TABLE event (id int NOT NULL, at timestamptz NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE event_2024_01 PARTITION OF event FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2024-02-01 00:00+00');
CREATE TABLE event_2024_02 PARTITION OF event FOR VALUES FROM ('2024-02-01 00:00+00') TO ('2024-03-01 00:00+00');
INSERT INTO event SELECT g, '2024-01-01 00:00+00'::timestamptz + g * interval '1 hour', 'event ' || g
FROM generate_series(1, 1200) AS g;

CREATE TABLE reading (id int NOT NULL, at timestamptz NOT NULL, value float8) PARTITION BY RANGE (at);
CREATE TABLE reading_2024_01 PARTITION OF reading FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2024-02-01 00:00+00');
INSERT INTO reading SELECT g, '2024-01-01 00:00+00'::timestamptz + g * interval '1 hour', g FROM generate_series(1, 100) AS g;

CREATE TABLE visit (id int PRIMARY KEY, at timestamptz NOT NULL, page text);
INSERT INTO visit SELECT g, '2024-01-01 00:00+00'::timestamptz + g * interval '1 hour', 'page ' || g % 20
FROM generate_series(1, 3000) AS g;
ANALYZE customer, orders, event, reading, visit;
