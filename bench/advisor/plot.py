"""Line charts as SVG, without a library."""
import math
from html import escape

WIDTH, HEIGHT = 820, 460
LEFT, RIGHT, TOP, BOTTOM = 84, 190, 44, 52
# An advisor looks the same in every chart; others take what is left.
STYLES = {"citadel_opt, btree": ("#c0392b", ""), "citadel_opt": ("#e67e22", ""), "extend": ("#2471a3", "6 3"),
          "db2advis": ("#1e8449", "2 3"), "autoadmin": ("#7d3c98", "8 3 2 3")}
OTHERS = [("#c0392b", ""), ("#2471a3", "6 3"), ("#1e8449", "2 3"), ("#566573", "1 4")]


class Axis:
    """From values to pixels. Linear from 0, or logarithmic."""

    def __init__(self, values, logarithmic, first, last):
        self.logarithmic, self.first, self.last = logarithmic, first, last
        values = [value for value in values if value > 0] or [1.0]
        if logarithmic:
            self.low, self.high = min(values), max(max(values), min(values) * 1.01)
            self.ticks = self._decades()
        else:
            step = round_step(max(values) / 5)
            self.low, self.high = 0.0, step * math.ceil(max(values) / step - 1e-9)
            self.ticks = [step * i for i in range(round(self.high / step) + 1)]

    def _decades(self):
        """1, 10, 100 ...; with 2 and 5 between them where there are few."""
        for factors in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
            exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            ticks = [factor * 10.0 ** e for e in exponents for factor in factors]
            ticks = [tick for tick in ticks if self.low * 0.999 <= tick <= self.high * 1.001]
            if len(ticks) >= 4:
                break
        return ticks or [self.low, self.high]

    def at(self, value):
        if self.logarithmic:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = value / self.high
        return self.first + share * (self.last - self.first)


def round_step(least):
    """The next of 1, 2, 5, 10 ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * 0.999)


def chart(title, x_label, y_label, series, logarithmic=False, steps=False):
    """series: {name: [(x, y)]}. logarithmic: both axes; otherwise both begin with 0."""
    points = [point for line in series.values() for point in line] or [(1, 1)]
    x_axis = Axis([x for x, _ in points], logarithmic, LEFT, WIDTH - RIGHT)
    y_axis = Axis([y for _, y in points], logarithmic, HEIGHT - BOTTOM, TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="24" font-size="14">{escape(title)}</text>']
    for y in y_axis.ticks:
        py = y_axis.at(y)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py:.1f}" y2="{py:.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 8}" y="{py + 4:.1f}" text-anchor="end">{y:.4g}</text>')
    for x in x_axis.ticks:
        px = x_axis.at(x)
        out.append(f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 5}" stroke="#888"/>'
                   f'<text x="{px:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:.4g}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_label)}</text>'
               f'<text transform="translate(22 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
               f'{escape(y_label)}</text>')
    others = iter(OTHERS * len(series))
    for number, (name, line) in enumerate(series.items()):
        color, dash = STYLES.get(name) or next(others)
        path = []
        for i, (x, y) in enumerate(line):
            px, py = x_axis.at(x), y_axis.at(y)
            if steps and i > 0:
                path.append(f"L{px:.1f} {y_axis.at(line[i - 1][1]):.1f}")
            path.append(f"{'L' if i else 'M'}{px:.1f} {py:.1f}")
            out.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{color}"/>')
        if steps and line:  # the answer stands after its end
            path.append(f"L{x_axis.at(x_axis.high):.1f} {y_axis.at(line[-1][1]):.1f}")
        out.append(f'<path d="{" ".join(path)}" fill="none" stroke="{color}" stroke-width="1.8" stroke-dasharray="{dash}"/>')
        y = TOP + 12 + 20 * number
        out.append(f'<line x1="{WIDTH - RIGHT + 14}" x2="{WIDTH - RIGHT + 44}" y1="{y}" y2="{y}" stroke="{color}" '
                   f'stroke-width="1.8" stroke-dasharray="{dash}"/><text x="{WIDTH - RIGHT + 50}" y="{y + 4}">'
                   f'{escape(name)}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
