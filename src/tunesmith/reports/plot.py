"""Curves as text: braille dots where the terminal has them, plain letters else. Nothing here knows what it draws."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO, TypeAlias

import numpy as np

from tunesmith.reports.svg import limits, ticks
from tunesmith.reports.wording import number

Array: TypeAlias = np.ndarray[Any, Any]
ACROSS, UP = 2, 4  # dots of a braille letter
DOTS = np.array([[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]])  # [column, row from below]; Unicode, block U+2800
BRAILLE = 0x2800
BARS, PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-=+*%#"
COLOUR = "36"  # cyan: readable on light and on dark
LEAST_WIDTH = 30  # of a drawing with its labels


@dataclass(frozen=True, slots=True)
class Look:
    """What the place where text is shown can do."""

    width: int = 80
    plain: bool = False  # letters of ASCII alone
    colours: bool = False


def look_of(stream: TextIO, width: int, environment: dict[str, str]) -> Look:
    """Colours on a terminal alone, unless NO_COLOR is set; plain letters where the encoding has no braille."""
    try:
        "⣿┤▁".encode(stream.encoding or "ascii")
        plain = environment.get("TERM") == "linux" and stream.isatty()  # the console of the kernel has no such letters
    except (UnicodeEncodeError, LookupError):
        plain = True
    wanted = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return Look(width, plain, stream.isatty() and wanted)


@dataclass(slots=True)
class Canvas:
    """Letters in rows. A letter holds 2 × 4 points, a plain one a single point."""

    columns: int
    rows: int
    look: Look
    letters: list[list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.letters = [[" "] * self.columns for _ in range(self.rows)]

    @property
    def across(self) -> int:
        """Points from left to right."""
        return self.columns * (1 if self.look.plain else ACROSS)

    @property
    def up(self) -> int:
        """Points from the bottom to the top."""
        return self.rows * (1 if self.look.plain else UP)

    def draw(self, spans: Sequence[tuple[int, int] | None]) -> None:
        """A curve: of each column of points the lowest and highest, None where there is nothing."""
        masks = np.zeros((self.rows, self.columns), int)
        for at, span in enumerate(spans):
            for point in range(max(span[0], 0), min(span[1] + 1, self.up)) if span else ():
                if self.look.plain:
                    masks[self.rows - 1 - point, at] = 1
                else:
                    masks[self.rows - 1 - point // UP, at // ACROSS] |= DOTS[at % ACROSS, point % UP]
        for row, column in zip(*np.nonzero(masks), strict=True):
            sign = "*" if self.look.plain else chr(BRAILLE + masks[row, column])
            self.letters[row][column] = painted(sign, self.look)

    def upright(self, column: int) -> None:
        """A line behind what is drawn."""
        for row in self.letters:
            if row[column] == " ":
                row[column] = ":" if self.look.plain else "┊"


def painted(text: str, look: Look) -> str:
    """Text in the colour of a curve."""
    return f"\x1b[{COLOUR}m{text}\x1b[0m" if look.colours else text


def spans(x: Array, y: Array, low: float, high: float, left: float, right: float, canvas: Canvas) -> list[Any]:
    """Of each column of points the lowest and the highest that a curve passes, in points."""
    edges = np.linspace(left, right, canvas.across + 1)
    at_edges = np.interp(edges, x, y, left=np.nan, right=np.nan)  # beside a value that is none, none
    starts = np.searchsorted(x, edges)
    found: list[Any] = []
    for i in range(canvas.across):
        passed = np.concatenate([at_edges[i : i + 2], y[starts[i] : starts[i + 1]]])
        passed = passed[np.isfinite(passed)]
        place = (passed - low) / (high - low) * (canvas.up - 1)
        found.append((round(float(place.min())), round(float(place.max()))) if len(place) else None)
    return found


def curve(
    x: Array,
    y: Array,
    *,
    labels: tuple[str, str],
    look: Look,
    height: int = 12,
    marks: Sequence[tuple[float, str]] = (),
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    whole: bool = False,
) -> str:
    """A curve with its axes, `look.width` wide and `height` rows high between the label of y and the axis of x.

    `marks` are upright lines with a word each; a word that has no room is left out. `whole`: x counts things.
    """
    low, high = y_range or limits([y], pad=0.0)
    high = high if high > low else low + 1.0
    left, right = x_range or (float(x[0]), float(x[-1]))
    right = right if right > left else left + 1
    shown = [value for value in ticks(low, high, max(height // 2, 3)) if low <= value <= high]
    margin = max((len(number(value)) for value in shown), default=0)
    width = max(look.width, LEAST_WIDTH) - margin - 3
    canvas = Canvas(width, height, look)
    canvas.draw(spans(np.asarray(x, float), np.asarray(y, float), low, high, left, right, canvas))
    places = [(round((at - left) / (right - left) * (width - 1)), word) for at, word in marks if left <= at <= right]
    for column, _ in places:
        canvas.upright(column)
    side = {round((high - value) / (high - low) * (height - 1)): number(value) for value in shown}
    tick, line = ("+", "|") if look.plain else ("┤", "│")
    rows = [
        f"{side.get(row, ''):>{margin}} {tick if row in side else line}{''.join(letters)}".rstrip()
        for row, letters in enumerate(canvas.letters)
    ]
    top = [f"{'':>{margin}}  {words(places, width)}".rstrip()] if any(word for _, word in places) else []
    return "\n".join([labels[1], *top, *rows, *x_axis(left, right, width, margin, labels[0], look, whole)])


def words(places: Sequence[tuple[int, str]], width: int) -> str:
    """Words in one row, each at its column or ending there; one that would touch another is left out."""
    row = [" "] * width
    for column, word in places:
        start = column if column + len(word) <= width else column - len(word) + 1
        if word and start >= 0 and all(letter == " " for letter in row[max(start - 1, 0) : start + len(word) + 1]):
            row[start : start + len(word)] = word
    return "".join(row)


def x_axis(
    left: float, right: float, width: int, margin: int, label: str, look: Look, whole: bool = False
) -> list[str]:
    """The line below, its numbers, and what they count."""
    values = [value for value in ticks(left, right, max(width // 12, 2)) if not whole or value == int(value)]
    line, cross, corner = ("-", "+", "+") if look.plain else ("─", "┬", "└")
    axis, row = [line] * width, [" "] * (width + 1)
    for value in values:
        column = round((value - left) / (right - left) * (width - 1))
        text = f"{int(value):,}" if whole else number(value)
        start = min(max(column - len(text) // 2, 0), width + 1 - len(text))
        axis[column] = cross
        if all(letter == " " for letter in row[max(start - 1, 0) : start + len(text) + 1]):
            row[start : start + len(text)] = text
    below = "".join(row).rstrip()
    named = f"{below} {label}" if len(below) + 1 + len(label) <= width + 1 else below
    rest = [] if named is not below or not label else [f"{'':>{margin}}  {label:>{width}}"]
    return [f"{'':>{margin}} {corner}{''.join(axis)}", f"{'':>{margin}}  {named}", *rest]


def sparkline(values: Array, width: int = 24, *, plain: bool = False) -> str:
    """A curve in one line, from nothing or its lowest value to its highest.

    >>> sparkline(np.linspace(0, 1, 8), 8), sparkline(np.linspace(0, 1, 8), 8, plain=True)
    ('▁▂▃▄▅▆▇█', '_.-=+*%#')
    """
    bars = PLAIN_BARS if plain else BARS
    picked = values[np.round(np.linspace(0, len(values) - 1, width)).astype(int)]
    low, high = min(float(picked.min()), 0.0), float(picked.max())
    scale = high - low or 1.0
    return "".join(bars[min(int((value - low) / scale * len(bars)), len(bars) - 1)] for value in picked)


def upright(values: Array, *, look: Look, label: str = "", height: int = 5) -> list[str]:
    """Bars beside each other, one letter wide, as for a histogram."""
    bars = "#" * 8 if look.plain else BARS
    top = float(values.max()) or 1.0
    eighths = np.round(values / top * height * 8).astype(int)
    rows = []
    for row in range(height - 1, -1, -1):
        letters = (int(min(max(value - 8 * row, 0), 8)) for value in eighths)
        rows.append("".join(" " if not filled else bars[filled - 1] for filled in letters).rstrip())
    return rows


def standard_look(width: int = 80) -> Look:
    """What standard output can show, without colours."""
    import os

    found = look_of(sys.stdout, width, dict(os.environ))
    return Look(width, found.plain)
