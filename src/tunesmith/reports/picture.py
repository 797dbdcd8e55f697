"""A drawing as a file of its own: SVG without any other package, PNG with matplotlib."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.records import MissingExtra, RecipeError
from tunesmith.reports.markup import Html, text
from tunesmith.reports.svg import HEIGHT, WIDTH, Line, chart, thinned

ENDINGS = (".svg", ".png")
COLOURS = ("#2f62c9", "#d9702b", "#23906a", "#8450bd")  # those of the page, in light
STYLE = """\
text{fill:#66707d;font:11.5px system-ui,sans-serif}.title{fill:#1b222c;font-size:14px;font-weight:600}
.grid{stroke:#dfe3e8}.axis{stroke:#66707d}.line{fill:none;stroke:currentColor;stroke-width:1.9;stroke-linejoin:round}
.dashed{stroke-dasharray:5 4}.mark{stroke:#23906a;stroke-dasharray:3 3}.marked{fill:#23906a;font-weight:600}
.bar{fill:currentColor;opacity:.7}
"""
STYLE += "".join(f".c{n}{{color:{colour}}}" for n, colour in enumerate(COLOURS, start=1))
TITLE = 26  # pixels above a panel that has a title


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves over one pair of axes."""

    title: str
    lines: Sequence[Line]
    labels: tuple[str, str]
    marks: Sequence[tuple[float, str]] = ()
    x_range: tuple[float, float] | None = None
    whole: bool = False  # x counts things

    @property
    def y_range(self) -> tuple[float, float] | None:
        """From nothing upwards for what is never negative, so that a height means what it seems to."""
        low, high = (found([found(line.y) for line in self.lines]) for found in (np.min, np.max))
        return (0.0, float(high) * 1.04) if 0 <= low < 0.5 * high else None


def ending(path: Path) -> str:
    """The kind of file a name asks for. Raises `RecipeError` for one that cannot be drawn."""
    if path.suffix.lower() not in ENDINGS:
        raise RecipeError(f"{path}: a picture is written as .svg or .png; give a name that ends in one of them")
    return path.suffix.lower()


def write(path: Path, panels: Sequence[Panel]) -> None:
    """Panels below each other, as the ending of `path` says."""
    drawn = svg_file(panels).encode() if ending(path) == ".svg" else png_file(panels)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(drawn)


def svg_file(panels: Sequence[Panel]) -> str:
    """One SVG of panels below each other."""
    return stacked([(panel.title, panel_svg(panel)) for panel in panels])


def panel_svg(panel: Panel) -> Html:
    return chart(
        panel.lines,
        labels=panel.labels,
        marks=panel.marks,
        whole=panel.whole,
        x_range=panel.x_range,
        y_range=panel.y_range,
        legend=False,
    )


def stacked(drawings: Sequence[tuple[str, str]], size: tuple[int, int] = (WIDTH, HEIGHT)) -> str:
    """Drawings with their titles below each other, each `size` large."""
    width, height = size
    pieces, top = [], 0
    for title, drawing in drawings:
        head = TITLE if title else 0
        pieces += [f'<text class="title" x="12" y="{top + 18}">{text(title)}</text>'] if title else []
        pieces.append(
            re.sub(r"<svg [^>]*>", f'<svg y="{top + head}" width="{width}" height="{height}">', bare(drawing), count=1)
        )
        top += height + head
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}"'
    paper = f'<rect width="{width}" height="{top}" fill="#fff"/>'
    return f"<svg {box}><style>{STYLE}</style>{paper}{''.join(pieces)}</svg>\n"


def bare(drawing: str) -> str:
    """Without the numbers that only the page's script reads."""
    return re.sub(r' data-hover="[^"]*"', "", drawing)


def png_file(panels: Sequence[Panel]) -> bytes:
    """The same as a PNG. Raises `MissingExtra` where matplotlib is absent."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(
            "a PNG needs matplotlib; pip install 'tunesmith[plots]', or give a name that ends in .svg"
        ) from error
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100 * len(panels)), layout="constrained")
    for n, panel in enumerate(panels):
        draw_axes(figure.add_subplot(len(panels), 1, n + 1), panel)
    held = BytesIO()
    FigureCanvasAgg(figure).print_figure(held, format="png", dpi=150)
    return held.getvalue()


def draw_axes(axes: Any, panel: Panel) -> None:
    """One panel on a pair of matplotlib's axes."""
    for line in panel.lines:
        axes.plot(line.x, line.y, color=COLOURS[(line.colour - 1) % len(COLOURS)])
    for at, word in panel.marks:
        axes.axvline(at, color=COLOURS[2], linestyle=":")
        axes.annotate(
            word, (at, 1), xycoords=("data", "axes fraction"), xytext=(3, -9), textcoords="offset points", fontsize=8
        )
    axes.set(xlabel=panel.labels[0], ylabel=panel.labels[1], title=panel.title, xlim=panel.x_range)
    axes.set_ylim(*(panel.y_range or (None, None)))
    axes.grid(alpha=0.3)


SMALL = (240, 72)  # pixels of a picture in a table
MOST_SMALL = 100  # points of its curve: about one every other pixel


def thumbnail(x: np.ndarray, y: np.ndarray) -> str:
    """A curve without words, with a line where y is 0; tenths of pixels, so that every machine draws the same."""
    width, height = SMALL
    x, y = thinned(x, y, MOST_SMALL)
    low, high = min(float(y.min()), 0.0), float(y.max())
    across = (x - x[0]) / ((x[-1] - x[0]) or 1.0) * (width - 4) + 2
    up = height - 4 - (y - low) / ((high - low) or 1.0) * (height - 8)
    line = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, up, strict=True))
    zero = round(height - 4 + low / ((high - low) or 1.0) * (height - 8))
    curve = f'<path d="M{line}" fill="none" stroke="{COLOURS[0]}" stroke-width="2"/>'
    return small(f'<path d="M2 {zero}H{width - 2}" stroke="#98a1ad"/>{curve}')


def small_bars(heights: np.ndarray) -> str:
    """Bars beside each other."""
    width, height = SMALL
    step, top = width // len(heights), float(heights.max()) or 1.0
    bars = "".join(
        f"M{2 + n * step} {height - 2}v{-round(float(one) / top * (height - 6))}h{step - 1}V{height - 2}z"
        for n, one in enumerate(heights)
    )
    return small(f'<path d="{bars}" fill="{COLOURS[0]}"/>')


def small_grid(shares: np.ndarray) -> str:
    """Squares, filled as far as the shares say; the first is framed."""
    side = 22
    squares = "".join(
        f'<rect x="{2 + c * side}" y="{2 + n * side}" width="{side - 3}" height="{side - 3}" stroke="#98a1ad" '
        f'fill="{COLOURS[0] if one else "none"}" fill-opacity="{0.4 if 0 < one < 1 else 0.9}"/>'
        for n, row in enumerate(shares)
        for c, one in enumerate(row)
    )
    frame = (
        f'<rect x="2" y="2" width="{side - 3}" height="{side - 3}" fill="none" stroke="{COLOURS[1]}" stroke-width="3"/>'
    )
    return small(squares + frame)


def small(inner: str) -> str:
    width, height = SMALL
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f"<svg {box}>{inner}</svg>\n"
