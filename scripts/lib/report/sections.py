"""Parts of the page: each takes what the server answered and returns HTML. What is missing is said, never left blank."""

from . import charts
from .figures import UNKNOWN, count, digits, duration, escape, known, one_line, share, shorten, signed, size, sql, statement_name
from .svg import element, path, rectangle, text

COLOURS = 8


def note(words):
    return f'<p class="note">{escape(words)}</p>'


def table(head, rows, class_="", caption=""):
    """head: [(title, class)]; rows: lists of HTML."""
    top = "".join(f'<th scope="col" class="{c}">{escape(t)}</th>' for t, c in head)
    body = "".join("<tr>" + "".join(f'<td class="{c}">{cell}</td>' for cell, (_, c) in zip(row, head)) + "</tr>" for row in rows)
    words = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table class="{class_}">{words}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def section(name, heading, words, *parts):
    lead = f'<p class="lead">{escape(words)}</p>' if words else ""
    return f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{escape(heading)}</h2>{lead}{"".join(parts)}</section>'


def badge(words, class_):
    return f'<span class="badge {class_}">{escape(words)}</span>'


def swatch(class_, words=""):
    return f'<span class="swatch {class_}">{escape(words)}</span>'


def nothing(answer, words):
    """The message for a part whose question was refused, or whose answer is empty; None when there is something."""
    if isinstance(answer, str):
        return note(f"This part could not be read: {answer}")
    return note(words) if not answer else None


# --- at a glance

def glance(data, clock):
    totals = data["statements"][0] if isinstance(data["statements"], list) and data["statements"] else None
    window = data["end"] - data["begin"]
    sizes = data["size"] if isinstance(data["size"], list) else []
    regressions = data["regressions"] if isinstance(data["regressions"], list) else None
    alerts = data["alerts"] if isinstance(data["alerts"], list) else None
    advice = data["recommendations"] if isinstance(data["recommendations"], list) else None
    tiles = []

    def tile(name, value, words, class_=""):
        tiles.append(f'<div class="tile {class_}"><dt>{escape(name)}</dt><dd><strong>{value}</strong><span>{escape(words)}</span></dd></div>')

    if totals:
        tile("Runs", count(totals["all_calls"]), f"of {count(totals['statements'])} statements, {count(totals['all_calls'] / window)} a second")
        tile("Time spent", duration(totals["all_ms"]), f"{share(totals['all_ms'] / 1000 / window)} of one session on average")
        failed = totals["all_errors"] or 0
        tile("Failed runs", count(failed), f"{share(failed / totals['all_calls']) if totals['all_calls'] else UNKNOWN} of all", "warning" if failed else "")
    else:
        tile("Runs", "0", "no statement was counted in this window")
    if regressions is not None:
        still = sum(1 for r in regressions if r["state"] == "open")
        tile("Became slower", count(len(regressions)), (f"{still} still slow" if still else "none is slow now") if regressions else "no statement", "critical" if still else "warning" if regressions else "good")
    if alerts is not None:
        still = [a for a in alerts if a["state"] != "resolved"]
        worst = "critical" if any(a["severity"] == "critical" for a in still) else "warning" if still else "good"
        tile("Alerts", count(len(alerts)), (f"{len(still)} still open" if still else "none is open now") if alerts else "none", worst)
    if advice is not None:
        tile("Index advice", count(len(advice)), "to build, to replace or to drop" if advice else "none is open")
    if sizes:
        tile("Database", size(sizes[-1]["bytes"]), f"{signed(sizes[-1]['bytes'] - sizes[0]['bytes'], size)} in this window" if len(sizes) > 1 else "measured once")
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


# --- load

def statement_classes(statements):
    """The colour of each of the top statements, by id; what is not among them is `other`."""
    own = [s["id"] for s in statements if s["id"] != "0"][:COLOURS]
    return {id_: f"c{i + 1}" for i, id_ in enumerate(own)}


