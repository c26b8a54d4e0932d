"""Line charts as SVG, without a library."""
import math
from html import escape

WIDTH, HEIGHT = 820, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 44, 52
COLORS = ["#c0392b", "#e67e22", "#2471a3", "#1e8449", "#7d3c98", "#566573"]
DASHES = ["", "", "6 3", "2 3", "8 3 2 3", "1 4"]


def chart(title, x_label, y_label, series, logarithmic=False, steps=False):
    """series: {name: [(x, y)]}. y from 0."""
    points = [point for line in series.values() for point in line]
    if not points:
        points = [(1, 1)]
    low = min(x for x, _ in points) if logarithmic else 0.0
    high = max(max(x for x, _ in points), low * 1.01 if logarithmic else 1e-9)
    top = max(max(y for _, y in points), 1e-9)
    top = math.ceil(top * 10) / 10 if top > 0.1 else top * 1.1

    def at(x, y):
        share = math.log(x / low) / math.log(high / low) if logarithmic else (x - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT), TOP + (1 - y / top) * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="24" font-size="14">{escape(title)}</text>']
    for i in range(6):
        y = top * i / 5
        _, py = at(high, y)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py:.1f}" y2="{py:.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 8}" y="{py + 4:.1f}" text-anchor="end">{y:.3g}</text>')
    for x in ticks(low, high, logarithmic):
        px, _ = at(x, 0)
        out.append(f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 5}" stroke="#888"/>'
                   f'<text x="{px:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:.3g}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_label)}</text>'
               f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
               f'{escape(y_label)}</text>')
    for number, (name, line) in enumerate(series.items()):
        color, dash = COLORS[number % len(COLORS)], DASHES[number % len(DASHES)]
        path = []
        for i, (x, y) in enumerate(line):
            px, py = at(x, y)
            if steps and i > 0:
                path.append(f"L{px:.1f} {at(x, line[i - 1][1])[1]:.1f}")
            path.append(f"{'L' if i else 'M'}{px:.1f} {py:.1f}")
            out.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{color}"/>')
        if steps and line:  # the answer stands after its end
            path.append(f"L{at(high, 0)[0]:.1f} {at(high, line[-1][1])[1]:.1f}")
        out.append(f'<path d="{" ".join(path)}" fill="none" stroke="{color}" stroke-width="1.8" stroke-dasharray="{dash}"/>')
        y = TOP + 12 + 20 * number
        out.append(f'<line x1="{WIDTH - RIGHT + 14}" x2="{WIDTH - RIGHT + 44}" y1="{y}" y2="{y}" stroke="{color}" '
                   f'stroke-width="1.8" stroke-dasharray="{dash}"/><text x="{WIDTH - RIGHT + 50}" y="{y + 4}">'
                   f'{escape(name)}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def ticks(low, high, logarithmic):
    if logarithmic:
        return [10.0 ** e for e in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)]
    step = 10 ** math.floor(math.log10(high)) or 1
    while high / step < 4:
        step /= 2
    return [step * i for i in range(int(high / step) + 1)]
