"""Panels of lines over a common logarithmic axis, as one SVG that can be read on light and on dark pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, PANEL_WIDTH, PANEL_HEIGHT = 920, 460, 290
LEFT, RIGHT, TOP, BOTTOM = 58, 96, 52, 40
LABEL_HEIGHT = 14

# Its own surface, so that it does not depend on the page around it; colours differ in lightness as well as in hue.
_STYLE = """
    .surface { fill: #fcfcfb; }
    text { font: 12px system-ui, sans-serif; fill: #52514e; }
    .title { font-size: 14px; font-weight: 600; fill: #0b0b0b; }
    .grid { stroke: #e4e3df; } .goal { stroke: #8a8984; stroke-dasharray: 5 4; }
    .leader { stroke: #c3c2bc; stroke-dasharray: 1 3; }
    .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
    .c0 { --c: #1f6fd0; } .c1 { --c: #d9551e; } .c2 { --c: #0d8a63; } .c3 { --c: #6a4fc9; } .c4 { --c: #a8740a; }
    .c5 { --c: #c23a7c; }
    .line { stroke: var(--c); } .dot { fill: var(--c); stroke: #fcfcfb; stroke-width: 1.5; }
    .other { fill: #fcfcfb; stroke: var(--c); stroke-width: 2; } .key { fill: var(--c); }
    @media (prefers-color-scheme: dark) {
        .surface { fill: #1a1a19; } text { fill: #c3c2b7; } .title { fill: #ffffff; }
        .grid { stroke: #34342f; } .goal { stroke: #8d8c84; } .leader { stroke: #55544d; }
        .c0 { --c: #5a9bea; } .c1 { --c: #f08352; } .c2 { --c: #3cb98d; } .c3 { --c: #a594f0; } .c4 { --c: #d6a43c; }
        .c5 { --c: #ea7fb2; }
        .dot { stroke: #1a1a19; } .other { fill: #1a1a19; }
    }
"""


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    told: str
    """What somebody who points at it reads."""


@dataclass(frozen=True, slots=True)
class Series:
    """`line` is joined; `others` stand beside it, hollow."""

    name: str
    line: Sequence[Point]
    others: Sequence[Point] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    series: Sequence[Series]
    goal: tuple[float, str] | None = None
    values: list[float] = field(init=False)

    def __post_init__(self) -> None:
        found = [point.y for each in self.series for point in (*each.line, *each.others)]
        object.__setattr__(self, "values", found + ([self.goal[0]] if self.goal else []))


@dataclass(frozen=True, slots=True)
class Scale:
    """From a value to a place on the page, by its logarithm."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)


def ticks(low: float, high: float) -> list[float]:
    """Powers of ten around the values, with what lies between them where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1,) if last - first > 2 else (1, 2, 5)
    every = [step * 10.0**power for power in range(first, max(last, first + 1) + 1) for step in steps]
    start = max(index for index, tick in enumerate(every) if tick <= low)
    end = min(index for index, tick in enumerate(every) if tick >= high)
    return every[start : max(end, start + 1) + 1]


def short(value: float) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def draw(title: str, described: str, x_title: str, panels: Sequence[Panel]) -> str:
    """The whole picture, two panels a row. `described` is for those who do not see it."""
    height = PANEL_HEIGHT * -(-len(panels) // 2) + 8
    xs = [point.x for panel in panels for each in panel.series for point in (*each.line, *each.others)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-labelledby="title described">',
        f'<title id="title">{escape(title)}</title><desc id="described">{escape(described)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="surface" width="{WIDTH}" height="{height}" rx="8"/>',
    ]
    for number, panel in enumerate(panels):
        left, top = PANEL_WIDTH * (number % 2), PANEL_HEIGHT * (number // 2)
        parts += [f'<g transform="translate({left} {top})">', *_panel(panel, min(xs), max(xs), x_title), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, x_low: float, x_high: float, x_title: str) -> list[str]:
    y_ticks, x_ticks = ticks(min(panel.values), max(panel.values)), ticks(x_low, x_high)
    x = Scale(x_ticks[0], x_ticks[-1], LEFT, PANEL_WIDTH - RIGHT)
    y = Scale(y_ticks[0], y_ticks[-1], PANEL_HEIGHT - BOTTOM, TOP)
    parts = [f'<text class="title" x="16" y="28">{escape(panel.title)}</text>']
    for tick in y_ticks:
        parts.append(f'<path class="grid" d="M{x.start} {y(tick)}H{x.end}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4}" text-anchor="end">{short(tick)}</text>')
    parts += [f'<text x="{x(tick)}" y="{y.start + 18}" text-anchor="middle">{short(tick)}</text>' for tick in x_ticks]
    parts.append(f'<text x="{x.end + 20}" y="{y.start + 18}">{escape(x_title)}</text>')
    if panel.goal:
        value, name = panel.goal
        parts.append(f'<path class="goal" d="M{x.start} {y(value)}H{x.end}"/>')
        parts.append(f'<text x="{x.end + 8}" y="{y(value) + 4}">{escape(name)}</text>')
    for number, each in enumerate(panel.series):
        parts += _series(each, number, x, y)
    return parts + (_labels(panel.series, x, y) if len(panel.series) > 1 else [])


def _series(series: Series, number: int, x: Scale, y: Scale) -> list[str]:
    path = "L".join(f"{x(point.x)} {y(point.y)}" for point in series.line)
    parts = [f'<g class="c{number}">', f'<path class="line" d="M{path}"/>']
    for kind, points in (("dot", series.line), ("other", series.others)):
        for point in points:
            told = f"<title>{escape(point.told)}</title>"
            parts.append(f'<circle class="{kind}" cx="{x(point.x)}" cy="{y(point.y)}" r="4">{told}</circle>')
    return [*parts, "</g>"]


def _labels(series: Sequence[Series], x: Scale, y: Scale) -> list[str]:
    """Names beside the ends of lines, apart from each other, from the highest down."""
    ends = sorted((y(each.line[-1].y), number, each) for number, each in enumerate(series) if each.line)
    places = spread([place for place, _, _ in ends])
    parts = []
    for (end, number, each), place in zip(ends, places, strict=True):
        from_x = x(each.line[-1].x) + 5
        parts.append(f'<path class="leader" d="M{from_x} {end}L{x.end + 6} {place}"/>')
        parts.append(f'<rect class="key c{number}" x="{x.end + 8}" y="{place - 4}" width="8" height="8" rx="2"/>')
        parts.append(f'<text x="{x.end + 20}" y="{place + 4}">{escape(each.name)}</text>')
    return parts


def spread(places: Sequence[float]) -> list[float]:
    """Rising places, moved down as little as keeps them a label apart, then up again as far as they overshot."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + LABEL_HEIGHT) if moved else place)
    over = max(0.0, moved[-1] - (PANEL_HEIGHT - BOTTOM)) if moved else 0.0
    return [round(place - over, 1) for place in moved]
