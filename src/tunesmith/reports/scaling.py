"""A ladder of trainings, shown: a table by size, and a picture of the law through their losses.

What is shown is plain, as `Scaling.as_dict` gives it.
"""

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any, TypeAlias

import numpy as np

from tunesmith.reports.picture import stacked
from tunesmith.reports.svg import Line, chart

Told: TypeAlias = Mapping[str, Any]


def table(told: Told, width: int = 80) -> str:
    """A row a training: width, parameters, rows, rate, seed, the smallest validation loss and its epoch; and what follows from them.

    >>> one = {"width": 8, "parameters": 90, "rows": 50, "rate": 0.001, "seed": 0, "loss": 0.5, "epoch": 3, "epochs": 4}
    >>> print(table({"rungs": [one], "lines": ["no law: one size"]}))
     width  parameters  rows   rate  seed    loss  epoch
         8          90    50  0.001     0  0.5000    3/4
    <BLANKLINE>
    no law: one size
    """
    columns = [
        ["width", *(str(one["width"]) for one in told["rungs"])],
        ["parameters", *(f"{one['parameters']:,}" for one in told["rungs"])],
        ["rows", *(f"{one['rows']:,}" for one in told["rungs"])],
        ["rate", *(f"{one['rate']:.3g}" for one in told["rungs"])],
        ["seed", *(str(one["seed"]) for one in told["rungs"])],
        ["loss", *("broke" if one["loss"] is None else f"{one['loss']:.4f}" for one in told["rungs"])],
        ["epoch", *(f"{one['epoch']}/{one['epochs']}" for one in told["rungs"])],
    ]
    widths = [max(map(len, column)) + (1 if place == 0 else 0) for place, column in enumerate(columns)]
    rows = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in zip(*columns, strict=True)
    ]
    said = [
        part for line in told["lines"] for part in wrap(line, width, subsequent_indent="  ", break_on_hyphens=False)
    ]
    return "\n".join([*rows, "", *said])


def picture(told: Told) -> str:
    """One SVG: losses by size with the law in its band; and, where several rates were tried, losses by rate for each width."""
    panels = [("validation loss by size", _by_size(told))]
    if len({one["factor"] for one in told["rungs"]}) > 1:
        panels.append(("validation loss by rate, a line a width", _by_rate(told)))
    return stacked(panels)


def _by_size(told: Told) -> str:
    name = "rows" if told["measure"] == "rows" else "parameters"
    found = [one for one in told["rungs"] if one["loss"] is not None]
    lines = [
        Line("trainings", np.log10([one[name] for one in found]), np.array([one["loss"] for one in found]), 1, "points")
    ]
    if told["curve"]:
        size, mean, low, high = np.array(told["curve"]).T
        lines.append(Line("law", np.log10(size), mean, 2, "line", low, high))
    if told["expected"] is not None and told["curve"]:
        lines.append(Line("to reach", np.log10(told["reach"]), np.array(told["expected"][:1]), 3, "points"))
    return str(chart(lines, labels=(f"log10 of {name}", "validation loss"), clip=0.0))


def _by_rate(told: Told) -> str:
    return str(chart(list(_rates(told)), labels=("log2 of the factor on the rate", "validation loss")))


def _rates(told: Told) -> Iterator[Line]:
    most = max(one["share"] for one in told["rungs"])
    for place, width in enumerate(dict.fromkeys(one["width"] for one in told["rungs"])):
        here = [
            one for one in told["rungs"] if one["width"] == width and one["share"] == most and one["loss"] is not None
        ]
        factors = sorted({one["factor"] for one in here})
        means = [np.mean([one["loss"] for one in here if one["factor"] == factor]) for factor in factors]
        if factors:
            yield Line(str(width), np.log2(factors), np.array(means), place % 8 + 1)
