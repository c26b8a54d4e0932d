"""Estimated against real size and cost of built indexes of every kind; see bench/advisor/size_and_cost."""
import statistics
import sys

import psycopg2

# {n}: rows. Skewed, correlated, wide, nullable and unique columns.
TABLES = """
CREATE TABLE sale (id int, day date, at timestamptz, product int, store int, channel int, price numeric(9, 2), amount float8,
    status text, customer int, email text, note text, gone timestamptz, flag boolean, country char(2), big bigint);
INSERT INTO sale SELECT i, date '2018-01-01' + (i::bigint * 2500 / {n})::int,
    timestamptz '2018-01-01' + i * interval '3 minutes', (power(random(), 3) * 5000)::int, (i * 7919::bigint % 400)::int,
    (random() * 4)::int, round((random() * 300)::numeric, 2), random(),
    (ARRAY['open', 'paid', 'sent', 'returned'])[1 + (power(random(), 4) * 4)::int % 4], (random() * {n} / 8)::int,
    md5((random() * {n} / 3)::int::text) || '@example.org', repeat('x', (random() * 60)::int) || i % 1000,
    CASE WHEN random() < 0.02 THEN timestamptz '2026-01-01' + i * interval '1 minute' END, random() < 0.001,
    chr(65 + i % 20) || chr(65 + (i / 20) % 10), (random() * 1e12)::bigint FROM generate_series(1, {n}) i;
CREATE TABLE line (ord int, pos int, state text, purchase int, city int, region int, span int4range, near point, host inet);
INSERT INTO line SELECT i / 4, i % 4, (ARRAY['a', 'bb', 'ccc'])[1 + i % 3], (i / 3), (i * 31::bigint % 2000)::int,
    ((i * 31::bigint % 2000) / 40)::int, int4range((random() * 1e6)::int, (random() * 1e6)::int + 1000000),
    point(random() * 1000, random() * 1000), ('10.' || i % 4 || '.' || (random() * 255)::int || '.' || i % 250)::inet
    FROM generate_series(1, {n}) i;
CREATE TABLE doc (id int, body jsonb, tags text[], numbers int[], words tsvector, title text);
INSERT INTO doc SELECT i, jsonb_build_object('kind', i % 40, 'owner', 'user ' || (random() * {n} / 30)::int, 'size',
        (random() * 1000)::int, 'address', jsonb_build_object('city', 'city ' || i % 500)),
    ARRAY['t' || (power(random(), 3) * 1000)::int, 'u' || (random() * 20)::int, 'v' || i % 5],
    ARRAY[i % 7, (random() * 10000)::int, (random() * 10000)::int],
    to_tsvector('simple', (SELECT string_agg('w' || (power(random(), 4) * 20000)::int, ' ') FROM generate_series(1, 12 + i % 9))),
    'Title ' || (random() * {n})::int FROM generate_series(1, {n} / 3) i;
"""

# kind, statement, index
CASES = []


def case(kind, query, table, rest, method="btree"):
    CASES.append((kind, query, table, f"CREATE INDEX sized ON {table} USING {method} {rest}"))


