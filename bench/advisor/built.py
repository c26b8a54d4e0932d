"""Indexes that are really built: their size, what the planner says with them, how long statements take.

Each distinct index is built once, in a copy of the database that the advisors see. A set is put in force by declaring the
others invalid, which hides them from the planner and leaves them as they are. A plan that was timed for a statement is
not timed again: the same plan over the same indexes does the same work."""
import json
import re
import statistics
import time

import psycopg2

from server import connect

VOLATILE_KEYS = {"Startup Cost", "Total Cost", "Plan Rows", "Plan Width"}


class Built:
    def __init__(self, database, statements, runs, timeout_seconds):
        self.connection = connect(database)
        self.cursor = self.connection.cursor()
        self.cursor.execute("SET statement_timeout = 0")
        self.statements = statements
        self.runs = runs
        self.timeout = timeout_seconds
        self.indexes = {}  # target -> (oid of the index and of its parts, bytes)
        self.bytes = {}  # target -> bytes
        self.build_seconds = {}
        self.visible = None
        self.times = {}  # (statement, plan) -> seconds
        self.timed_out = set()

    def build(self, targets):
        for target in targets:
            if target in self.indexes:
                continue
            name = f"compared_{len(self.indexes) + 1}"
            started = time.perf_counter()
            self.cursor.execute(f"CREATE INDEX {name} ON {target}")
            self.build_seconds[target] = time.perf_counter() - started
            self._learn_expressions(target, name)
            self.cursor.execute("SELECT array_agg(c.oid), sum(pg_relation_size(c.oid))::bigint FROM pg_class c WHERE c.oid "
                                "= to_regclass(%s) OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass(%s)))",
                                (self._qualified(target, name), self._qualified(target, name)))
            oids, size = self.cursor.fetchone()
            self.indexes[target] = (oids, size)
            self.bytes[target] = size
            self.visible = None

    def _learn_expressions(self, target, name):
        """An index on an expression has no statistics until its table is analysed. Those of the table stay as they are, so
        that plans without it do."""
        self.cursor.execute("SELECT i.indrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE i.indexrelid = to_regclass(%s) "
                            "AND i.indexprs IS NOT NULL AND c.relkind = 'r'", (self._qualified(target, name),))
        found = self.cursor.fetchone()
        if found is None:
            return
        table, aside = found[0], 4_000_000_000
        self.cursor.execute("BEGIN")
        self.cursor.execute("SELECT relpages, reltuples, relallvisible, oid::regclass::text FROM pg_class WHERE oid = %s", (table,))
        pages, rows, visible, table_name = self.cursor.fetchone()
        self.cursor.execute("UPDATE pg_statistic SET starelid = %s WHERE starelid = %s", (aside, table))
        self.cursor.execute(f"ANALYZE {table_name}")
        self.cursor.execute("DELETE FROM pg_statistic WHERE starelid = %s", (table,))
        self.cursor.execute("UPDATE pg_statistic SET starelid = %s WHERE starelid = %s", (table, aside))
        self.cursor.execute("UPDATE pg_class SET relpages = %s, reltuples = %s, relallvisible = %s WHERE oid = %s", (pages, rows, visible, table))
        self.cursor.execute("COMMIT")

    def size(self, targets):
        self.build(targets)
        return sum(self.indexes[target][1] for target in set(targets))

    def show(self, targets):
        """Puts exactly these indexes in force, beside those that the workload came with."""
        self.build(targets)
        wanted = frozenset(targets)
        if wanted == self.visible:
            return
        every = [oid for oids, _ in self.indexes.values() for oid in oids]
        shown = [oid for target in wanted for oid in self.indexes[target][0]]
        self.cursor.execute("UPDATE pg_index SET indisvalid = NOT indisvalid WHERE indexrelid = ANY (%s::oid[]) "
                            "AND indisvalid IS DISTINCT FROM (indexrelid = ANY (%s::oid[]))", (every, shown))
        self.visible = wanted

    def costs(self, targets):
        """Weighted cost of each statement by the server's own EXPLAIN."""
        self.show(targets)
        found = []
        for statement in self.statements:
            plan = self._plan(statement)
            found.append(plan["Total Cost"] * statement.weight)
        return found

    def seconds(self, targets):
        """Weighted run time of each statement that reads."""
        self.show(targets)
        found = []
        for i, statement in enumerate(self.statements):
            if statement.writes:
                continue
            plan = self._plan(statement)
            key = (i, json.dumps(without_estimates(plan), sort_keys=True))
            if key not in self.times:
                self.times[key] = self._time(statement)
            found.append(self.times[key] * statement.weight)
        return found

    def _plan(self, statement):
        self.cursor.execute("EXPLAIN (FORMAT JSON) " + statement.sql)
        return json.loads(self.cursor.fetchone()[0])[0]["Plan"]

    def _time(self, statement):
        taken = []
        self.cursor.execute(f"SET statement_timeout = '{self.timeout}s'")
        try:
            for run in range(self.runs + 1):
                started = time.perf_counter()
                self.cursor.execute(statement.sql)
                self.cursor.fetchall()
                seconds = time.perf_counter() - started
                # The first run also fills the cache; what takes long is not repeated.
                if run > 0 or seconds > 0.5 or self.runs == 1:
                    taken.append(seconds)
                if sum(taken) > 0.5 or len(taken) >= self.runs:
                    break
        except psycopg2.errors.QueryCanceled:
            self.timed_out.add(statement.name)
            return float(self.timeout)
        finally:
            self.cursor.execute("SET statement_timeout = 0")
        return statistics.median(taken)

    def _qualified(self, target, name):
        table = re.match(r"((?:\"[^\"]+\"|[^ .(]+)(?:\.(?:\"[^\"]+\"|[^ .(]+))?)", target).group(1)
        return table.rsplit(".", 1)[0] + "." + name if "." in table else name


def without_estimates(plan):
    return {key: [without_estimates(child) for child in value] if key == "Plans" else value
            for key, value in plan.items() if key not in VOLATILE_KEYS}
