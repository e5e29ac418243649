# SPDX-License-Identifier: Apache-2.0
"""Plots of bench/run's report: bars with goal and peer, and latency percentiles, as SVG text. Standard library only."""

import math
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP, ROW = 900, 330, 110, 56, 34
PEER, MET, MISSED, PLAIN, GOAL, INK, GRID = "#b9bfc8", "#2e8b57", "#c0392b", "#4472a8", "#111111", "#222222", "#e3e6ea"
LINES = ("#4472a8", "#c0392b", "#2e8b57", "#8e5ea2", "#d08a1d", "#4a4a4a")


def number(value):
    """Short, for an axis or beside a bar."""
    for bound, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= bound:
            return f"{value / bound:.3g}{suffix}"
    return f"{value:.3g}"


class Canvas:
    def __init__(self, width, height, title):
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
                      'font-family="sans-serif" font-size="12">',
                      f'<rect width="{width}" height="{height}" fill="white"/>']
        self.text(12, 22, title, size=15, weight="bold")

    def text(self, x, y, words, anchor="start", size=12, fill=INK, weight="normal"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}" '
                          f'font-weight="{weight}">{escape(str(words))}</text>')

    def line(self, x1, y1, x2, y2, stroke=GRID, width=1, dash=""):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width}"'
                          + (f' stroke-dasharray="{dash}"' if dash else "") + "/>")

    def bar(self, x, y, width, height, fill):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height}" fill="{fill}"/>')

    def path(self, points, stroke, dash=""):
        steps = " ".join(f"{'M' if not i else 'L'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
        self.parts.append(f'<path d="{steps}" fill="none" stroke="{stroke}" stroke-width="2"'
                          + (f' stroke-dasharray="{dash}"' if dash else "") + "/>")

    def end(self):
        return "\n".join([*self.parts, "</svg>", ""])


class LogScale:
    """From low to high, both above 0, on a pixel range; whole powers of ten at both ends."""

    def __init__(self, low, high, begin, end):
        self.low = math.floor(math.log10(low))
        self.high = max(math.ceil(math.log10(high)), self.low + 1)
        self.begin, self.end = begin, end

    def __call__(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        return [10.0 ** power for power in range(self.low, self.high + 1)]


def bars(title, unit, rows):
    """rows: (label, value, goal or None, peer or None, met or None), numbers above 0. A bar each on a logarithmic axis; the peer's is
    the grey one, the goal a black line."""
    numbers = [item for _, value, goal, peer, _ in rows for item in (value, goal, peer) if item]
    scale = LogScale(min(numbers) / 2, max(numbers), LEFT, WIDTH - RIGHT)
    height = TOP + ROW * len(rows) + 34
    canvas = Canvas(WIDTH, height, f"{title} ({unit})")
    canvas.text(12, 40, "bar: measured, green when its goal is met, red when not; grey: the peer in the same run; black line: goal", size=11)
    for tick in scale.ticks():
        canvas.line(scale(tick), TOP, scale(tick), height - 28)
        canvas.text(scale(tick), height - 12, number(tick), "middle", 11)
    for index, (label, value, goal, peer, met) in enumerate(rows):
        y = TOP + index * ROW + 5
        canvas.text(LEFT - 8, y + 15, label, "end")
        canvas.bar(LEFT, y, scale(value) - LEFT, 13, PLAIN if met is None else MET if met else MISSED)
        end = scale(value)
        if peer:
            canvas.bar(LEFT, y + 14, scale(peer) - LEFT, 8, PEER)
            end = max(end, scale(peer))
        if goal:
            canvas.line(scale(goal), y - 2, scale(goal), y + 24, GOAL, 2)
            end = max(end, scale(goal))
        canvas.text(end + 5, y + 12, number(value), size=11)
    return canvas.end()


def percentile_curves(title, curves):
    """curves: (label, [(percentile, us)], whether it is a peer). The x axis counts nines: 0, 90, 99, 99.9 %; the most is at its
    end. Both axes are logarithmic."""
    width, height, left, right, top, bottom = WIDTH, 420, 70, 230, 46, 60
    values = [value for _, points, _ in curves for _, value in points if value > 0]
    scale = LogScale(min(values), max(values), height - bottom, top)
    last = 4.5

    def x_of(percentile):
        nines = last if percentile >= 100 else -math.log10(1 - percentile / 100)
        return left + nines / last * (width - left - right)

    canvas = Canvas(width, height, title)
    for tick in scale.ticks():
        canvas.line(left, scale(tick), width - right, scale(tick))
        canvas.text(left - 6, scale(tick) + 4, number(tick), "end", 11)
    for percentile, name in ((50, "p50"), (90, "p90"), (99, "p99"), (99.9, "p99.9"), (99.99, "p99.99"), (100, "max")):
        canvas.line(x_of(percentile), top, x_of(percentile), height - bottom)
        canvas.text(x_of(percentile), height - bottom + 18, name, "middle", 11)
    canvas.text(left, height - 14, "share of requests answered within so many microseconds", size=11)
    for index, (label, points, peer) in enumerate(curves):
        color = LINES[index % len(LINES)]
        canvas.path([(x_of(percentile), scale(value)) for percentile, value in points if value > 0], color, "6 4" if peer else "")
        y = top + 16 + index * 18
        canvas.line(width - right + 12, y - 4, width - right + 36, y - 4, color, 2, "6 4" if peer else "")
        canvas.text(width - right + 42, y, label, size=11)
    return canvas.end()