def regression_marks(data, ids=None):
    marks = []
    for r in data["regressions"] if isinstance(data["regressions"], list) else []:
        if ids is None or r["statement"] in ids:
            end = r["closed"] if r["closed"] is not None else r["last_seen"] if r["state"] != "open" else None
            marks.append((r["since"], end, "slow", f"slower: {duration(r['usual_ms'])} before, {duration(r['worst_ms'])} at worst; {cause(r)}"))
    return marks


def load(data, clock):
    heading = "Load over time"
    words = "Time spent in statements a second, by the statements that took most of it: 100 % is one session that is never idle."
    answer = data["load"]
    missing = nothing(answer, "No statement was counted in this window. Nothing ran, or citadel_opt.statement_history is off, or the history of "
                              "that time is gone (see docs/history.md).")
    missing = missing or (nothing(data["statements"], "") if isinstance(data["statements"], str) else None)
    if missing:
        return section("load", heading, "", missing)
    statements, classes = data["statements"], statement_classes(data["statements"])
    by_id = {}
    for row in answer:
        by_id.setdefault(row["id"], {})[row["at"]] = row["total_ms"] / 1000 / data["step"]
    names = {s["id"]: statement_name(s["text"], int(s["id"])) for s in statements}
    layers = [(names[id_], class_, by_id.get(id_, {})) for id_, class_ in classes.items()]
    layers.append(("all others", "other", by_id.get("0", {})))
    begin = min([data["grid"]] + [row["at"] for row in answer])
    starts = [begin + i * data["step"] for i in range(int((data["end"] - begin) / data["step"]) + 1)]
    peak = max(starts, key=lambda at: sum(layer[2].get(at) or 0 for layer in layers))
    peak_value = sum(layer[2].get(peak) or 0 for layer in layers)
    description = (f"Stacked areas of the {len(classes)} statements with the most time and all others. The highest value is {at_once(peak_value)}, "
                   f"at {clock.moment(peak)}. The figures are in the table below.")
    chart = charts.stacked_areas(layers, begin, data["end"], data["step"], clock, at_once, "Load over time by statement", description,
                                 "load-chart", regression_marks(data), change_events(data, clock), since=data["since"])
    rows = []
    for s in statements:
        if s["id"] in classes:
            rows.append([swatch(classes[s["id"]], "S" + classes[s["id"]][1:]) + f' <a href="#s{escape(s["id"])}">{escape(names[s["id"]])}</a>',
                         share_bar(s["total_ms"] / s["all_ms"] if s["all_ms"] else None, classes[s["id"]]), duration(s["total_ms"]), count(s["calls"]),
                         duration(s["mean_ms"]), duration(s["p50"]), duration(s["p95"]), duration(s["p99"]), duration(s["max_ms"]),
                         count(s["errors"])])
    shown = sum(s["total_ms"] for s in statements if s["id"] in classes)
    total = statements[0]["all_ms"] if statements else 0
    if statements and total - shown > 1e-6 * total:
        rows.append([swatch("other", "…") + " all others", share_bar((total - shown) / total, "other"), duration(total - shown),
                     count(statements[0]["all_calls"] - sum(s["calls"] for s in statements if s["id"] in classes))] + [UNKNOWN] * 6)
    head = [("Statement", ""), ("Share of the time", "bar"), ("Time", "n"), ("Runs", "n"), ("Mean", "n"), ("p50", "n"), ("p95", "n"), ("p99", "n"),
            ("Longest", "n"), ("Failed", "n")]
    keys = [f'{swatch("slow-key")} while a statement was slower than usual'] if regression_marks(data) else []
    keys += [f'{swatch("event-key")} the schema or a setting was changed'] if change_events(data, clock) else []
    legend = f'<p class="key">{" &#8195; ".join(keys)}</p>' if keys else ""
    return section("load", heading, words, f"<figure>{chart}</figure>", legend, table(head, rows, "wide"))


def at_once(value):
    return UNKNOWN if not known(value) else f"{digits(100 * value)}\u00a0%"