def collect():
    btree = {
        "sale": ["id", "day", "at", "product", "store", "channel", "price", "amount", "status", "customer", "email", "note",
                 "gone", "flag", "country", "big", "day, store", "store, day", "product, store", "channel, status",
                 "status, customer, day", "customer, day", "country, product", "status, note", "channel, price",
                 "gone, status", "store, channel, status", "email, id"],
        "line": ["ord", "pos", "state", "purchase", "city", "ord, pos", "state, purchase", "city, region", "region, city",
                 "state, city, region"],
    }
    values = {"id": "= 77", "day": "< '2018-02-01'", "at": "< '2018-01-10'", "product": "= 7", "store": "= 9", "channel": "= 4",
              "price": "= 7.5", "amount": "< 0.01", "status": "= 'returned'", "customer": "= 77", "email": "= 'x'",
              "note": "= 'x7'", "gone": "IS NOT NULL", "flag": "= true", "country": "= 'AA'", "big": "< 100000000",
              "ord": "= 5", "pos": "= 2", "state": "= 'a'", "purchase": "= 7", "city": "= 7", "region": "= 3"}
    for table, keys in btree.items():
        for key in keys:
            where = " AND ".join(f"{c.strip()} {values[c.strip()]}" for c in key.split(","))
            case("btree", f"SELECT * FROM {table} WHERE {where}", table, f"({key})")
    case("btree include", "SELECT id, price FROM sale WHERE id < 5000", "sale", "(id) INCLUDE (price)")
    case("btree include", "SELECT customer, status FROM sale WHERE customer < 50", "sale", "(customer) INCLUDE (status, day)")
    case("btree include", "SELECT store, sum(amount) FROM sale WHERE store = 7 GROUP BY 1", "sale", "(store) INCLUDE (amount)")
    case("btree include", "SELECT email FROM sale WHERE product = 4", "sale", "(product) INCLUDE (email)")
    case("btree partial", "SELECT * FROM sale WHERE customer = 7 AND gone IS NOT NULL", "sale", "(customer) WHERE gone IS NOT NULL")
    case("btree partial", "SELECT * FROM sale WHERE customer = 7 AND gone IS NULL", "sale", "(customer) WHERE gone IS NULL")
    case("btree partial", "SELECT * FROM sale WHERE day < '2019-01-01' AND status = 'returned'", "sale", "(day) WHERE status = 'returned'")
    case("btree partial", "SELECT * FROM sale WHERE id < 9000 AND flag", "sale", "(id) WHERE flag")
    case("btree partial", "SELECT * FROM sale WHERE product = 5 AND price > 250", "sale", "(product) WHERE price > 250")
    case("btree partial", "SELECT * FROM line WHERE purchase = 5 AND state = 'bb'", "line", "(purchase, city) WHERE state = 'bb'")
    case("btree expression", "SELECT * FROM sale WHERE lower(email) = 'x'", "sale", "(lower(email))")
    case("btree expression", "SELECT * FROM sale WHERE upper(status) = 'OPEN' AND day < '2018-02-01'", "sale", "(upper(status), day)")
    case("btree expression", "SELECT * FROM sale WHERE date_trunc('day', at AT TIME ZONE 'UTC') = '2018-03-01'", "sale",
         "(date_trunc('day', at AT TIME ZONE 'UTC'))")
    case("btree expression", "SELECT * FROM sale WHERE product + store = 70", "sale", "((product + store))")
    case("btree expression", "SELECT * FROM doc WHERE body ->> 'owner' = 'user 5'", "doc", "((body ->> 'owner'))")
    case("btree expression", "SELECT * FROM doc WHERE (body ->> 'size')::int < 10", "doc", "(((body ->> 'size')::int))")
    case("btree expression", "SELECT * FROM doc WHERE length(title) = 9", "doc", "(length(title))")
    case("hash", "SELECT * FROM sale WHERE email = 'x'", "sale", "(email)", "hash")
    case("hash", "SELECT * FROM sale WHERE id = 7", "sale", "(id)", "hash")
    case("hash", "SELECT * FROM sale WHERE customer = 7", "sale", "(customer)", "hash")
    case("hash", "SELECT * FROM sale WHERE store = 7", "sale", "(store)", "hash")
    case("hash", "SELECT * FROM sale WHERE status = 'returned'", "sale", "(status)", "hash")
    case("brin", "SELECT * FROM sale WHERE day < '2018-01-05'", "sale", "(day)", "brin")
    case("brin", "SELECT * FROM sale WHERE at < '2018-01-05'", "sale", "(at)", "brin")
    case("brin", "SELECT * FROM sale WHERE id < 500", "sale", "(id)", "brin")
    case("brin", "SELECT * FROM line WHERE ord < 500", "line", "(ord)", "brin")
    case("brin", "SELECT * FROM sale WHERE big = 500", "sale", "(big int8_bloom_ops)", "brin")
    case("gin", "SELECT * FROM doc WHERE body @> '{\"owner\": \"user 5\"}'", "doc", "(body)", "gin")
    case("gin", "SELECT * FROM doc WHERE body @> '{\"owner\": \"user 5\"}'", "doc", "(body jsonb_path_ops)", "gin")
    case("gin", "SELECT * FROM doc WHERE tags @> '{t7,v2}'", "doc", "(tags)", "gin")
    case("gin", "SELECT * FROM doc WHERE numbers @> '{77}'", "doc", "(numbers)", "gin")
    case("gin", "SELECT * FROM doc WHERE words @@ 'w7 & w500'", "doc", "(words)", "gin")
    case("gin", "SELECT * FROM doc WHERE to_tsvector('simple', title) @@ '77'", "doc", "(to_tsvector('simple', title))", "gin")
    case("gin", "SELECT * FROM doc WHERE body -> 'address' @> '{\"city\": \"city 7\"}'", "doc", "((body -> 'address'))", "gin")
    case("gist", "SELECT * FROM line WHERE span @> 1000500", "line", "(span)", "gist")
    case("gist", "SELECT * FROM line WHERE near <@ box '((3,4),(20,20))'", "line", "(near)", "gist")
    case("gist", "SELECT * FROM line ORDER BY near <-> point(3, 4) LIMIT 5", "line", "(near)", "gist")
    case("gist", "SELECT * FROM line WHERE host << '10.1.7.0/24'", "line", "(host inet_ops)", "gist")
    case("gist", "SELECT * FROM doc WHERE words @@ 'w7 & w500'", "doc", "(words)", "gist")


