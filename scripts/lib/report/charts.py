"""Drawings: stacked areas, curves with marks, small lines, bars of time. Points without a value leave a gap."""

from .figures import known
from .svg import drawing, element, line, number, path, rectangle, text, title
from .ticks import linear_ticks, log_ticks

import math

LETTER = 6.2  # mean width of a letter of an axis label


class Frame:
    """Axes of time and value around a field; both are labelled."""

    def __init__(self, width, height, begin, end, ticks, words, clock, log=False, left=58, right=14, top=12, bottom=26):
        self.width, self.height, self.left, self.top = width, height, left, top
        self.right, self.bottom = width - right, height - bottom
        self.begin, self.end = begin, max(end, begin + 1)
        self.value_ticks, self.words, self.clock, self.log = ticks, words, clock, log
        self.low, self.high = ticks[0], ticks[-1] if ticks[-1] > ticks[0] else ticks[0] + 1

    def x(self, seconds):
        share = (seconds - self.begin) / (self.end - self.begin)
        return self.left + min(1, max(0, share)) * (self.right - self.left)

    def y(self, value):
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.bottom - min(1, max(0, share)) * (self.bottom - self.top)

    def axes(self):
        parts = []
        for value in self.value_ticks:
            y = self.y(value)
            parts.append(line(self.left, y, self.right, y, class_="base" if value == self.low else "grid"))
            parts.append(text(self.left - 8, y + 3.5, self.words(value), class_="tick", text_anchor="end"))
        most = max(2, int((self.right - self.left) / 92))
        room = self.left - 4
        for seconds, label, new_day in self.clock.ticks(self.begin, self.end, most):
            x, half = self.x(seconds), len(label) * LETTER / 2
            parts.append(line(x, self.top, x, self.bottom, class_="grid day" if new_day else "grid time"))
            at = min(max(x, self.left + half - 12), self.right + 8 - half)
            if at - half >= room:
                parts.append(text(at, self.bottom + 17, label, class_="tick day" if new_day else "tick", text_anchor="middle"))
                room = at + half + 8
        for seconds, gain in self.clock.changes(self.begin, self.end):
            x = self.x(seconds)
            parts.append(element("g", None, title(f"The clock was put {'forward' if gain > 0 else 'back'} here"),
                                 line(x, self.top, x, self.bottom, class_="change")))
        return "".join(parts)


def runs(points, gap):
    """Points of one curve, split where a value is missing or the next one is more than `gap` seconds away."""
    split, current = [], []
    for at, value in points:
        if not known(value):
            if current:
                split.append(current)
            current = []
            continue
        if current and at - current[-1][0] > gap:
            split.append(current)
            current = []
        current.append((at, value))
    return split + ([current] if current else [])


def curve(frame, points, gap, class_):
    """A line through the points; one that stands alone is a dot."""
    parts = []
    for run in runs(points, gap):
        if len(run) == 1:
            parts.append(element("circle", {"cx": frame.x(run[0][0]), "cy": frame.y(run[0][1]), "r": 2.4, "class": f"dot {class_}"}))
        else:
            parts.append(element("path", {"d": path([(frame.x(at), frame.y(value)) for at, value in run]), "class": f"line {class_}"}))
    return "".join(parts)


def stacked_areas(layers, begin, end, step, clock, words, name, description, id_, marks=(), events=(), since=None, width=1040, height=300):
    """layers: [(label, class, {step begin: value})], the first at the bottom. Steps without a value count as zero."""
    steps = max(1, math.ceil((end - begin) / step))
    starts = [begin + i * step for i in range(steps)]
    totals = [sum(layer[2].get(at) or 0 for layer in layers) for at in starts]
    frame = Frame(width, height, begin, end, linear_ticks(max(totals, default=0) or 1), words, clock)
    below, areas = [0.0] * steps, []
    # A step's value holds from its begin to its end; drawn through the middles, and flat to both edges.
    middles = [min(at + step / 2, end) for at in starts]
    if since is not None and since > begin:
        kept = [i for i, at in enumerate(starts) if at + step > since]
        first = kept[0] if kept else 0
    else:
        first = 0
    for label, class_, values in layers:
        above = [low + (values.get(at) or 0) for low, at in zip(below, starts)]
        edge = lambda heights: ([(frame.x(starts[first]), frame.y(heights[first]))] +
                                [(frame.x(at), frame.y(v)) for at, v in list(zip(middles, heights))[first:]] + [(frame.right, frame.y(heights[-1]))])
        outline = path(edge(above) + edge(below)[::-1], closed=True)
        areas.append(element("path", {"d": outline, "class": f"area {class_}"}, title(label)))
        below = above
    return drawing(width, height, name, description, unknown(frame, since, "not recorded yet"), flags(frame, marks), "".join(areas), frame.axes(),
                   events_at(frame, events), id_=id_)