def share_bar(value, class_):
    if not known(value):
        return UNKNOWN
    bar = element("svg", {"viewBox": "0 0 100 8", "class": "sharebar", "aria-hidden": "true", "preserveAspectRatio": "none"},
                  rectangle(0, 0, 100, 8, class_="track"), rectangle(0, 0, max(100 * value, 0.8), 8, class_=f"area {class_}"))
    return f'<span class="share">{bar}<span>{share(value)}</span></span>'


# --- statements

CAUSES = {"plan": "another plan", "blocks": "more blocks a run", "cache": "more reads from disk", "unknown": "not found",
          "index": "an index is gone", "setting": "a setting was changed", "ddl": "the schema was changed", "statistics": "stale statistics",
          "data": "more data", "bloat": "bloat", "waiting": "waiting", "parameters": "other parameters"}


def cause(regression):
    return CAUSES.get(regression["cause"], regression["cause"])


def statements(data, clock):
    heading = "Statements"
    words = "Percentiles of each statement over time. Half of its runs were faster than p50, 95 of 100 faster than p95, 99 faster than p99."
    answer = data["statements"]
    missing = nothing(answer, "There is nothing to show.")
    if missing:
        return section("statements", heading, "", missing)
    classes = statement_classes(answer)
    curves = {}
    for row in data["curves"] if isinstance(data["curves"], list) else []:
        curves.setdefault(row["id"], []).append(row)
    cards = [statement_card(s, classes.get(s["id"], "other"), curves.get(s["id"], []), data, clock)
             for s in answer if s["id"] in classes or s["id"] in data["slow_ids"]]
    if isinstance(data["curves"], str):
        cards.insert(0, note(f"The curves could not be read: {data['curves']}"))
    return section("statements", heading, words, *cards)


def statement_card(s, class_, rows, data, clock):
    step = data["steps"].get(s["id"], data["step"])
    label = "S" + class_[1:] if class_ != "other" else "S"
    name = statement_name(s["text"], int(s["id"]))
    series = [("p50", "p50", [(r["at"], r["p50"]) for r in rows]), ("p95", "p95", [(r["at"], r["p95"]) for r in rows]),
              ("p99", "p99", [(r["at"], r["p99"]) for r in rows])]
    marks = regression_marks(data, {s["id"]})
    slowest = max((r for r in rows if known(r["p95"])), key=lambda r: r["p95"], default=None)
    description = (f"Curves of p50, p95 and p99 in steps of {step_words(step)}. " +
                   (f"p95 was {duration(s['p95'])} in the whole window and highest at {clock.moment(slowest['at'])}: {duration(slowest['p95'])}. "
                    if slowest else "") + "; ".join(m[3] for m in marks))
    chart = charts.percentiles(series, data["begin"], data["end"], step, clock, duration, f"Percentiles of {name}", description,
                               f"p{s['id'].replace('-', 'm')}", marks, since=data["since"])
    plans = []
    for r in rows:
        if r["plan"] not in (None, "0") and (not plans or plans[-1][1] != r["plan"]):
            plans.append((r["at"], r["plan"]))
    facts = [("time", f"{duration(s['total_ms'])} ({share(s['total_ms'] / s['all_ms']) if s['all_ms'] else UNKNOWN})"), ("runs", count(s["calls"])),
             ("p50 / p95 / p99", f"{duration(s['p50'])} / {duration(s['p95'])} / {duration(s['p99'])}"), ("longest", duration(s["max_ms"])),
             ("plans", count(s["plans"]))]
    if s["errors"]:
        facts.append(("failed", f"{count(s['errors'])} ({share(s['errors'] / s['calls'])})"))
    if len(plans) > 1:
        times = "" if len(plans) == 2 else f"{len(plans) - 1} times, last "
        facts.append(("main plan changed", f"{times}{clock.date(plans[-1][0])} {clock.time(plans[-1][0])}"))
    if step != data["step"]:
        facts.append(("steps", step_words(step)))
    figures = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts)
    stories = "".join(f'<p class="story">{badge("slower" if r["state"] == "open" else "was slower", "critical" if r["state"] == "open" else "warning")} '
                      f"{escape(story(r, clock))}</p>" for r in data["regressions"] if r["statement"] == s["id"]) if isinstance(data["regressions"], list) else ""
    full = s["text"] or ""
    shown = f'<code class="sql">{sql(full, 420)}</code>' if full else note("The text of this statement is not stored.")
    more = f'<details><summary>the whole statement</summary><code class="sql">{sql(full)}</code></details>' if len(one_line(full)) > 420 else ""
    drawn = f"<figure>{chart}</figure>" if chart else note("It has no curve: it did not run in steps that are kept one by one.")
    return (f'<article class="card" id="s{escape(s["id"])}"><header>{swatch(class_, label)}<h3>{escape(name)}</h3>'
            f'<span class="id">query_id {escape(s["id"])}</span></header><div class="split"><div>{shown}{more}<dl class="facts">{figures}</dl></div>'
            f"<div>{drawn}</div></div>{stories}</article>")