def total_cost(cursor, query):
    cursor.execute("EXPLAIN (FORMAT JSON) " + query)
    return cursor.fetchone()[0][0]["Plan"]["Total Cost"]


def main():
    database, rows, verbose = sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3 and sys.argv[3] == "all"
    connection = psycopg2.connect(dbname=database, user="postgres")
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SET max_parallel_workers_per_gather = 0")
    cursor.execute("SELECT setseed(0.5)")
    for statement in TABLES.replace("{n}", str(rows)).split(";\n"):
        if statement.strip():
            cursor.execute(statement)
    for table in ("sale", "line", "doc"):
        cursor.execute(f"VACUUM (ANALYZE, FREEZE) {table}")
    collect()
    sizes, costs = {}, {}
    for kind, query, table, definition in CASES:
        cursor.execute("SELECT cost_after, index_bytes[1], indexes_used FROM citadel.what_if(%s, ARRAY[%s])", (query, definition))
        cost, size, used = cursor.fetchone()
        cursor.execute(definition)
        if "expression" in kind or "((" in definition or "tsvector(" in definition:
            cursor.execute(f"ANALYZE {table}")
        cursor.execute("SELECT pg_relation_size('sized')")
        built = cursor.fetchone()[0]
        real = total_cost(cursor, query)
        cursor.execute("DROP INDEX sized")
        size_error, cost_error = 100 * (size / built - 1), 100 * (cost / real - 1)
        name = definition[len("CREATE INDEX sized ON "):]
        sizes.setdefault(kind, []).append((size_error, name))
        costs.setdefault(kind, []).append((cost_error, name))
        if verbose:
            print(f"{kind:17} size {size_error:+7.1f} % of {built:10}  cost {cost_error:+7.2f} % of {real:10.2f} "
                  f"{'used ' if used else 'idle '} {name}")
    print(f"{rows} rows; errors in per cent of what was built: median of the absolute values, worst (index)")
    print(f"{'kind':17} {'n':>3} {'size':>7} {'worst':>8}   {'cost':>6} {'worst':>8}")

    def line(kind, of_size, of_cost):
        worst_size, worst_cost = max(of_size, key=lambda e: abs(e[0])), max(of_cost, key=lambda e: abs(e[0]))
        print(f"{kind:17} {len(of_size):3} {statistics.median(abs(e) for e, _ in of_size):7.1f} {worst_size[0]:+8.1f}   "
              f"{statistics.median(abs(e) for e, _ in of_cost):6.2f} {worst_cost[0]:+8.2f}   "
              f"size: {worst_size[1]}; cost: {worst_cost[1]}")

    for kind in sizes:
        line(kind, sizes[kind], costs[kind])
    trees = [k for k in sizes if k.startswith("btree")]
    line("all B-trees", [e for k in trees for e in sizes[k]], [e for k in trees for e in costs[k]])
    line("all", [e for k in sizes for e in sizes[k]], [e for k in costs for e in costs[k]])


if __name__ == "__main__":
    main()