def unknown(frame, until, words):
    """What is left of `until` was not recorded."""
    if until is None or until <= frame.begin:
        return ""
    right = frame.x(until)
    label = text((frame.left + right) / 2, (frame.top + frame.bottom) / 2, words, class_="void", text_anchor="middle")
    return rectangle(frame.left, frame.top, right - frame.left, frame.bottom - frame.top, title(words), class_="unknown") + (
        label if right - frame.left > len(words) * LETTER else "")


def flags(frame, marks):
    """marks: [(begin, end or None, class, words)]: a stretch of time, behind what is drawn, with a line at its begin."""
    parts = []
    for begin, end, class_, words in marks:
        left, right = frame.x(begin), frame.x(end if end is not None else frame.end)
        parts.append(element("g", None, title(words), rectangle(left, frame.top, max(right - left, 2), frame.bottom - frame.top, class_=f"mark {class_}"),
                             line(left, frame.top - 6, left, frame.bottom, class_=f"flag {class_}"),
                             element("path", {"d": path([(left, frame.top - 6), (left + 7, frame.top - 3), (left, frame.top)], closed=True), "class": f"pennant {class_}"})))
    return "".join(parts)


def events_at(frame, events):
    """events: [(seconds, words)]: a small triangle under the axis."""
    parts = []
    for at, words in events:
        x, y = frame.x(at), frame.bottom
        parts.append(element("path", {"d": path([(x - 4, y + 7), (x + 4, y + 7), (x, y)], closed=True), "class": "event"}, title(words)))
    return "".join(parts)


def labels(frame, curves):
    """Names at the right ends of curves, moved apart where they would touch."""
    ends = sorted((round(frame.y(points[-1][1]), 1), -place, label, class_) for place, (label, class_, points) in enumerate(curves) if points)
    placed = []
    for y, _, label, class_ in ends:
        y = max(y + 3.5, placed[-1][0] + 13 if placed else frame.top + 6)
        placed.append((y, label, class_))
    over = placed[-1][0] - (frame.bottom + 3) if placed else 0
    return "".join(text(frame.right + 7, y - max(over, 0), label, class_=f"end {class_}") for y, label, class_ in placed)


def percentiles(series, begin, end, step, clock, words, name, description, id_, marks=(), since=None, width=690, height=210):
    """series: [(label, class, [(seconds, value)])], the lowest first; the space between lowest and highest is filled."""
    values = [value for _, _, points in series for _, value in points if known(value) and value > 0]
    if not values:
        return ""
    low, high = min(values), max(values)
    log = high > 20 * low
    ticks = log_ticks(low, high) if log else linear_ticks(high)
    frame = Frame(width, height, begin, end, ticks, words, clock, log=log, right=44)
    gap = 2.5 * step
    middle = lambda points: [(min(at + step / 2, end), value) for at, value in points]
    fills = []
    lowest, highest = dict(middle(series[0][2])), middle(series[-1][2])
    for run in runs(highest, gap):
        both = [(at, value, lowest.get(at)) for at, value in run if known(lowest.get(at))]
        if len(both) > 1:
            outline = [(frame.x(at), frame.y(value)) for at, value, _ in both] + [(frame.x(at), frame.y(value)) for at, _, value in both[::-1]]
            fills.append(element("path", {"d": path(outline, closed=True), "class": "between"}))
    curves = "".join(curve(frame, middle(points), gap, class_) for _, class_, points in series)
    shown = [(label, class_, [p for p in middle(points) if known(p[1])]) for label, class_, points in series]
    return drawing(width, height, name, description, unknown(frame, since, "not recorded yet"), flags(frame, marks), frame.axes(),
                   "".join(fills), curves, labels(frame, shown), id_=id_)


