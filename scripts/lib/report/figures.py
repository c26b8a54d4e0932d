"""Numbers and texts for readers: units, names of statements, and what makes any text harmless in a page."""

import html
import math
import re

UNKNOWN = "–"
# Not for the eye, or made to deceive it: control characters, and those that turn the direction of writing.
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
KEYWORDS = re.compile(
    r"\b(SELECT|FROM|WHERE|AND|OR|NOT|IN|IS|NULL|JOIN|LEFT|RIGHT|FULL|INNER|OUTER|CROSS|LATERAL|ON|USING|GROUP|ORDER|BY|HAVING|LIMIT|"
    r"OFFSET|FETCH|INSERT|INTO|VALUES|UPDATE|SET|DELETE|RETURNING|WITH|RECURSIVE|AS|UNION|ALL|DISTINCT|CASE|WHEN|THEN|ELSE|END|"
    r"EXISTS|BETWEEN|LIKE|ILIKE|ASC|DESC|MERGE|CREATE|INDEX|UNIQUE|CONCURRENTLY|INCLUDE|DROP|REINDEX|FOR|OVER|PARTITION)\b", re.I)


def visible(text):
    """Characters that would be hidden, shown by their number."""
    return HIDDEN.sub(lambda found: f"\\u{ord(found.group()):04x}", str(text))


def escape(text):
    return html.escape(visible(text), quote=True)


def known(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def digits(value):
    """Three figures that matter, no more."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    text = f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.2g}"
    if "e" in text:
        return "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def scaled(value, units, unknown=UNKNOWN):
    """The value in the largest of the units, [(factor, name), ...] from small to large, in which it is not below one."""
    if not known(value):
        return unknown
    factor, name = units[0]
    for candidate in units:
        if abs(value) >= candidate[0] * 0.9995:
            factor, name = candidate
    return f"{digits(value / factor)}\u00a0{name}".rstrip("\u00a0")


def duration(ms):
    return scaled(ms, [(1e-3, "µs"), (1, "ms"), (1e3, "s"), (6e4, "min"), (3.6e6, "h"), (8.64e7, "d")]) if ms else (
        "0\u00a0ms" if ms == 0 else UNKNOWN)


def size(value):
    return scaled(value, [(1, "B"), (2**10, "kB"), (2**20, "MB"), (2**30, "GB"), (2**40, "TB")])


def count(value):
    if known(value) and abs(value) < 10000:
        return digits(round(value, 2)) if value != int(value) else f"{int(value):,}".replace(",", "\u202f")
    return scaled(value, [(1, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")])


def share(value):
    if not known(value):
        return UNKNOWN
    if value == 0:
        return "0\u00a0%"
    if 0 < value < 0.001:
        return "<\u00a00.1\u00a0%"
    return f"{100 * value:.1f}\u00a0%" if value < 0.1 else f"{100 * value:.0f}\u00a0%"


def signed(value, words):
    """With a sign of its own, so that growth and shrinking are told apart."""
    if not known(value) or value == 0:
        return words(value) if known(value) else UNKNOWN
    return ("+" if value > 0 else "−") + words(abs(value))


def one_line(text):
    return re.sub(r"\s+", " ", visible(text)).strip()


def shorten(text, length):
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def sql(text, length=None):
    """A statement as HTML: one paragraph, keywords set apart."""
    line = one_line(text)
    if length:
        line = shorten(line, length)
    parts, last = [], 0
    for found in KEYWORDS.finditer(line):
        parts += [escape(line[last:found.start()]), f"<b>{escape(found.group())}</b>"]
        last = found.end()
    return "".join(parts) + escape(line[last:])


def statement_name(text, query_id):
    """What a statement is called where there is no room for it: what it does, and with which table."""
    if query_id == 0:
        return "the rest"
    if not text:
        return f"statement {query_id}"
    line = one_line(text)
    verb = re.match(r"[^\w]*(\w+)", line)
    word = r'(?:"(?:[^"]|"")+"|[\w$]+)'
    table = re.search(rf"\b(?:FROM|INTO|UPDATE|JOIN)\s+(?:ONLY\s+)?({word}(?:\s*\.\s*{word})*)", line, re.I)
    if not table:
        return shorten(line, 38)
    column = re.search(rf"\bWHERE\b[\s(]*(?:\w+\.)?({word})\s*(?:=|<|>|@|~|\bIN\b|\bI?LIKE\b|\bIS\b|\bBETWEEN\b)", line, re.I)
    words = f"{verb.group(1).upper()} {re.split(r'[.]', table.group(1))[-1].strip()}" if verb else table.group(1)
    return shorten(words + (f" by {column.group(1)}" if column else ""), 44)
