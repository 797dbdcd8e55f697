"""Charts as SVG: axes with round ticks, lines, points, bars. Colours are CSS variables of the page.

A chart carries its numbers in `data-hover`, from which the page's script shows the values below the pointer; without
the script the chart is complete.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np

from tunesmith.reports.markup import Html, join, tag
from tunesmith.reports.wording import number

Array: TypeAlias = np.ndarray[Any, Any]
WIDTH, HEIGHT = 560, 280
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 12, 40
RADIUS = 7.5  # of a pin
MOST_POINTS = 500  # of one line: about one a pixel


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: `kind` is line, faint, dashed or points; `low` and `high` are the edges of a band behind it."""

    name: str
    x: Array
    y: Array
    colour: int = 1  # of the page's palette, 1 to 8
    kind: str = "line"
    low: Array | None = None
    high: Array | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """A numbered mark at a place of the x axis: something was found there."""

    x: float
    label: str
    severity: str  # error, warning or note
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values on a range of pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: Array | float) -> Array:
        """Where values lie, in pixels."""
        low, high, at = self.low, self.high, np.asarray(value, float)
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                low, high, at = math.log10(low), math.log10(high), np.log10(at)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        return log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high)


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawing surface with two axes."""

    x: Axis
    y: Axis
    width: int = WIDTH
    height: int = HEIGHT
    labels: tuple[str, str] = ("", "")
    whole: bool = False  # the x axis counts things: ticks at whole numbers only
    names: dict[float, str] = field(default_factory=dict)


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round values within the range.

    >>> ticks(0, 1), ticks(3, 97, 4)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [50.0])
    """
    raw = (high - low) / (most - 1)
    if not math.isfinite(raw) or raw <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within the range; between them 2 and 5 where the range is short.

    >>> log_ticks(0.01, 10), log_ticks(1, 8)
    ([0.01, 0.1, 1.0, 10.0], [1.0, 2.0, 5.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 3 else (1,)
    found = [float(f"{factor}e{power}") for power in powers for factor in factors]
    kept = [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return kept[:: math.ceil(len(kept) / 7)] if kept else [low, high]


def limits(values: Sequence[Array], *, log: bool = False, pad: float = 0.05, clip: float = 0.0) -> tuple[float, float]:
    """A range that holds the finite values; `clip` is the share of them that may be left out on either side."""
    every = np.concatenate([np.asarray(value, float).ravel() for value in values]) if values else np.empty(0)
    every = every[np.isfinite(every) & ((every > 0) if log else True)]
    if not len(every):
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = (float(bound) for bound in np.quantile(every, [clip, 1 - clip]))
    if log:
        room = max((high / low) ** pad, 1.05)
        return low / room, high * room
    room = pad * (high - low) if high > low else 0.1 * abs(high) or 1.0
    return low - room, high + room


def thinned(x: Array, y: Array, most: int = MOST_POINTS) -> tuple[Array, Array]:
    """At most about `most` points: the lowest and the highest of each stretch, and a value that is not finite."""
    if len(x) <= most:
        return x, y
    edges = np.linspace(0, len(x), most // 2 + 1).astype(int)
    kept: list[int] = []
    for start, end in pairwise(edges):
        part = y[start:end]
        lost = np.flatnonzero(~np.isfinite(part))
        if len(lost) == len(part):
            kept.append(int(start))
            continue
        ends = {int(start + np.nanargmin(np.where(np.isfinite(part), part, np.inf)))}
        ends.add(int(start + np.nanargmax(np.where(np.isfinite(part), part, -np.inf))))
        kept += sorted(ends | ({int(start + lost[0])} if len(lost) else set()))
    return x[kept], y[kept]


def axes(frame: Frame) -> Html:
    """Grid, ticks and labels."""
    bottom, left = frame.y.start, frame.x.start
    pieces: list[Any] = []
    for value in frame.y.ticks():
        at = f"{float(frame.y.place(value)):.1f}"
        pieces.append(Html(f'<line class="grid" x1="{left}" x2="{frame.x.end}" y1="{at}" y2="{at}"/>'))
        pieces.append(
            Html(f'<text class="tick" x="{left - 6}" y="{at}" dy=".32em" text-anchor="end">{number(value)}</text>')
        )
    for value in frame.x.ticks():
        if frame.whole and value != int(value):
            continue
        at = f"{float(frame.x.place(value)):.1f}"
        shown = f"{int(value):,}" if frame.whole else number(value)
        pieces.append(Html(f'<text class="tick" x="{at}" y="{bottom + 15}" text-anchor="middle">{shown}</text>'))
    pieces.append(Html(f'<line class="axis" x1="{left}" x2="{frame.x.end}" y1="{bottom}" y2="{bottom}"/>'))
    middle = (frame.x.start + frame.x.end) / 2
    pieces.append(tag("text", frame.labels[0], class_="label", x=middle, y=bottom + 32, text_anchor="middle"))
    height = (frame.y.start + frame.y.end) / 2
    turn = f"translate(13 {height}) rotate(-90)"
    pieces.append(tag("text", frame.labels[1], class_="label", transform=turn, text_anchor="middle"))
    return join(pieces)


def path(frame: Frame, x: Array, y: Array) -> str:
    """The `d` of a line; it breaks where a value is not finite."""
    across, up = frame.x.place(x), frame.y.place(y)
    whole = np.isfinite(across) & np.isfinite(up)
    pieces, pen = [], "M"
    for i in range(len(across)):
        if not whole[i]:
            pen = "M"
            continue
        pieces.append(f"{pen}{across[i]:.1f} {np.clip(up[i], -5000, 5000):.1f}")
        pen = "L"
    return "".join(pieces)


def drawn(frame: Frame, line: Line) -> Html:
    """One curve."""
    colour = f"c{line.colour}"
    if line.kind == "points" or len(line.x) == 1:
        return points(frame, line.x, line.y, colour)
    curve = Html(f'<path class="line {line.kind} {colour}" d="{path(frame, *thinned(line.x, line.y))}"/>')
    return join([band(frame, line), curve])


def band(frame: Frame, line: Line) -> Html:
    """The area between the lowest and the highest value, where the line has them."""
    if line.low is None or line.high is None:
        return Html()
    low, high = frame.y.place(line.low), frame.y.place(line.high)
    kept = np.isfinite(low) & np.isfinite(high)
    across = frame.x.place(line.x)[kept]
    around = np.concatenate([across, across[::-1]]), np.clip(np.concatenate([high[kept], low[kept][::-1]]), -5000, 5000)
    corners = "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(*around, strict=True))
    return Html(f'<path class="band c{line.colour}" d="M{corners}Z"/>') if corners else Html()


def points(frame: Frame, x: Array, y: Array, class_: str, radius: float = 2.5) -> Html:
    """A cloud of points."""
    across, up = frame.x.place(x), frame.y.place(y)
    whole = np.isfinite(across) & np.isfinite(up)
    pairs = zip(across[whole], up[whole], strict=True)
    dots = "".join(f'<circle cx="{at:.1f}" cy="{high:.1f}" r="{radius}"/>' for at, high in pairs)
    return Html(f'<g class="points {class_}">{dots}</g>')


def chart(
    lines: Sequence[Line],
    *,
    labels: tuple[str, str],
    log_y: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    whole: bool = False,
    clip: float = 0.0,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    square: bool = False,
    legend: bool = True,
    pins: Sequence[Pin] = (),
) -> Html:
    """Curves over one x axis; `marks` are upright lines with a word, `pins` numbered ones; `clip` as in `limits`, for bands."""
    width, height = (380, 360) if square else (WIDTH, HEIGHT)
    low, high = y_range or limits([np.array(extent(line, log_y, clip)) for line in lines if len(line.y)], log=log_y)
    left, right = x_range or limits([line.x for line in lines], pad=0.0)
    left = 0.0 if whole else left
    right = right if right > left else left + 1
    x, y = Axis(left, right, LEFT, width - RIGHT), Axis(low, high, height - BOTTOM, TOP, log_y)
    frame = Frame(x, y, width, height, labels, whole)
    key = f"clip{crc32(repr((labels, left, right, low, high)).encode())}"
    size = f'width="{x.end - x.start + 6}" height="{y.start - y.end + 6}"'
    window = Html(f'<clipPath id="{key}"><rect x="{LEFT - 3}" y="{TOP - 3}" {size}/></clipPath>')
    signs = join(upright(frame, at, word) for at, word in marks)
    curves = Html(f'<g clip-path="url(#{key})">{join(drawn(frame, line) for line in lines)}</g>')
    shape = "chart square" if square else "chart"
    told = hover(frame, lines, pins)
    drawing = svg(width, height, window, axes(frame), signs, curves, pinned(frame, pins), hover=told, class_=shape)
    return join([legend_of(lines), drawing]) if legend else drawing


def extent(line: Line, log: bool, clip: float) -> tuple[float, float]:
    """The range of a curve: all of the line, its band but for a share of extremes."""
    if line.low is None or line.high is None:
        return limits([line.y], log=log, pad=0.0)
    inner = limits([line.low, line.high], log=log, pad=0.0, clip=clip)
    middle = limits([line.y], log=log, pad=0.0, clip=clip)
    return min(inner[0], middle[0]), max(inner[1], middle[1])


def upright(frame: Frame, at: float, word: str) -> Html:
    """An upright line with a word at its top, on the side that has room."""
    x = float(frame.x.place(at))
    late = x > (frame.x.start + frame.x.end) / 2
    line = f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.y.start}" y2="{frame.y.end}"/>'
    anchor = "end" if late else "start"
    beside = f"{x + (-4 if late else 4):.1f}"
    said = tag("text", word, class_="marked", x=beside, y=frame.y.end + 9, text_anchor=anchor)
    return join([Html(line), said])


def pinned(frame: Frame, pins: Sequence[Pin]) -> Html:
    """Numbered marks above the x axis; those that would hide each other stand one above the other."""
    pieces, ends = [], [-math.inf]
    for pin in sorted(pins, key=lambda one: one.x):
        x = float(np.clip(frame.x.place(pin.x), frame.x.start, frame.x.end))
        row = next((row for row, end in enumerate(ends) if x > end), len(ends))
        ends[row : row + 1] = [x + 2 * RADIUS + 1]
        y = frame.y.start - RADIUS - 2 - row * (2 * RADIUS + 1)
        line = Html(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{frame.y.start}" y2="{frame.y.end}"/>')
        disc = Html(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}"/>')
        word = tag("text", pin.label, x=f"{x:.1f}", y=f"{y:.1f}", dy=".34em", text_anchor="middle")
        pieces.append(tag("g", tag("title", pin.text), line, disc, word, class_=f"pin {pin.severity}"))
    return join(pieces)


def svg(width: float, height: float, *inner: Any, hover: str | None = None, class_: str = "chart") -> Html:
    """The outermost element."""
    return tag("svg", *inner, class_=class_, viewBox=f"0 0 {width} {height}", role="img", data_hover=hover)


def legend_of(lines: Sequence[Line]) -> Html:
    """Names beside their colours."""
    named = [line for line in lines if line.name]
    keys = [tag("span", tag("i", class_=f"key c{line.colour} {line.kind}"), line.name) for line in named]
    return tag("div", *keys, class_="legend")


def hover(frame: Frame, lines: Sequence[Line], pins: Sequence[Pin] = ()) -> str:
    """The numbers that the page's script shows below the pointer."""
    shown = []
    for line in lines:
        x, y = thinned(line.x, line.y)
        whole = np.isfinite(x) & np.isfinite(y)
        values = [[float(f"{v:.6g}") for v in column[whole]] for column in (x, y)]
        if line.name:
            shown.append({"name": line.name, "colour": line.colour, "x": values[0], "y": values[1]})
    span = {"low": frame.x.low, "high": frame.x.high, "start": frame.x.start, "end": frame.x.end}
    word = {"label": frame.labels[0], "top": frame.y.end, "bottom": frame.y.start, "series": shown}
    if pins:
        word |= {"pins": [[pin.x, pin.label, pin.severity, pin.text] for pin in pins]}
    return json.dumps(span | word, separators=(",", ":"))


def histogram(values: Array, *, label: str, bins: int = 40, colour: int = 1) -> Html:
    """Counts of values in equal bins; the outermost 0.5 % on either side fall into the end bins."""
    finite = values[np.isfinite(values)]
    low, high = limits([finite], pad=0.0, clip=0.005)
    counts, edges = np.histogram(np.clip(finite, low, high), bins=bins, range=(low, high if high > low else low + 1))
    x = Axis(edges[0], edges[-1], LEFT, WIDTH - RIGHT)
    y = Axis(0, float(max(counts.max(), 1)) * 1.05, HEIGHT - BOTTOM, TOP)
    frame = Frame(x, y, labels=(label, "rows"))
    bars = join(
        bar(
            float(x.place(edges[i])) + 0.5,
            float(y.place(counts[i])),
            float(x.place(edges[i + 1])) - 0.5,
            y.start,
            colour,
        )
        for i in range(bins)
        if counts[i]
    )
    centre = Line("rows", (edges[:-1] + edges[1:]) / 2, counts.astype(float), colour)
    return svg(WIDTH, HEIGHT, axes(frame), bars, hover=hover(frame, [centre]))


def bar(left: float, top: float, right: float, bottom: float, colour: int) -> Html:
    """An upright bar."""
    size = f'width="{right - left:.1f}" height="{max(bottom - top, 0):.1f}"'
    return Html(f'<rect class="bar c{colour}" x="{left:.1f}" y="{top:.1f}" {size}/>')
