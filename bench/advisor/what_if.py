"""Alternates what-if calls of citadel_opt and of HypoPG and prints the ratio of calls a second; see bench/advisor/run."""
import os
import statistics
import sys
import time

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "capture"))
from ratio import interval  # noqa: E402

TASKS = "citadel_tasks.hero_tasks"
STATEMENTS = [
    ("one table", "list", f"SELECT id, title, due_at FROM {TASKS} WHERE assignee_id = 7 AND status = 'in_progress' "
     "ORDER BY due_at LIMIT 20", f"CREATE INDEX ON {TASKS} (assignee_id, status, due_at)"),
    ("one table", "point", f"SELECT * FROM {TASKS} WHERE parent_id = 42", f"CREATE INDEX ON {TASKS} (parent_id)"),
    ("one table", "count", f"SELECT count(*) FROM {TASKS} WHERE created_at >= now() - interval '7 days'",
     f"CREATE INDEX ON {TASKS} (created_at)"),
    ("join", "2 tables", f"SELECT t.title, d.depends_on_id FROM {TASKS} t JOIN citadel_tasks.hero_task_dependencies d "
     "ON d.task_id = t.id WHERE t.assignee_id = 7", f"CREATE INDEX ON {TASKS} (assignee_id)"),
    ("join", "3 tables", f"SELECT t.title, b.title FROM {TASKS} t JOIN citadel_tasks.hero_task_dependencies d ON "
     f"d.task_id = t.id JOIN {TASKS} b ON b.id = d.depends_on_id WHERE t.assignee_id = 7 AND b.status = 'blocked'",
     f"CREATE INDEX ON {TASKS} (assignee_id)"),
    ("join", "5 tables", f"SELECT t.title, b.title, c.title FROM {TASKS} t JOIN citadel_tasks.hero_task_dependencies d "
     f"ON d.task_id = t.id JOIN {TASKS} b ON b.id = d.depends_on_id JOIN citadel_tasks.hero_task_dependencies e ON "
     f"e.task_id = b.id JOIN {TASKS} c ON c.id = e.depends_on_id WHERE t.assignee_id = 7 ORDER BY c.due_at",
     f"CREATE INDEX ON {TASKS} (assignee_id)"),
]


class Bench:
    def __init__(self, database, seconds):
        self.seconds = seconds
        connection = psycopg2.connect(dbname=database, user="postgres")
        connection.autocommit = True
        self.cursor = connection.cursor()
        self.cursor.execute("SELECT 1")

    def timed(self, call):
        """Calls a second of `call`, over about the time of one side."""
        calls = 0
        started = time.perf_counter()
        while (elapsed := time.perf_counter() - started) < self.seconds:
            call()
            calls += 1
        return calls / elapsed

    def looped(self, sql, query, index):
        """Calls a second of a loop inside the server, timed there."""
        self.cursor.execute(sql, (query, index, 20))
        per_call = self.cursor.fetchone()[1] / 20
        calls = max(int(self.seconds * 1000 / max(per_call, 0.001)), 20)
        self.cursor.execute(sql, (query, index, calls))
        return calls * 1000 / self.cursor.fetchone()[1]

    def engine(self, query, index):
        return self.looped("SELECT cost, milliseconds FROM what_if_loop(%s, ARRAY[%s], %s)", query, index)

    def hypopg_server(self, query, index):
        return self.looped("SELECT cost, milliseconds FROM hypopg_loop(%s, %s, %s)", query, index)

    def what_if_socket(self, query, index):
        def call():
            self.cursor.execute("SELECT * FROM citadel.what_if(%s, ARRAY[%s])", (query, index))
            self.cursor.fetchall()

        return self.timed(call)

    def hypopg_socket(self, query, index):
        def call():
            self.cursor.execute("SELECT hypopg_create_index(%s)", (index,))
            self.cursor.execute("EXPLAIN (FORMAT JSON) " + query)
            self.cursor.fetchall()
            self.cursor.execute("SELECT hypopg_reset()")

        return self.timed(call)

    def costs(self, query, index):
        self.cursor.execute("SELECT cost, used FROM (SELECT * FROM what_if_loop(%s, ARRAY[%s], 1)) x", (query, index))
        cost, used = self.cursor.fetchone()
        self.cursor.execute("SELECT cost FROM hypopg_loop(%s, %s, 1)", (query, index))
        return cost, used, self.cursor.fetchone()[0]


def main():
    pairs, milliseconds, database = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    bench = Bench(database, milliseconds / 1000)
    comparisons = [
        ("engine", bench.engine, bench.hypopg_socket),
        ("socket", bench.what_if_socket, bench.hypopg_socket),
        ("server", bench.engine, bench.hypopg_server),
    ]
    print(f"{pairs} pairs, {milliseconds} ms a side; ratio = calls a second of citadel_opt / HypoPG, median of the pairs")
    by_kind = {}
    for kind, name, query, index in STATEMENTS:
        cost, used, hypopg_cost = bench.costs(query, index)
        print(f"{kind}, {name}: cost with the index {cost:.2f} (used: {'yes' if used else 'no'}), HypoPG {hypopg_cost:.2f}")
        for label, ours, theirs in comparisons:
            rates = []
            for i in range(pairs):
                # Whoever goes first alternates.
                if i % 2 == 0:
                    a = ours(query, index)
                    b = theirs(query, index)
                else:
                    b = theirs(query, index)
                    a = ours(query, index)
                rates.append((a, b))
            ratios = [a / b for a, b in rates]
            by_kind.setdefault((kind, label), []).append(ratios)
            low, high, coverage = interval(ratios)
            print(f"  {label}: {statistics.median(a for a, _ in rates):8.0f} / {statistics.median(b for _, b in rates):6.0f}"
                  f" a second, ratio {statistics.median(ratios):5.2f}, {100 * coverage:.0f} % interval [{low:.2f}, {high:.2f}]")
    print("median over the statements of a kind:")
    for (kind, label), lists in by_kind.items():
        print(f"  {kind}, {label}: {statistics.median(statistics.median(r) for r in lists):.2f}")


if __name__ == "__main__":
    main()