def story(r, clock):
    factor = r["worst_ms"] / r["usual_ms"] if r["usual_ms"] else None
    until = f" until {clock.moment(r['closed'])}" if r["closed"] is not None else ""
    times = f", {factor:.1f} times as long" if known(factor) else ""
    return (f"From {clock.moment(r['since'])}{until}: {duration(r['usual_ms'])} before, {duration(r['worst_ms'])} at worst{times}. "
            f"Cause: {r['why'] or cause(r)}")


def step_words(step):
    return duration(step * 1000).replace("\u00a0", " ")


# --- regressions

def regressions(data, clock):
    answer = data["regressions"]
    missing = nothing(answer, "No statement became slower than usual.")
    if missing:
        return section("regressions", "Statements that became slower", "", missing)
    rows = []
    for r in answer:
        factor = r["worst_ms"] / r["usual_ms"] if r["usual_ms"] else None
        rows.append([badge({"open": "still slow", "over": "over", "accepted": "accepted", "gone": "not run since"}.get(r["state"], r["state"]),
                           "critical" if r["state"] == "open" else "neutral"),
                     f'<code class="sql">{sql(r["text"] or "statement " + r["statement"], 110)}</code>', escape(clock.moment(r["since"])),
                     escape(clock.moment(r["closed"])) if r["closed"] is not None else UNKNOWN, duration(r["usual_ms"]), duration(r["worst_ms"]),
                     f"{factor:.1f}×" if known(factor) else UNKNOWN,
                     f"<b>{escape(cause(r))}</b>" + (f"<br>{escape(r['why'])}" if r["why"] else "") + evidence(r)])
    head = [("", ""), ("Statement", "text"), ("Since", "when"), ("Until", "when"), ("Usual", "n"), ("Worst", "n"), ("Times", "n"), ("Cause and evidence", "text")]
    return section("regressions", "Statements that became slower", "Compared with what was usual for each of them lately and at that hour of the week.",
                   table(head, rows, "wide"))


def evidence(r):
    e = r["evidence"] if isinstance(r["evidence"], dict) else {}
    words = []
    if known(e.get("blocks_per_run_before")) and known(e.get("blocks_per_run_after")):
        words.append(f"{count(e['blocks_per_run_before'])} → {count(e['blocks_per_run_after'])} blocks a run")
    if e.get("plan_before") and e.get("plan_after") and e["plan_before"] != e["plan_after"]:
        words.append(f"plan {e['plan_before']} → {e['plan_after']}")
    return f'<br><span class="muted">{escape("; ".join(words))}</span>' if words else ""


def change_words(change):
    more = f" and {change['objects'] - 1} more" if change["objects"] > 1 else ""
    return f"{change['what']}: {change['name'] or UNKNOWN}{more}"


def change_events(data, clock):
    changes = data["changes"] if isinstance(data["changes"], list) else []
    return [(c["at"], f"{clock.time(c['at'])} {change_words(c)}") for c in changes]


