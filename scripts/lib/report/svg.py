"""Elements of a drawing as text. Every number is checked: a drawing with a NaN in it is a bug, not a blank."""

import math

from .figures import escape


def number(value):
    if not math.isfinite(value):
        raise ValueError(f"not a coordinate: {value}")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def element(tag, attributes=None, *children):
    """children are SVG already; text goes through text() or title()."""
    parts = [f"<{tag}"]
    for name, value in (attributes or {}).items():
        if value is None:
            continue
        shown = number(value) if isinstance(value, (int, float)) else escape(value)
        parts.append(f' {name.rstrip("_").replace("_", "-")}="{shown}"')
    inner = "".join(children)
    return "".join(parts) + (f">{inner}</{tag}>" if inner else "/>")


def text(x, y, words, **attributes):
    return element("text", {"x": x, "y": y, **attributes}, escape(words))


def title(words):
    return element("title", None, escape(words))


def line(x1, y1, x2, y2, **attributes):
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, **attributes})


def rectangle(x, y, width, height, *children, **attributes):
    return element("rect", {"x": x, "y": y, "width": max(width, 0), "height": max(height, 0), **attributes}, *children)


def path(points, closed=False):
    """The d of a path through points."""
    steps = [f"{'M' if i == 0 else 'L'}{number(x)} {number(y)}" for i, (x, y) in enumerate(points)]
    return "".join(steps) + ("Z" if closed else "")


def drawing(width, height, name, description, *children, id_, class_="chart"):
    """The whole: read by those who cannot see it as `name` and `description`."""
    return element(
        "svg", {"viewBox": f"0 0 {number(width)} {number(height)}", "class": class_, "role": "img", "xmlns": "http://www.w3.org/2000/svg",
                "aria-labelledby": f"{id_}-t {id_}-d", "preserveAspectRatio": "xMidYMid meet"},
        element("title", {"id": f"{id_}-t"}, escape(name)), element("desc", {"id": f"{id_}-d"}, escape(description)), *children)
