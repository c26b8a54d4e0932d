"""Tables and plots of a comparison."""
import os
import statistics

import plot


def write_report(results, folder, accuracy_of=("citadel_opt, btree", "citadel_opt")):
    text = "\n\n".join([table(result) for result in results if result.get("rows")]
                       + [mix_table(result) for result in results if result.get("mix")]
                       + [scaling_table(result) for result in results if result.get("points")]
                       + [accuracy(results, accuracy_of)] + [verdict(result) for result in results if result.get("rows")])
    with open(os.path.join(folder, "report.txt"), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    print(text)
    for result in results:
        if result.get("rows"):
            save(folder, f"{result['workload']}-cost-over-budget.svg", cost_over_budget(result))
            save(folder, f"{result['workload']}-cost-over-time.svg", cost_over_time(result))
        if result.get("points"):
            points = [(0, 0)] + [(point["statements"], point["seconds"]) for point in result["points"]]
            save(folder, "time-over-statements.svg", plot.chart(f"time of advice, {result['tables']} tables", "statements",
                                                                "seconds", {"citadel_opt": points}))


def save(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)


def table(result):
    base, seconds = result["none"]["cost"], sum(result["none"]["seconds"])
    lines = [f"{result['workload']} ({result['title']}, {result['size']}): {result['statements']} statements; without indexes "
             f"cost {base:.0f}, run time {seconds:.2f} s; 100 % = {result['unlimited_bytes'] / 1e6:.1f} MB",
             f"{'advisor':22}{'budget':>7}{'indexes':>8}{'MB':>9}{'est. cost':>10}{'cost':>9}{'run s':>9}{'advice s':>10}"
             f"{'calls':>8}"]
    for row in result["rows"]:
        estimated = row["estimated_after"] / row["estimated_before"] if row["estimated_before"] else 1.0
        lines.append(f"{row['advisor']:22}{row['share']:7.0%}{len(row['targets']):8}{row['bytes'] / 1e6:9.1f}{estimated:10.4f}"
                     f"{row['cost'] / base:9.4f}{sum(row['seconds']):9.2f}{row['advise_seconds']:10.2f}{row['planner_calls']:8}")
    return "\n".join(lines)


def shares(result):
    return sorted({row["share"] for row in result["rows"]})


def best_peer(result, share):
    peers = [row for row in result["rows"] if row["share"] == share and not row["advisor"].startswith("citadel")]
    return min(peers, key=lambda row: row["cost"]) if peers else None


def verdict(result):
    """Our cost over that of the best peer for each budget; below 1 is better. Time against Extend."""
    lines = [f"{result['workload']}: real cost relative to the best peer's (below 1: ours is better); time of advice relative to "
             "Extend's"]
    for advisor in dict.fromkeys(row["advisor"] for row in result["rows"] if row["advisor"].startswith("citadel")):
        ratios, faster = [], []
        for share in shares(result):
            ours = next(row for row in result["rows"] if row["advisor"] == advisor and row["share"] == share)
            peer = best_peer(result, share)
            if peer is None:
                continue
            ratios.append(ours["cost"] / peer["cost"])
            extend = next((r for r in result["rows"] if r["advisor"] == "extend" and r["share"] == share), None)
            if extend:
                faster.append(ours["advise_seconds"] / extend["advise_seconds"])
        if ratios:
            cells = ", ".join(f"{share:.0%} {ratio:.4f}" for share, ratio in zip(shares(result), ratios))
            lines.append(f"  {advisor:22} {cells}; median {statistics.median(ratios):.4f}; time "
                         + ", ".join(f"{ratio:.3f}" for ratio in faster))
    return "\n".join(lines)


def mix_table(result):
    lines = [f"{result['workload']}: seconds for the same {result['mix']['operations']} operations, median of "
             f"{result['mix']['runs']} runs (reads, writes), and size after them"]
    for name, entry in sorted(result["mix"]["sets"].items(), key=lambda pair: pair[1]["total"]):
        lines.append(f"  {name:30}{entry['total']:9.2f} s (reads {entry['reads']:.2f}, writes {entry['writes']:.2f}), "
                     f"{entry['processor']:.2f} s of processor time, {entry['indexes']} indexes, {entry['bytes'] / 1e6:.1f} MB")
    return "\n".join(lines)


def scaling_table(result):
    lines = [f"scaling: distinct statements on {result['tables']} tables",
             f"{'statements':>12}{'seconds':>10}{'processor':>11}{'ms each':>9}{'indexes':>9}{'est. cost':>11}"]
    for point in result["points"]:
        lines.append(f"{point['statements']:12}{point['seconds']:10.2f}{point['processor_seconds']:11.2f}"
                     f"{1000 * point['seconds'] / point['statements']:9.2f}{point['indexes']:9}{point['cost']:11.4f}")
    return "\n".join(lines)


def accuracy(results, advisors):
    """Estimated against built, over every index and every answer of ours."""
    sizes, costs = {}, []
    for result in results:
        for row in result.get("rows", []):
            if row["advisor"] not in advisors:
                continue
            for target, estimated in row["estimated_bytes"].items():
                sizes[result["workload"], target] = estimated / row["real_bytes"][target] - 1
            for estimated, real in row.get("statement_estimates", []):
                costs.append(estimated / real - 1)
    lines = ["Estimated against built"]
    for label, errors in [("size of a B-tree", [e for (_, t), e in sizes.items() if " USING btree " in t]),
                          ("size of a GIN index", [e for (_, t), e in sizes.items() if " USING gin " in t]),
                          ("size of others", [e for (_, t), e in sizes.items() if " USING btree " not in t and " USING gin " not in t]),
                          ("cost of a statement", costs)]:
        if errors:
            worst = max(errors, key=abs)
            lines.append(f"  {label}: {len(errors)}, median error {statistics.median(abs(e) for e in errors):.2%}, worst "
                         f"{worst:+.1%}")
    worst = sorted(sizes.items(), key=lambda pair: -abs(pair[1]))[:5]
    lines += [f"    {error:+7.1%} {workload}: {target}" for (workload, target), error in worst if abs(error) > 0.1]
    return "\n".join(lines)


def cost_over_budget(result):
    series = {}
    for row in result["rows"]:
        series.setdefault(row["advisor"], []).append((row["bytes"] / 1e6, row["cost"] / result["none"]["cost"]))
    return plot.chart(f"{result['workload']}: cost of the workload over the size of the indexes, really built", "MB",
                      "cost (without indexes = 1)", {name: sorted(points) for name, points in series.items()})


def cost_over_time(result):
    """Costs by HypoPG for all, so that the curves can be compared; taken after the clocks had stopped."""
    series = {}
    for row in result["rows"]:
        if row["share"] == max(shares(result)) and row.get("progress"):
            series[row["advisor"]] = [(max(seconds, 1e-2), cost) for seconds, cost in row["progress"]]
    return plot.chart(f"{result['workload']}: cost of the best set so far over time, budget 100 %", "seconds (both axes logarithmic)",
                      "cost (without indexes = 1)", series, logarithmic=True, steps=True)