def changes(data, clock):
    answer = data["changes"]
    missing = nothing(answer, "Neither the schema nor a setting that matters was changed.")
    if missing:
        return section("changes", "Changes", "", missing)
    rows = [[escape(clock.moment(c["at"])), escape(c["what"]), escape(shorten(change_words(c).split(": ", 1)[1], 160))] for c in answer[:20]]
    more = note(f"{len(answer) - 20} earlier ones are not shown.") if len(answer) > 20 else ""
    return section("changes", "Changes", "DDL and changed settings, the latest first; they are marked under the load.",
                   table([("When", "nw"), ("What", "nw"), ("Which", "text")], rows, "wide"), more)


# --- recommendations

def recommendations(data, clock):
    answer = data["recommendations"]
    missing = nothing(answer, "The advisor recommends no index.")
    if missing:
        return section("indexes", "Recommended indexes", "", missing)
    cards = []
    for r in answer[:6]:
        helped = "".join(f"<li><code class=\"sql\">{sql(q['text'] or 'statement ' + q['id'], 150)}</code> "
                         f"<span class=\"gain\">{cost(q['before'])} → {cost(q['after'])}</span></li>" for q in r["statements"] or [])
        facts = [("workload cost", f"{cost(r['cost_before'])} → {cost(r['cost_after'])}"), ("gain", share(r["improvement"])), ("size", size(r["size_bytes"])),
                 ("helps", f"{count(r['queries_helped'])} statement{'' if r['queries_helped'] == 1 else 's'}"),
                 ("confidence", share(r["confidence"])), ("to build", duration(r["build_seconds"] * 1000) if known(r["build_seconds"]) else UNKNOWN)]
        figures = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts)
        cards.append(f'<article class="card advice"><header>{badge(r["action"], "good" if r["action"] == "create" else "warning")}'
                     f"<h3>{escape(r['relation'])}</h3></header><code class=\"sql\">{sql(r['definition'])}</code>"
                     f"<p>{escape(r['reason'])}</p><dl class=\"facts\">{figures}</dl>"
                     + (f'<h4>Statements it helps most, by planner cost</h4><ul class="helped">{helped}</ul>' if helped else "") + "</article>")
    if answer[6:]:
        rows = [[badge(r["action"], "good" if r["action"] == "create" else "warning"), f'<code class="sql">{sql(r["definition"])}</code>', share(r["improvement"]),
                 size(r["size_bytes"]), count(r["queries_helped"]), share(r["confidence"])] for r in answer[6:]]
        head = [("", ""), ("Also recommended", "text"), ("Gain", "n"), ("Size", "n"), ("Helps", "n"), ("Confidence", "n")]
        cards.append(table(head, rows, "wide"))
    return section("indexes", "Recommended indexes",
                   "What the advisor found for the captured workload; costs are the planner's, of the whole workload weighted by its load.", *cards)


def cost(value):
    return count(value) if known(value) else UNKNOWN


# --- tables

def by_relation(rows):
    found = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row)
    return found


def relation_name(row, repeated=None):
    """With the schema where the name alone would not do."""
    return row["name"] if row["schema"] in ("public",) or repeated is not None and row["name"] not in repeated else f"{row['schema']}.{row['name']}"


