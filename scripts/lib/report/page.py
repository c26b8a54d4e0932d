"""Reads what the page needs, and puts it together."""

import pathlib

from . import queries, sections
from .clock import Clock
from .figures import escape
from .source import Refused

STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 2 * 86400, 7 * 86400)
MOST_STEPS = 150
PARTS = (("load", "Load", sections.load), ("statements", "Statements", sections.statements), ("regressions", "Became slower", sections.regressions), ("changes", "Changes", sections.changes),
         ("indexes", "Recommended indexes", sections.recommendations), ("tables", "Table growth", sections.tables), ("index-use", "Index use", sections.indexes),
         ("runway", "Partition runway", sections.runway), ("alerts", "Alerts", sections.alerts))


def step_of(span):
    """The length of a step, in seconds: round, and few enough to be drawn."""
    return next((step for step in STEPS if span / step <= MOST_STEPS), STEPS[-1] * max(1, round(span / MOST_STEPS / STEPS[-1])))


def step_of_statement(calls, span, step):
    """Longer steps for what ran seldom: a percentile of two runs says nothing."""
    for longer in STEPS:
        if longer >= step and (calls * longer / span >= 12 or span / longer <= 24):
            return longer
    return step


def array(ids):
    return "{" + ",".join(ids) + "}"


def read(database, begin, end, last, zone):
    """Everything the page shows, one answer a part; a text in place of an answer says why there is none."""
    server = database.ask(queries.SERVER)[0]
    if not server["extension"]:
        raise Refused(f"database \"{server['database']}\" has no extension citadel_opt")
    database.zone = zone or server["zone"]
    if server["encoding"] == "SQL_ASCII":
        database.without_conversion()
    window = database.ask(queries.WINDOW, **{"from": begin or "", "to": end or "", "last": last})[0]
    if not isinstance(window["begin"], (int, float)) or not isinstance(window["end"], (int, float)) or window["begin"] >= window["end"]:
        raise Refused("the window is empty: --from must be before --to, and both be moments")
    data = dict(server=server, step=step_of(window["end"] - window["begin"]), **window)
    firsts = [at for at in (data["first_minute"], data["first_day"]) if at is not None]
    data["since"] = min(firsts) if firsts else None
    # Steps are aligned as the server aligns them.
    data["grid"] = 946684800 + (data["begin"] - 946684800) // data["step"] * data["step"]
    bounds = {"from": repr(data["begin"]), "to": repr(data["end"]), "step": str(data["step"])}

    def ask(statement, **more):
        try:
            return database.ask(statement, **bounds, **more)
        except Refused as refused:
            return str(refused)

    data["regressions"] = ask(queries.REGRESSIONS)
    data["statements"] = ask(queries.STATEMENTS, most="500")
    found = data["statements"] if isinstance(data["statements"], list) else []
    slow = [r["statement"] for r in data["regressions"]] if isinstance(data["regressions"], list) else []
    top = [s["id"] for s in found if s["id"] != "0"][: sections.COLOURS]
    data["slow_ids"] = [id_ for id_ in dict.fromkeys(slow) if id_ not in top][:6]
    data["load"] = ask(queries.LOAD, top=array(top))
    wanted = top + data["slow_ids"]
    calls = {s["id"]: s["calls"] for s in found}
    data["steps"] = {id_: step_of_statement(calls.get(id_, 0), data["end"] - data["begin"], data["step"]) for id_ in wanted}
    data["curves"] = ask(queries.PERCENTILES, ids=array(wanted), steps=array(str(data["steps"][id_]) for id_ in wanted)) if wanted else []
    for name, statement in (("recommendations", queries.RECOMMENDATIONS), ("tables", queries.TABLES), ("indexes", queries.INDEXES), ("runway", queries.RUNWAY),
                            ("alerts", queries.ALERTS), ("changes", queries.CHANGES), ("size", queries.SIZE)):
        data[name] = ask(statement)
    return data


def notices(data, clock, zone):
    """What a reader has to know before he trusts the figures."""
    words = []
    if not data["server"]["sees_all"]:
        words.append(f"{data['server']['role']} sees only his own statements and tables; a member of pg_monitor sees all.")
    first = data["since"]
    if first is None:
        words.append("Nothing has been counted in this database yet.")
    elif first > data["begin"] + data["step"]:
        words.append(f"History begins on {clock.moment(first)}, later than this window.")
    if data["end"] > data["now"] + 60:
        words.append("The window reaches into the future.")
    if zone and clock.name != zone and clock.name == "UTC" and zone not in ("UTC", "Etc/UTC", "GMT"):
        words.append(f"This machine does not know the time zone {zone}; times are UTC.")
    return "".join(sections.note(w) for w in words)


def render(data, zone=None):
    clock = Clock(zone or data["server"]["zone"])
    server = data["server"]
    style = (pathlib.Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{name}">{escape(words)}</a>' for name, words, _ in PARTS)
    body = "".join(draw(data, clock) for _, _, draw in PARTS)
    offset = clock.offset(data["end"])
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(server["database"])}: {escape(clock.window(data["begin"], data["end"]))}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header class="top"><div>
<p>citadel_opt report</p>
<h1>{escape(server["database"])}</h1>
<p class="window">{escape(clock.window(data["begin"], data["end"]))}</p>
<p>Times in {escape(clock.name)} ({escape(offset)}), steps of {escape(sections.step_words(data["step"]))}</p>
<nav aria-label="Parts of this page">{links}</nav>
</div></header>
<main>
{sections.glance(data, clock)}
{notices(data, clock, zone or server["zone"])}
{body}
</main>
<footer><p>Made on {escape(clock.moment(data["now"]))} as {escape(server["role"])} from PostgreSQL {escape(server["version"])}, citadel_opt {escape(server["extension"])},
encoding {escape(server["encoding"])}. Percentiles are within 7 % of the exact ones. Statements are shown without their literals. The page loads nothing and runs no script.</p></footer>
</body>
</html>
"""
