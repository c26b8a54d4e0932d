"""The peers' cost estimates: HypoPG and EXPLAIN over a socket, cached by statement and relevant indexes."""
import re
import time

from catalog import btree_bytes, mentioned
from model import Index

TOTAL_COST = re.compile(r'"Total Cost": ([0-9.]+)')
USED_INDEX = re.compile(r'"Index Name": "([^"]+)"')


class WhatIf:
    """Prices configurations (sets of Index). A statement is planned again only when an index that is relevant to it
    changed: one of a table that it reads, with a column that it mentions."""

    exchange_seconds = 5.0  # for how long DB2Advis tries exchanges

    def __init__(self, connection, tables, statements, measured):
        self.cursor = connection.cursor()
        # DB2Advis may have more hypothetical indexes at once than HypoPG has numbers of its own.
        self.cursor.execute("SELECT hypopg_reset(); SET hypopg.use_real_oids = on")
        self.tables = tables
        self.statements = statements
        self.measured = measured  # target -> bytes of indexes that were built in this run already
        self.columns = [mentioned(statement.sql, tables) for statement in statements]
        self.by_table = {}
        for i, columns in enumerate(self.columns):
            for table in columns:
                self.by_table.setdefault(table, []).append(i)
        self.calls = 0  # planner calls
        self.requests = 0  # costs asked for
        self.cache = {}
        self.touching = {}
        self.active = {}  # Index -> (oid of each hypothetical index)
        self.names = {}  # name of a hypothetical index -> Index
        self.started = time.perf_counter()
        self.trajectory = []

    # What the algorithms ask.

    def touched_by(self, index):
        """Numbers of the statements that an index is relevant to."""
        if index not in self.touching:
            self.touching[index] = [i for i in self.by_table.get(index.table, ())
                                    if any(column in self.columns[i][index.table] for column in index.columns)]
        return self.touching[index]

    def is_relevant(self, i, index):
        columns = self.columns[i].get(index.table)
        return columns is not None and any(column in columns for column in index.columns)

    def cost(self, i, configuration):
        """Weighted cost of statement i under a configuration."""
        self.requests += 1
        key = (i, frozenset(index for index in configuration if self.is_relevant(i, index)))
        cost = self.cache.get(key)
        if cost is None:
            cost = float(TOTAL_COST.search(self._explain(i, configuration)).group(1)) * self.statements[i].weight
            self.cache[key] = cost
        return cost

    def costs(self, configuration):
        return [self.cost(i, configuration) for i in range(len(self.statements))]

    def used(self, i, configuration):
        """The cost and the members of the configuration that the plan uses."""
        plan = self._explain(i, configuration)
        cost = float(TOTAL_COST.search(plan).group(1)) * self.statements[i].weight
        return cost, {self.names[name] for name in USED_INDEX.findall(plan) if name in self.names}

    def size(self, index):
        measured = self.measured.get(index.target)
        return measured if measured is not None else btree_bytes(self.tables[index.table], index.columns)

    def single_columns(self):
        """An index for each column that the workload mentions."""
        return sorted({Index(table, (column,)) for columns in self.columns for table, names in columns.items()
                       for column in names})

    def improved(self, configuration):
        """Notes that the algorithm now has this set to offer."""
        self.trajectory.append((time.perf_counter() - self.started, sorted(index.target for index in configuration)))

    # How it is done.

    def _explain(self, i, configuration):
        self._activate(configuration)
        self.calls += 1
        self.cursor.execute("EXPLAIN (FORMAT JSON) " + self.statements[i].sql)
        return self.cursor.fetchone()[0]

    def _activate(self, configuration):
        wanted = configuration if isinstance(configuration, (set, frozenset)) else set(configuration)
        for index in [index for index in self.active if index not in wanted]:
            for oid, name in self.active.pop(index):
                self.cursor.execute("SELECT hypopg_drop_index(%s)", (oid,))
                del self.names[name]
        for index in wanted:
            if index not in self.active:
                created = []
                # HypoPG 1.3 knows no index of a partitioned table: one for each partition stands for it.
                for leaf in self.tables[index.table].leaves:
                    self.cursor.execute("SELECT * FROM hypopg_create_index(%s)",
                                        (f"CREATE INDEX ON {leaf} ({', '.join(index.columns)})",))
                    oid, name = self.cursor.fetchone()
                    created.append((oid, name))
                    self.names[name] = index
                self.active[index] = created
