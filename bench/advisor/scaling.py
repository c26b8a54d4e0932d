"""How the advisor's time grows: up to 2,000 distinct statements on 200 tables, or ten statements a table."""
import random
import time

from advisors import Citadel
from model import Statement
from server import connect, create_database, drop_database, processor_seconds

TABLES = 200
A_TABLE = 10  # statements, when the number of tables is given
INDEXES = 5_000  # at most: more than any answer has
STATEMENTS = {"quick": (125, 250, 500), "full": (250, 500, 1000, 2000)}
ROWS = {"quick": 2_000, "full": 20_000}
DATABASE = "plan_scaling"

# Columns of every table beside its key, with what they hold.
COLUMNS = [("owner", "1 + floor({rows} / 20 * power(random(), 2))::int"), ("kind", "floor(12 * random())::int"),
           ("state", "floor(5 * power(random(), 3))::int"), ("day", "date '2023-01-01' + g % 700"),
           ("amount", "(100000 * power(random(), 3))::int"), ("code", "md5(g::text)"), ("score", "floor(1000 * random())::int"),
           ("link", "1 + floor({rows} * random())::int"), ("note", "repeat('x', 40)")]


def build(size, tables):
    create_database(DATABASE)
    connection = connect(DATABASE)
    cursor = connection.cursor()
    cursor.execute("CREATE EXTENSION citadel_opt CASCADE")
    cursor.execute("SELECT setseed(0.9)")
    rows = ROWS[size]
    for t in range(tables):
        # Tables of different sizes.
        count = max(rows * (1 + t % 10) // 5, 200)
        columns = ", ".join(f"{expression.format(rows=count)} AS t{t}_{name}" for name, expression in COLUMNS)
        cursor.execute(f"CREATE TABLE t{t} AS SELECT g AS t{t}_id, {columns} FROM generate_series(1, {count}) AS g")
        cursor.execute(f"ALTER TABLE t{t} ADD PRIMARY KEY (t{t}_id)")
    cursor.execute("VACUUM (ANALYZE)")
    connection.close()


def statements(count, tables=TABLES):
    """Distinct in tables, columns and shape: lists, joins of two to four tables, aggregates, semi-joins."""
    generator = random.Random(11)
    found = {}
    while len(found) < count:
        t = generator.randrange(tables)
        kind = generator.random()
        if kind < 0.35:
            text = listing(generator, t)
        elif kind < 0.7:
            text = join(generator, t, tables)
        elif kind < 0.9:
            text = aggregate(generator, t)
        else:
            u = (t + generator.randrange(1, 9)) % tables
            text = (f"SELECT t{t}_id, t{t}_amount FROM t{t} WHERE {filter_of(generator, t)} AND EXISTS (SELECT FROM t{u} WHERE "
                    f"t{u}_owner = t{t}_owner AND {filter_of(generator, u)})")
        found.setdefault(text, None)
    return [Statement(f"s{i}", text) for i, text in enumerate(found)]


def filter_of(generator, t):
    return generator.choice([
        f"t{t}_owner = {generator.randrange(1, 400)}", f"t{t}_code = md5('{generator.randrange(9999)}')",
        f"t{t}_day = '2024-0{generator.randrange(1, 9)}-11'", f"t{t}_amount > {90000 + generator.randrange(9000)}",
        f"t{t}_kind = {generator.randrange(12)} AND t{t}_state = {generator.randrange(5)}",
        f"t{t}_score BETWEEN {generator.randrange(990)} AND 990", f"t{t}_state IN (3, 4) AND t{t}_score > {generator.randrange(900, 999)}",
        f"t{t}_link = {generator.randrange(2000)}", f"t{t}_day >= '2024-09-{generator.randrange(10, 30)}'"])


def listing(generator, t):
    order = generator.choice(["day DESC", "amount DESC", "score", "code"])
    columns = ", ".join(f"t{t}_{name}" for name in generator.sample(["id", "kind", "amount", "code", "day", "score"], 3))
    return f"SELECT {columns} FROM t{t} WHERE {filter_of(generator, t)} ORDER BY t{t}_{order} LIMIT {generator.choice([10, 20, 50])}"


def join(generator, t, tables):
    chain = [t] + [(t + step) % tables for step in generator.sample(range(1, 12), generator.randrange(1, 4))]
    on = [f"JOIN t{u} ON t{u}_{generator.choice(['owner', 'link', 'id'])} = t{v}_{generator.choice(['link', 'id'])}"
          for v, u in zip(chain, chain[1:])]
    return (f"SELECT t{t}_kind, count(*), sum(t{chain[-1]}_amount) FROM t{t} {' '.join(on)} WHERE {filter_of(generator, t)} "
            f"AND {filter_of(generator, chain[-1])} GROUP BY t{t}_kind")


def aggregate(generator, t):
    column = generator.choice(["kind", "state", "owner", "day"])
    return (f"SELECT t{t}_{column}, count(*), max(t{t}_{generator.choice(['amount', 'score', 'day'])}) FROM t{t} WHERE "
            f"{filter_of(generator, t)} GROUP BY t{t}_{column}")


def run(options, log):
    tables = options.tables or TABLES
    build(options.size, tables)
    points = []
    for count in (A_TABLE * tables,) if options.tables else STATEMENTS[options.size]:
        advisor = Citadel("all", DATABASE, statements(count, tables), 3)
        connection = advisor.connection
        started, processor = time.perf_counter(), processor_seconds(connection)
        answer = advisor.recommend(None, max_indexes=INDEXES)
        points.append({"statements": count, "seconds": time.perf_counter() - started,
                       "processor_seconds": processor_seconds(connection) - processor, "indexes": len(answer.targets),
                       "cost": (answer.cost_after or 0) / (answer.cost_before or 1)})
        log(f"scaling: {count} statements on {tables} tables: {points[-1]['seconds']:.2f} s "
            f"({points[-1]['processor_seconds']:.2f} s processor), {len(answer.targets)} indexes, cost {points[-1]['cost']:.4f}")
        connection.close()
    if not options.reuse:
        drop_database(DATABASE)
    return {"workload": "scaling", "tables": tables, "points": points}