def tables(data, clock):
    answer = data["tables"]
    missing = nothing(answer, "No table was measured in this window. Tables are measured once an hour; table_history() begins with the first.")
    if missing:
        return section("tables", "Table growth", "", missing)
    found = by_relation(answer)
    total = lambda key, rows: sum(r[key] or 0 for r in rows)
    sized = {id_: [(r["at"], r["total_bytes"]) for r in rows if known(r["total_bytes"])] for id_, rows in found.items()}
    change = lambda id_: sized[id_][-1][1] - sized[id_][0][1] if sized[id_] else 0
    order = sorted(found, key=lambda id_: (-abs(change(id_)), -(sized[id_][-1][1] if sized[id_] else 0), id_))
    largest = sorted((id_ for id_ in found if sized[id_]), key=lambda id_: (-sized[id_][-1][1], id_))[:5]
    colour = {id_: f"c{i + 1}" for i, id_ in enumerate(largest)}
    names = {id_: rows[-1]["name"] or f"OID {id_}" for id_, rows in found.items()}
    doubled = {n for n in names.values() if list(names.values()).count(n) > 1}
    label = lambda id_: relation_name({**found[id_][-1], "name": names[id_], "schema": found[id_][-1]["schema"] or "?"}, doubled)
    series = [(label(id_), colour[id_], sized[id_]) for id_ in largest]
    description = "; ".join(f"{name} from {size(points[0][1])} to {size(points[-1][1])}" for name, _, points in series)
    chart = charts.growth(series, data["begin"], data["end"], clock, size, "Sizes of the largest tables", description, "tables-chart",
                          since=min(points[0][0] for _, _, points in series)) if series else ""
    rows = []
    for n, id_ in enumerate(order[:15]):
        parts, points = found[id_], sized[id_]
        live, dead = parts[-1]["live_rows"], parts[-1]["dead_rows"]
        line = charts.small_line(points, data["begin"], data["end"], f"Size of {label(id_)}", f"t{n}", colour.get(id_, "other"), from_zero=False)
        rows.append([swatch(colour.get(id_, "none")) + " " + escape(label(id_)) + (" " + badge("dropped", "neutral") if parts[-1]["gone"] else ""), line,
                     size(points[-1][1]) if points else UNKNOWN, signed(change(id_), size) if points else UNKNOWN, count(live),
                     share(dead / (live + dead)) if known(live) and known(dead) and live + dead > 0 else UNKNOWN, count(total("rows_inserted", parts)),
                     count(total("rows_updated", parts)), count(total("rows_deleted", parts)), count(total("seq_scans", parts)),
                     count(total("index_scans", parts))])
    head = [("Table", ""), ("Size over time", "line"), ("Size", "n"), ("Growth", "n"), ("Rows", "n"), ("Dead", "n"), ("Inserted", "n"), ("Updated", "n"),
            ("Deleted", "n"), ("Seq. scans", "n"), ("Index scans", "n")]
    return section("tables", "Table growth", "Sizes with indexes and TOAST; a partitioned table is the sum of its partitions. Those that changed most come first.",
                   f"<figure>{chart}</figure>" if chart else note("No size was measured in this window."), table(head, rows, "wide"))


def indexes(data, clock):
    answer = data["indexes"]
    missing = nothing(answer, "No index was measured in this window.")
    if missing:
        return section("index-use", "Index use", "", missing)
    found = by_relation(answer)
    scans = {id_: sum(r["scans"] or 0 for r in rows) for id_, rows in found.items()}
    bytes_ = {id_: next((r["size_bytes"] for r in reversed(rows) if known(r["size_bytes"])), None) for id_, rows in found.items()}
    used = sorted((id_ for id_ in found if scans[id_]), key=lambda id_: (-scans[id_], id_))[:10]
    idle = sorted((id_ for id_ in found if not scans[id_] and not found[id_][-1]["gone"] and (bytes_[id_] or 0) >= 65536), key=lambda id_: (-(bytes_[id_] or 0), id_))[:8]
    most = max(scans.values(), default=0)
    rows = []
    dropped = lambda last: (" " + badge("dropped", "neutral")) if last["gone"] else ""
    for n, id_ in enumerate(used):
        last = found[id_][-1]
        points = [(r["at"], r["scans"]) for r in found[id_]]
        rows.append([escape(last["name"]) + dropped(last), escape(last["table_name"]), share_bar(scans[id_] / most if most else None, "c1").replace(share(scans[id_] / most), count(scans[id_])),
                     charts.small_line(points, data["begin"], data["end"], f"Scans of {last['name']}", f"i{n}", "c1"), UNKNOWN if last["gone"] else size(bytes_[id_])])
    parts = [table([("Index", ""), ("Table", ""), ("Scans", "bar"), ("Over time", "line"), ("Size", "n")], rows, "wide", "Most used")] if rows else [
        note("No index was scanned in this window.")]
    if idle:
        parts.append(table([("Index", ""), ("Table", ""), ("Size", "n")], [[escape(found[i][-1]["name"]), escape(found[i][-1]["table_name"]), size(bytes_[i])] for i in idle],
                           "narrow", "Not scanned in this window (they may still keep rows unique)"))
    return section("index-use", "Index use", "Scans of each index in this window; one of a partitioned table is the sum of its partitions'.", '<div class="columns">', *parts, "</div>")