def growth(series, begin, end, clock, words, name, description, id_, since=None, base=1024, width=1040, height=260):
    """series: [(label, class, [(seconds, value)])] of sizes, which hold until the next point."""
    values = [value for _, _, points in series for _, value in points if known(value)]
    frame = Frame(width, height, begin, end, linear_ticks(max(values, default=0) or 1, base=base), words, clock, left=66, right=20)
    parts = []
    for label, class_, points in series:
        points = [(at, value) for at, value in points if known(value)]
        corners = []
        for i, (at, value) in enumerate(points):
            if i:
                corners.append((frame.x(at), frame.y(points[i - 1][1])))
            corners.append((frame.x(at), frame.y(value)))
        if points:
            corners.append((frame.right, frame.y(points[-1][1])))
            parts.append(element("path", {"d": path(corners), "class": f"line thick {class_}"}, title(label)))
    return drawing(width, height, name, description, unknown(frame, since, "not recorded yet"), frame.axes(), "".join(parts), id_=id_)


def small_line(points, begin, end, name, id_, class_="c1", width=132, height=30, from_zero=True):
    """A line as high as a row of a table."""
    points = [(at, value) for at, value in points if known(value)]
    if not points:
        return ""
    high = max(value for _, value in points)
    low = 0 if from_zero else min(value for _, value in points)
    span = (high - low) or 1
    x = lambda at: 2 + min(1, max(0, (at - begin) / max(end - begin, 1))) * (width - 4)
    y = lambda value: height - 3 - (value - low) / span * (height - 7) if high > low else height / 2
    places = [(x(at), y(value)) for at, value in points]
    if len(places) == 1:
        places.append((width - 2, places[0][1]))
    area = path([(places[0][0], height - 2)] + places + [(places[-1][0], height - 2)], closed=True)
    return drawing(width, height, name, "", element("path", {"d": area, "class": f"under {class_}"}),
                   element("path", {"d": path(places), "class": f"line {class_}"}), id_=id_, class_="small")


def bars(rows, begin, end, clock, name, description, id_, width=1040):
    """rows: [(label, [(from, to, class, words)])]: what lasted from when to when."""
    height = 30 + 26 * len(rows)
    frame = Frame(width, height, begin, end, [0, 1], lambda value: "", clock, left=250)
    parts = []
    for i, (label, stretches) in enumerate(rows):
        y = frame.top + 26 * i
        parts.append(text(frame.left - 10, y + 14, label, class_="name", text_anchor="end"))
        parts.append(rectangle(frame.left, y + 3, frame.right - frame.left, 16, class_="track", rx=3))
        for from_, to, class_, words in stretches:
            left, right = frame.x(from_), frame.x(to)
            parts.append(rectangle(left, y + 3, max(right - left, 4), 16, title(words), class_=f"stretch {class_}", rx=3))
    frame.value_ticks = []
    return drawing(width, height, name, description, "".join(parts), frame.axes(), id_=id_)


def runway(rows, clock, now, name, description, id_, width=1040):
    """rows: [(label, days or None for without end, class, words)]: how far something reaches."""
    height = 34 + 30 * len(rows)
    known_days = [days for _, days, _, _ in rows if days is not None]
    high = linear_ticks(max(known_days, default=30) or 30, 6)
    left, right = 250, width - 110
    x = lambda days: left + min(1, max(0, days / high[-1])) * (right - left)
    parts = []
    for days in high:
        parts.append(line(x(days), 8, x(days), height - 24, class_="base" if days == 0 else "grid"))
        parts.append(text(x(days), height - 8, "now" if days == 0 else f"{number(days)} days", class_="tick", text_anchor="middle"))
    for i, (label, days, class_, words) in enumerate(rows):
        y = 12 + 30 * i
        end = right if days is None else max(x(days), left + 3)
        parts.append(text(left - 10, y + 14, label, class_="name", text_anchor="end"))
        parts.append(rectangle(left, y + 2, end - left, 18, title(words), class_=f"stretch {class_}", rx=3))
        parts.append(text(end + 8, y + 15, words, class_="value"))
    return drawing(width, height, name, description, "".join(parts), id_=id_)
