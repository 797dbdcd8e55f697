"""Generations trained on each other's output, shown: a table, and a picture with the closed form drawn over the simulation.

What is shown is plain, as `Recursion.as_dict` gives it; measures that two regimes share stand in one panel.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from scipy import stats

from tunesmith.reports.markup import Html, join, text
from tunesmith.reports.picture import COLOURS, stacked
from tunesmith.reports.svg import RIGHT, WIDTH, Line, chart, limits
from tunesmith.reports.wording import counted

Array: TypeAlias = np.ndarray[Any, Any]
Told: TypeAlias = Mapping[str, Any]
MOST_ROWS = 12  # generations in the table; the first and the last among them
SURE = 0.95  # of a band, by Student's law
STYLE = ".band{fill:currentColor;opacity:.16}.points{fill:currentColor}.key{fill:currentColor}"
FAINT = 6.0  # pixels between a line of the key and its edge
ROOM = 0.08  # of the range of values, for a line of the key


def table(told: Told) -> str:
    """A line on what was asked and a row for each generation: means with their standard errors, closed forms beside them.

    >>> one = {"mean": [-0.1, -0.2], "standard_error": [0.01, 0.02], "expected": [-0.11, -0.21], "apart": 1.0}
    >>> asked = {"model": "gaussian", "regime": "replace", "generations": 2, "n": 10, "share": None, "replicates": 9, "seed": 0}
    >>> print(table(asked | {"measures": {"log_variance": one}}))
    gaussian, replace: 2 generations of 10, 9 replicates, seed 0
     gen  log_variance  theory
       1     -0.1±0.01   -0.11
       2     -0.2±0.02   -0.21
    log_variance: within 1 standard errors of theory
    """
    columns = [["gen", *(str(place + 1) for place in places(told))], *_columns(told)]
    widths = [max(map(len, column)) + (1 if n == 0 else 0) for n, column in enumerate(columns)]
    rows = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in zip(*columns, strict=True)
    ]
    share = f" ({told['share']:.0%} real)" if told["share"] is not None else ""
    head = (
        f"{told['model']}, {told['regime']}{share}: {counted(told['generations'], 'generation')} of {told['n']}, "
        f"{counted(told['replicates'], 'replicate')}, seed {told['seed']}"
    )
    apart = [
        f"{name}: within {one['apart']:.2g} standard errors of theory"
        for name, one in told["measures"].items()
        if one["apart"] is not None
    ]
    return "\n".join([head, *rows, *apart])


def _columns(told: Told) -> Iterator[list[str]]:
    for name, one in told["measures"].items():
        shown = [_number(one["mean"][place], one["standard_error"][place]) for place in places(told)]
        yield [name, *shown]
        if one["expected"] is not None:
            yield ["theory", *(_number(one["expected"][place], None) for place in places(told))]


def _number(value: float, error: float | None) -> str:
    if not np.isfinite(value):
        return "–" if np.isnan(value) else f"{value}"
    return f"{value:.4g}" if error is None or not np.isfinite(error) else f"{value:.3g}±{error:.1g}"


def places(told: Told) -> list[int]:
    """The generations that the table shows."""
    last = told["generations"] - 1
    return sorted({round(float(place)) for place in np.linspace(0, last, min(MOST_ROWS, last + 1))})


def picture(every: Sequence[Told]) -> str:
    """One SVG, a panel for each measure: simulated means in a band of 95 %, closed forms dashed over them."""
    names = dict.fromkeys(name for told in every for name in told["measures"])
    drawn = stacked([(_title(name, every), _panel(name, every)) for name in names])
    return drawn.replace("</style>", f"{STYLE}</style>", 1)


def _title(name: str, every: Sequence[Told]) -> str:
    model = " and ".join(dict.fromkeys(told["model"] for told in every if name in told["measures"]))
    return f"{model}: {name.replace('_', ' ')}"


def _panel(name: str, every: Sequence[Told]) -> Html:
    with_it = [told for told in every if name in told["measures"]]
    lines = [line for place, told in enumerate(with_it) for line in _lines(name, told, place % len(COLOURS) + 1)]
    held = [edge for line in lines for edge in (line.low, line.high, line.y) if edge is not None]
    low, high = limits(held)
    shown = chart(
        lines,
        labels=("generation", name.replace("_", " ")),
        whole=True,
        y_range=(low, high + ROOM * len(with_it) * (high - low)),
        legend=False,
    )
    key = join(_key(told, place, name) for place, told in enumerate(with_it))
    return Html(str(shown).replace("</svg>", f"{key}</svg>"))


def _lines(name: str, told: Told, colour: int) -> Iterator[Line]:
    one = told["measures"][name]
    x, mean = np.arange(1, told["generations"] + 1, dtype=float), np.array(one["mean"], float)
    times = float(stats.t.ppf((1 + SURE) / 2, told["replicates"] - 1)) if told["replicates"] > 1 else 0.0
    error = times * np.nan_to_num(np.array(one["standard_error"], float))
    yield Line("", x, mean, colour, "line", mean - error, mean + error)
    if one["expected"] is not None:
        expected = np.array(one["expected"], float)
        there = np.isfinite(expected)
        yield Line("", x[there], expected[there], colour, "dashed" if there.sum() > 1 else "points")


def _key(told: Told, place: int, name: str) -> Html:
    """The regime in its colour, at the right edge."""
    share = f" ({told['share']:.0%} real)" if told["share"] is not None else ""
    dashed = ", dashed: closed form" if told["measures"][name]["expected"] is not None else ""
    said = text(f"{told.get('name', told['regime'])}{share}{dashed}")
    at = f'x="{WIDTH - RIGHT - FAINT}" y="{24 + 15 * place}" text-anchor="end"'
    return Html(f'<text class="c{place % len(COLOURS) + 1}" style="fill:currentColor" {at}>{said}</text>')