# --- partitions, alerts

def runway(data, clock):
    answer = data["runway"]
    missing = nothing(answer, "No lifecycle policy keeps partitions ahead here.")
    if missing:
        return section("runway", "Partition runway", "", missing)
    rows, problems = [], []
    for r in answer:
        days = r["days_left"]
        class_ = "critical" if r["alarm"] or (known(days) and days < 7) else "warning" if known(days) and days < 30 else "good"
        ahead = f"{count(r['partitions_ahead'])} of {count(r['premake'])} ahead"
        words = f"{days:.0f} days" if known(days) else ahead
        rows.append((shorten(r["name"], 38), days if known(days) else None, class_, words))
        problems += [f'<p class="story">{badge(r["name"], class_)} {escape(words)}</p>' for words in (r["alarm"], r["last_error"]) if words]
    description = "; ".join(f"{name}: {words}" for name, _, _, words in rows)
    head = [("Table", ""), ("Status", ""), ("Partitions", "n"), ("Ahead", "n"), ("Reaches", ""), ("Rows in default", "n")]
    cells = [[escape(r["name"]), escape(r["status"]), count(r["partitions"]), f"{count(r['partitions_ahead'])} of {count(r['premake'])}",
              escape(r["covered_until"] or UNKNOWN), count(r["default_rows"])] for r in answer]
    return section("runway", "Partition runway", "How long new rows will find a partition, as of now.",
                   f"<figure>{charts.runway(rows, clock, data['now'], 'Partition runway', description, 'runway-chart')}</figure>", *problems, table(head, cells, "wide"))


def alerts(data, clock):
    answer = data["alerts"]
    missing = nothing(answer, "No alert was open in this window.")
    if missing:
        return section("alerts", "Alerts", "", missing)
    rows, cells = {}, []
    for a in answer:
        end = a["resolved"] if a["resolved"] is not None else data["end"]
        words = f"{a['rule']}, {a['subject']}: {clock.moment(a['opened'])} to {clock.moment(end) if a['resolved'] is not None else 'now'}"
        rows.setdefault(a["rule"], []).append((max(a["opened"], data["begin"]), min(end, data["end"]), a["severity"], words))
        cells.append([badge(a["severity"], a["severity"]), escape(shorten(a["rule"], 40)), escape(shorten(a["subject"], 60)), badge(a["state"], "neutral"), escape(clock.moment(a["opened"])),
                      escape(clock.moment(a["resolved"])) if a["resolved"] is not None else UNKNOWN,
                      escape(f"{count(a['worst_value'])} {a['unit']}"), f'<span class="muted">{escape(shorten(one_line(a["detail"] or ""), 160))}</span>'])
    lasted = [(shorten(rule, 38), stretches) for rule, stretches in rows.items()][:20]
    description = f"{len(answer)} alerts of {len(rows)} rules; the table below has each."
    head = [("Severity", ""), ("Rule", "nw"), ("About", "text"), ("State", ""), ("Opened", ""), ("Resolved", ""), ("Worst", "n"), ("Detail", "text")]
    return section("alerts", "Alerts", "When each rule had an open alert.",
                   f"<figure>{charts.bars(lasted, data['begin'], data['end'], clock, 'Alerts over time', description, 'alerts-chart')}</figure>", table(head, cells, "wide"))
