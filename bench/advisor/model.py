"""What the parts of the comparison hand to each other: statements, workloads, indexes, and an advisor's answer."""
import re
from dataclasses import dataclass, field

WRITE = re.compile(r"\b(insert\s+into|delete\s+from|merge\s+into|update\s+[\w.]+\s+set)\b", re.IGNORECASE)


@dataclass
class Statement:
    """One statement of a workload. `weight` is how often it runs, compared with the others."""

    name: str
    sql: str
    weight: float = 1.0

    @property
    def writes(self):
        return WRITE.search(self.sql) is not None


@dataclass
class Workload:
    """Tables and statements. `build(cursor, size)` fills the current database; `statements(size)` lists the statements.
    `size` is 'quick' or 'full'."""

    name: str
    title: str
    build: object
    statements: object
    beyond_btree: bool = False  # statements here gain from other kinds than B-tree
    mix: object = None  # write-heavy workloads: mix(cursor, size) runs reads and writes as they come


@dataclass(frozen=True, order=True)
class Index:
    """A plain B-tree as the peers know it."""

    table: str
    columns: tuple

    @property
    def target(self):
        return f"{self.table} USING btree ({', '.join(self.columns)})"

    @property
    def width(self):
        return len(self.columns)

    def appended(self, column):
        return Index(self.table, self.columns + (column,))

    def is_prefix_of(self, other):
        return self.table == other.table and other.columns[: self.width] == self.columns


@dataclass
class Answer:
    """What an advisor returned. Targets are what follows ON in CREATE INDEX, so that equal indexes are equal strings."""

    targets: list
    estimated_bytes: dict = field(default_factory=dict)  # target -> bytes
    seconds: float = 0.0  # wall time
    processor_seconds: float = 0.0  # of the client and of its server process
    planner_calls: int = 0
    cost_requests: int = 0
    trajectory: list = field(default_factory=list)  # (seconds, targets) whenever a better set was known
    cost_before: float = None
    cost_after: float = None
    skipped: list = field(default_factory=list)


TARGET = re.compile(r"^CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?(?:\S+ )?ON (?:ONLY )?(.*)$", re.DOTALL)


def target_of(definition):
    """What follows ON in a CREATE INDEX statement."""
    target = TARGET.match(definition.strip().rstrip(";")).group(1)
    return target[len("public."):] if target.startswith("public.") else target


PLAIN = re.compile(r"^(\S+) USING btree \(([a-z0-9_, ]+)\)$")


def plain(target):
    """Whether the target is an ascending B-tree of columns and nothing else."""
    return PLAIN.match(re.sub(r" (DESC|ASC)( NULLS (FIRST|LAST))?", "", target)) is not None


def index_of(target):
    match = PLAIN.match(re.sub(r" (DESC|ASC)( NULLS (FIRST|LAST))?", "", target))
    return Index(match.group(1), tuple(match.group(2).split(", ")))
