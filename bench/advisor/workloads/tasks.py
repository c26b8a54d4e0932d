"""The tasks application (citadel_tasks) with the statements of bench/tasks, weighted as there."""
import os
import random
import re
import time

from model import Statement, Workload

TASKS = {"quick": 20_000, "full": 300_000}
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tasks")
SET = re.compile(r"\\set (\w+) (\w+)\(([^)]*)\)")
# A procedure call is not a statement that a planner can see into.
OPAQUE = {"list_page"}


def build(cursor, size):
    cursor.execute("CREATE EXTENSION citadel_tasks")
    cursor.execute("SELECT citadel_tasks.setup_partitions(24, 12)")
    cursor.execute("SELECT citadel_tasks.generate_tasks(%s, 1)", (TASKS[size],))


def statements(size):
    generator = random.Random(7)
    found = []
    with open(os.path.join(FOLDER, "workload.tsv"), encoding="utf-8") as file:
        lines = [line.split("\t") for line in file if line.strip() and not line.startswith("#")]
    for name, weight, *_ in lines:
        if name in OPAQUE:
            continue
        with open(os.path.join(FOLDER, name + ".sql"), encoding="utf-8") as file:
            merge(found, name, float(weight), statements_of(file.read(), TASKS[size], generator))
    return found


def statements_of(script, tasks, generator):
    """The statements of a pgbench script, with drawn values in the place of its variables."""
    # The last two stand for the row of a page's end, which pgbench asks the server for.
    values = {"tasks": tasks, "users": max(tasks // 2000, 10), "created": int(time.time()) - 30 * 86400, "last": tasks - 99}
    body = []
    for line in script.splitlines():
        match = SET.match(line)
        if match:
            name, function, arguments = match.groups()
            low, high = [int(values[a[1:]] if a.startswith(":") else a) for a in arguments.replace(" ", "").split(",")[:2]]
            drawn = generator.random() ** (3 if function == "random_zipfian" else 1)
            values[name] = low + int((high - low) * drawn)
        elif line.endswith("\\gset"):
            body.append(line.removesuffix("\\gset") + ";")
        elif not line.startswith(("--", "\\")):
            body.append(line)
    text = re.sub(r"(?<!:):([a-z_]+)\b", lambda m: str(values[m.group(1)]), "\n".join(body))
    return [part.strip() for part in text.split(";") if part.strip() and part.strip() not in ("BEGIN", "COMMIT")]


def merge(found, name, weight, texts):
    """One entry for statements of one script that differ in their values only."""
    shapes = {}
    for text in texts:
        shape = re.sub(r"\d+", "?", text)
        if shape in shapes:
            shapes[shape].weight += weight
        else:
            shapes[shape] = Statement(f"{name}_{len(shapes) + 1}", text, weight)
    found.extend(shapes.values())


WORKLOAD = Workload("tasks", "the tasks application", build, statements, beyond_btree=True)
