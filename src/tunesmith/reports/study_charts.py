"""Drawings for studies: one parameter against the score, parallel coordinates, shares as bars."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.reports.markup import Html, join, tag
from tunesmith.reports.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Array,
    Axis,
    Frame,
    axes,
    limits,
    path,
    points,
    svg,
)
from tunesmith.reports.wording import number
from tunesmith.search import Domain, Int, Real
from tunesmith.search.understanding.coordinates import Coordinates
from tunesmith.search.understanding.isolating import Bucket

DOTS = 400  # of a cloud
WIDE, TALL = 1100, 340  # of parallel coordinates
LONGEST = 14  # letters of a tick


class Names(Axis):
    """An axis from 0 to 1 whose ticks are written by hand."""

    __slots__ = ()

    def ticks(self) -> list[float]:
        return []


def against(domain: Domain, name: str, places: Array, scores: Array, buckets: Sequence[Bucket], best: float) -> Html:
    """Each trial a dot, the best of each bucket a step, the fair best (of equally many trials) dashed. `places`: (N,) in [0, 1]."""
    low, high = seen_range(scores)
    y = Axis(low, high + 0.1 * (high - low), HEIGHT - BOTTOM, TOP)  # room for the counts
    numbers = isinstance(domain, Real | Int)
    x = _axis(domain) if isinstance(domain, Real | Int) else Names(0.0, 1.0, LEFT, WIDTH - RIGHT)
    frame = Frame(x, y, WIDTH, HEIGHT, (name, "score"))
    kept = np.linspace(0, len(places) - 1, min(DOTS, len(places))).round().astype(int)
    scale = np.array([domain.from_unit(float(unit)) for unit in places[kept]], float) if numbers else places[kept]
    dots = points(frame, scale, np.clip(scores[kept], low, high), "c8", 2.0)
    pieces: list[Any] = [axes(frame), *([] if numbers else [_labels(domain, x, y.start)]), dots]
    for bucket in buckets:
        left, right = _span(domain, bucket)
        pieces.append(_level(x, y, left, right, bucket.best, "line c1"))
        if np.isfinite(bucket.fair):
            pieces.append(_level(x, y, left, right, bucket.fair, "line dashed c2"))
        pieces.append(_count(x, left, right, bucket.count))
    return svg(WIDTH, HEIGHT, *pieces)


def seen_range(scores: Array) -> tuple[float, float]:
    """From the best score to where nine in ten lie: what diverged would press the rest together."""
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(np.quantile(finite, 0.9))
    room = 0.05 * (high - low) or 0.1 * abs(low) or 1.0
    return low - room, high + room


def _axis(domain: Real | Int) -> Axis:
    return Axis(float(domain.low), float(domain.high), LEFT, WIDTH - RIGHT, domain.log)


def _span(domain: Domain, bucket: Bucket) -> tuple[float, float]:
    """The ends of a bucket on the axis."""
    if isinstance(domain, Real | Int):
        if bucket.low != bucket.high:
            return float(bucket.low), float(bucket.high)
        factor = 1.04
        half = 0.02 * (domain.high - domain.low)
        if domain.log:
            return max(domain.low, bucket.low / factor), min(domain.high, bucket.high * factor)
        return max(domain.low, bucket.low - half), min(domain.high, bucket.high + half)
    place = domain.to_unit(bucket.low)
    half = 0.35 / domain.size if np.isfinite(domain.size) else 0.02
    return max(0.0, place - half), min(1.0, place + half)


def _level(x: Axis, y: Axis, left: float, right: float, value: float, class_: str) -> Html:
    frame = Frame(x, y)
    shown = np.clip(np.array([value, value]), y.low, y.high)
    return Html(f'<path class="{class_}" d="{path(frame, np.array([left, right]), shown)}"/>')


def _count(x: Axis, left: float, right: float, count: int) -> Html:
    middle = (float(x.place(left)) + float(x.place(right))) / 2
    return tag("text", f"{count}", class_="tick", x=f"{middle:.1f}", y=TOP + 8, text_anchor="middle")


def _labels(domain: Domain, x: Axis, bottom: float) -> Html:
    choices = getattr(domain, "choices", ())
    shown = list(choices)[:: max(1, -(-len(choices) // 8))]
    return join(
        tag("text", _cut(value), class_="tick", x=f"{float(x.place(domain.to_unit(value))):.1f}", y=bottom + 15, text_anchor="middle")
        for value in shown
    )  # fmt: skip


def _cut(value: Any) -> str:
    text = number(value) if isinstance(value, int | float) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def coordinates(lines: Coordinates) -> Html:
    """A line a trial through all parameters to its score, the best tenth in colour and on top."""
    count = len(lines.names) + 1
    across = np.linspace(40, WIDE - 90, count)
    low, high = seen_range(lines.scores)
    top, bottom = 28.0, TALL - 16.0
    last = np.clip((lines.scores - low) / (high - low), 0, 1)[:, None]
    rows = np.hstack([lines.units, last])
    down = bottom - rows * (bottom - top)
    good = set(range(len(rows) - max(1, round(0.1 * len(rows))), len(rows)))
    drawn = [
        _polyline(
            across, row, "line c1" if place == len(rows) - 1 else "line faint c1" if place in good else "line faint c8"
        )
        for place, row in enumerate(down)
    ]
    pieces: list[Any] = [*drawn]
    for place, name in enumerate([*lines.names, "score"]):
        at = f"{across[place]:.1f}"
        pieces.append(Html(f'<line class="axis" x1="{at}" x2="{at}" y1="{top}" y2="{bottom}"/>'))
        anchor = "start" if place == 0 else "middle"
        pieces.append(tag("text", _cut(name), class_="label", x=at if place else 8, y=14, text_anchor=anchor))
        ticks = lines.ticks[place] if place < len(lines.names) else _score_ticks(low, high)
        for unit, word in ticks:
            y = f"{bottom - unit * (bottom - top):.1f}"
            pieces.append(tag("text", word, class_="tick", x=f"{across[place] + 5:.1f}", y=y, dy=".32em"))
    return svg(WIDE, TALL, *pieces)


def _score_ticks(low: float, high: float) -> list[tuple[float, str]]:
    return [(place, number(low + place * (high - low), 3)) for place in (0.0, 0.25, 0.5, 0.75, 1.0)]


def _polyline(across: Array, down: Array, class_: str) -> Html:
    """Straight past the axis of a parameter that is not in force."""
    corners = [f"{x:.0f} {y:.0f}" for x, y in zip(across, down, strict=True) if np.isfinite(y)]
    return Html(f'<path class="{class_}" d="M{"L".join(corners)}"/>')


def cloud(x: Array, y: Array, chosen: Array, labels: tuple[str, str]) -> Html:
    """Points, and those of a front on a line. `chosen`: rows on the front, by x rising."""
    left, right = limits([x], clip=0.02)
    low, high = limits([y], clip=0.02)
    frame = Frame(Axis(left, right, LEFT, WIDTH - RIGHT), Axis(low, high, HEIGHT - BOTTOM, TOP), WIDTH, HEIGHT, labels)
    kept = np.linspace(0, len(x) - 1, min(DOTS, len(x))).round().astype(int)
    inside = (x[kept] >= left) & (x[kept] <= right) & (y[kept] >= low) & (y[kept] <= high)
    dots = points(frame, x[kept][inside], y[kept][inside], "c8", 2.0)
    edge = Html(
        f'<path class="line c1" d="{path(frame, np.clip(x[chosen], left, right), np.clip(y[chosen], low, high))}"/>'
    )
    marks = points(frame, np.clip(x[chosen], left, right), np.clip(y[chosen], low, high), "c1", 3.5)
    return svg(WIDTH, HEIGHT, axes(frame), dots, edge, marks)


def share_bar(share: float) -> Html:
    """A share of 1 as a bar with its number."""
    return tag("span", f"{100 * share:.1f} %", class_="meter", style=f"--share: {100 * share:.1f}%")
