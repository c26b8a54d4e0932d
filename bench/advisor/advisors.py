"""The advisors under one interface: recommend(budget in bytes or None) -> Answer."""
import time

from catalog import read_catalog
from model import Answer, target_of
from peers import ALGORITHMS
from peers.what_if import WhatIf
from server import connect, processor_seconds


class Peer:
    def __init__(self, name, database, statements, schemas, measured, width):
        self.name = name
        self.connection = connect(database)
        self.tables = read_catalog(self.connection.cursor(), schemas)
        self.statements = statements
        self.measured = measured
        self.width = width
        self.what_if = None

    def recommend(self, budget, again=False):
        """again: the same question with better known sizes; what is in the cache need not be planned once more."""
        processor = processor_seconds(self.connection)
        started = time.perf_counter()
        what_if = self.what_if if again else WhatIf(self.connection, self.tables, self.statements, self.measured)
        self.what_if = what_if
        chosen = ALGORITHMS[self.name](what_if, float("inf") if budget is None else budget, self.width)
        answer = Answer([index.target for index in chosen])
        answer.seconds = time.perf_counter() - started
        answer.processor_seconds = processor_seconds(self.connection) - processor
        answer.planner_calls = what_if.calls
        answer.cost_requests = what_if.requests
        answer.estimated_bytes = {index.target: what_if.size(index) for index in chosen}
        answer.trajectory = what_if.trajectory
        answer.cost_before = sum(what_if.costs(()))
        answer.cost_after = sum(what_if.costs(frozenset(chosen)))
        return answer


# Kinds of index that citadel_opt may use. `btree`: what the peers have.
KINDS = {"btree": ["btree"], "all": None}


class Citadel:
    def __init__(self, kinds, database, statements, width):
        self.name = "citadel_opt" if kinds == "all" else "citadel_opt, " + kinds
        self.kinds = KINDS[kinds]
        self.connection = connect(database)
        self.statements = statements
        self.width = width

    def recommend(self, budget, again=False, **more):
        cursor = self.connection.cursor()
        parameters = {"workload": [s.sql for s in self.statements], "storage_budget_bytes": budget,
                      "max_key_columns": self.width, "weights": [s.weight for s in self.statements],
                      "index_kinds": self.kinds, **more}
        del self.connection.notices[:]
        processor = processor_seconds(self.connection)
        started = time.perf_counter()
        call = ", ".join(f"{name} => %({name})s" for name in parameters)
        cursor.execute(f"SELECT definition, size_bytes, cost_before, cost_after FROM citadel.recommend_indexes({call}) "
                       "WHERE action = 'create'", parameters)
        rows = cursor.fetchall()
        answer = Answer([target_of(row[0]) for row in rows])
        answer.seconds = time.perf_counter() - started
        answer.processor_seconds = processor_seconds(self.connection) - processor
        answer.estimated_bytes = {target_of(row[0]): row[1] for row in rows}
        answer.cost_before = rows[0][2] if rows else None
        answer.cost_after = rows[-1][3] if rows else None
        answer.trajectory = [(answer.seconds, answer.targets)]
        answer.skipped = [notice.strip() for notice in self.connection.notices]
        return answer

    def what_if(self, sql, definitions):
        """Cost of a statement with these indexes, by citadel_opt."""
        cursor = self.connection.cursor()
        cursor.execute("SELECT cost_after FROM citadel.what_if(%s, %s)", (sql, definitions))
        return cursor.fetchone()[0]

    def trajectory(self, budget):
        """What it answers when it is stopped early."""
        found = []
        for milliseconds in (25, 50, 100, 200, 400, 800, 1600, 3200):
            answer = self.recommend(budget, time_limit_ms=milliseconds)
            found.append((answer.seconds, answer.targets))
            if answer.seconds < milliseconds / 1000:
                break
        return found
