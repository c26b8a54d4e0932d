"""Our advisor beside the published ones: same statements, same bytes, indexes really built. See README.md."""
import argparse
import json
import os
import statistics
import sys
import time

import scaling
from advisors import Citadel, Peer
from built import Built
from model import index_of, plain
from peers import ALGORITHMS
from peers.what_if import WhatIf
from report import write_report
from server import connect, create_database, database_exists, drop_database, processor_seconds
from workloads import WORKLOADS

BUDGETS = (0.10, 0.25, 0.50, 1.00)
WIDTH = 3
SCHEMAS = ["public", "citadel_tasks"]


def log(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def prepare(workload, options):
    """Two equal databases: `plan` is what advisors see, `build` is where indexes are made."""
    plan, build = f"plan_{workload.name}", f"build_{workload.name}"
    if not (options.reuse and database_exists(plan)):
        create_database(plan)
        connection = connect(plan)
        cursor = connection.cursor()
        cursor.execute("CREATE EXTENSION citadel_opt CASCADE; CREATE EXTENSION hypopg; CREATE EXTENSION pg_trgm")
        started = time.perf_counter()
        workload.build(cursor, options.size)
        cursor.execute("VACUUM (ANALYZE)")
        log(f"{workload.name}: filled in {time.perf_counter() - started:.0f} s")
        connection.close()
    else:
        new_extension(plan)
    create_database(build, plan)
    return plan, build


def new_extension(database):
    """The extension as it is installed now, in a database that is used again."""
    connection = connect(database)
    cursor = connection.cursor()
    cursor.execute("SELECT count(*) FROM pg_extension WHERE extname = 'citadel_tasks'")
    if cursor.fetchone()[0] == 0:
        cursor.execute("DROP EXTENSION citadel_opt; CREATE EXTENSION citadel_opt")
    connection.close()


class Comparison:
    """One workload through all advisors."""

    def __init__(self, workload, options):
        self.workload = workload
        self.options = options
        self.plan, build = prepare(workload, options)
        self.statements = workload.statements(options.size)
        self.built = Built(build, self.statements, options.runs, options.timeout)
        self.result = {"workload": workload.name, "title": workload.title, "size": options.size,
                       "statements": len(self.statements), "rows": []}

    def advisors(self):
        kinds = ["btree", "all"] if not self.options.kinds else self.options.kinds
        for kind in kinds:
            yield Citadel(kind, self.plan, self.statements, WIDTH)
        for name in self.options.peers:
            yield Peer(name, self.plan, self.statements, SCHEMAS, self.built.bytes, WIDTH)

    def run(self):
        base = {"cost": sum(self.built.costs([])), "costs": self.built.costs([]), "seconds": self.time([])}
        self.result["none"] = base
        first = Citadel("btree", self.plan, self.statements, WIDTH)
        unlimited = first.recommend(None)
        first.connection.close()
        everything = self.built.size(unlimited.targets)
        self.result["unlimited_bytes"] = everything
        log(f"{self.workload.name}: {len(self.statements)} statements, cost {base['cost']:.0f}, unlimited answer "
            f"{len(unlimited.targets)} indexes, {everything / 1e6:.1f} MB in {unlimited.seconds:.2f} s")
        for notice in unlimited.skipped[:5]:
            log(f"  {notice}")
        unlimited_sets = {}
        for advisor in self.advisors():
            if self.workload.mix:
                unlimited_sets[advisor.name] = advisor.recommend(None).targets
            for share in self.options.budgets:
                self.one(advisor, share, int(share * everything))
            advisor.connection.close()
        if self.workload.mix and self.options.time:
            self.result["mix"] = self.run_mix(unlimited_sets)
        return self.result

    def run_mix(self, sets):
        """Measured time of the same reads and writes with each set in place, on a fresh copy each time, in turns. What the
        peers choose without a limit, and within the bytes of our set."""
        sets = {"no index": [], **{f"{name}, no limit": targets for name, targets in sets.items()}}
        for row in self.result["rows"]:
            if row["share"] == max(self.options.budgets):
                sets[f"{row['advisor']}, same bytes"] = row["targets"]
        runs = {frozenset(targets): [] for targets in sets.values()}  # equal sets share their measurements
        for number in range(self.options.repeats):
            for targets in list(runs) if number % 2 == 0 else reversed(list(runs)):
                runs[targets].append(self.mix_once(targets))
        entries = {}
        for name, targets in sets.items():
            found = runs[frozenset(targets)]
            middle = sorted(found, key=lambda run: run["reads"] + run["writes"])[len(found) // 2]
            entries[name] = {**middle, "total": middle["reads"] + middle["writes"], "indexes": len(targets),
                             "targets": targets}
            log(f"  {name}: {entries[name]['total']:.2f} s, {entries[name]['processor']:.2f} s of processor time")
        return {"runs": self.options.repeats, "operations": middle["operations"], "sets": entries}

    def mix_once(self, targets):
        database = f"mix_{self.workload.name}"
        create_database(database, self.plan)
        connection = connect(database)
        cursor = connection.cursor()
        for target in targets:
            cursor.execute("CREATE INDEX ON " + target)
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("CHECKPOINT")
        used = processor_seconds(connection)
        measured = self.workload.mix(cursor, self.options.size)
        measured["processor"] = processor_seconds(connection) - used
        cursor.execute("SELECT sum(pg_indexes_size(oid))::bigint FROM pg_class WHERE relkind = 'r' AND relnamespace = "
                       "'public'::regnamespace")
        measured["bytes"] = cursor.fetchone()[0]
        connection.close()
        drop_database(database)
        return measured

    def one(self, advisor, share, budget):
        answer, real_bytes = self.fitted(advisor, budget)
        timings = [(answer.seconds, answer.processor_seconds)]
        if isinstance(advisor, Citadel):  # others take too long to be asked twice
            for _ in range(self.options.repeats - 1):
                again = advisor.recommend(self.last_limit)
                timings.append((again.seconds, again.processor_seconds))
        costs = self.built.costs(answer.targets)
        row = {
            "advisor": advisor.name, "share": share, "budget": budget, "bytes": real_bytes,
            "estimated_bytes": answer.estimated_bytes, "real_bytes": {t: self.built.bytes[t] for t in answer.targets},
            "cost": sum(costs), "costs": costs, "estimated_before": answer.cost_before,
            "estimated_after": answer.cost_after, "advise_seconds": statistics.median(t[0] for t in timings),
            "advise_processor_seconds": statistics.median(t[1] for t in timings), "planner_calls": answer.planner_calls,
            "cost_requests": answer.cost_requests, "seconds": self.time(answer.targets), "targets": answer.targets,
            "statement_estimates": self.statement_estimates(advisor, answer, costs),
            "progress": self.progress(advisor, answer, share),
        }
        self.result["rows"].append(row)
        log(f"  {advisor.name:20} {share:4.0%}: {len(answer.targets):2} indexes, {real_bytes / 1e6:8.1f} of {budget / 1e6:8.1f} "
            f"MB, cost {row['cost'] / self.result['none']['cost']:7.4f}, run {sum(row['seconds']):7.2f} s, advice "
            f"{row['advise_seconds']:7.2f} s ({row['advise_processor_seconds']:.2f} s processor), {answer.planner_calls} calls")

    def statement_estimates(self, advisor, answer, costs):
        """Pairs (cost by what_if(), cost with the indexes built) of the statements that our set changes."""
        if not isinstance(advisor, Citadel):
            return []
        definitions = ["CREATE INDEX ON " + target for target in answer.targets]
        pairs = []
        for statement, real, before in zip(self.statements, costs, self.result["none"]["costs"]):
            if real != before and definitions:
                pairs.append((advisor.what_if(statement.sql, definitions) * statement.weight, real))
        return pairs

    def progress(self, advisor, answer, share):
        """(seconds, relative cost) of the sets that the advisor had on its way, priced by HypoPG."""
        if share != max(self.options.budgets) or advisor.name == "citadel_opt":
            return []
        peer = Peer("extend", self.plan, self.statements, SCHEMAS, self.built.bytes, WIDTH)
        what_if = WhatIf(peer.connection, peer.tables, self.statements, self.built.bytes)
        base = sum(what_if.costs(()))
        found = [(0.001, 1.0)]
        trajectory = answer.trajectory
        if isinstance(advisor, Citadel):
            trajectory = advisor.trajectory(self.last_limit) + trajectory
        for seconds, targets in trajectory[:: max(len(trajectory) // 40, 1)] + trajectory[-1:]:
            if all(plain(target) for target in targets):
                found.append((seconds, sum(what_if.costs(frozenset(index_of(t) for t in targets))) / base))
        peer.connection.close()
        return found

    def time(self, targets):
        return self.built.seconds(targets) if self.options.time else [0.0]

    def fitted(self, advisor, budget):
        """The advisor's best answer that takes no more real bytes than the budget. Estimates that were off are met by
        asking again: the peers know the true sizes of what was built meanwhile, ours is given a limit between the largest
        that fitted and the smallest that did not."""
        limit, fits, overflows, best, first = budget, 0, None, None, None
        for attempt in range(6):
            answer = advisor.recommend(limit, again=attempt > 0)
            first = first or answer
            unknown = [target for target in answer.targets if target not in self.built.bytes]
            real = self.built.size(answer.targets)
            estimated = sum(answer.estimated_bytes.values())
            if real <= budget and (best is None or (answer.cost_after or 0) < (best[0].cost_after or 0)):
                best = (answer, real)
                self.last_limit = limit
            if isinstance(advisor, Citadel):
                if real <= budget:
                    fits = limit
                    if overflows is None or real > 0.97 * budget:
                        break
                else:
                    overflows = min(limit, estimated)
                limit = (fits + overflows) // 2 if fits else int(overflows * budget / real * 0.998)
            # Sizes that were estimated too large may have kept out something that fits.
            elif real <= budget and (not unknown or real > 0.98 * estimated):
                break
            elif real > budget and not unknown:
                limit = int(limit * budget / real * 0.998)
        if best is None:
            raise RuntimeError(f"{advisor.name} found no set within {budget} bytes")
        if not isinstance(advisor, Citadel):  # what it takes is what it took from the beginning
            for name in ("seconds", "processor_seconds", "planner_calls", "cost_requests", "trajectory"):
                setattr(best[0], name, getattr(first, name))
        return best


def main():
    parser = argparse.ArgumentParser(prog="bench/advisor/compare")
    parser.add_argument("--quick", action="store_true", help="small tables, one run of each statement")
    parser.add_argument("--workload", action="append", choices=[*WORKLOADS, "scaling"], help="only this one (may be repeated)")
    parser.add_argument("--tables", type=int, help="scaling: on so many tables, ten statements each")
    parser.add_argument("--peer", dest="peers", action="append", choices=ALGORITHMS, help="only this peer")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--kind", dest="kinds", action="append", choices=["btree", "all"])
    parser.add_argument("--budget", dest="budgets", action="append", type=float, help="share of the unlimited answer")
    parser.add_argument("--no-time", dest="time", action="store_false", help="costs only, statements are not run")
    parser.add_argument("--reuse", action="store_true", help="keep and use again the databases of an earlier run")
    parser.add_argument("--output", default="advisor-comparison", help="folder of the report")
    options = parser.parse_args()
    options.size = "quick" if options.quick else "full"
    options.runs = 1 if options.quick else 3
    options.repeats = 1 if options.quick else 3
    options.timeout = 10 if options.quick else 30
    options.budgets = options.budgets or list(BUDGETS)
    options.peers = [] if options.no_peers else options.peers or list(ALGORITHMS)
    if options.quick:
        WhatIf.exchange_seconds = 1.0
    results = []
    for name in options.workload or [*WORKLOADS, "scaling"]:
        if name == "scaling":
            results.append(scaling.run(options, log))
            continue
        comparison = Comparison(WORKLOADS[name], options)
        results.append(comparison.run())
        comparison.built.connection.close()
        if not options.reuse:
            drop_database(comparison.plan)
            drop_database(f"build_{name}")
    os.makedirs(options.output, exist_ok=True)
    with open(os.path.join(options.output, "results.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    write_report(results, options.output)


if __name__ == "__main__":
    main()
