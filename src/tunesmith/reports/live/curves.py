"""Curves as a chart wants them: lowest, mean and highest of each stretch, from the levels that the log keeps; no curve is read whole.

A window is asked for anew at its own width, so that zooming in ends at the points as they were written.
"""

from typing import Any

import numpy as np

from tunesmith.records import UnknownName
from tunesmith.runs import Run
from tunesmith.runs.levels import Curve, Floats, Whole, joined, of_points, thinned

POINTS = 1000  # stretches of a curve, about one a pixel
MOST = 4000
FRESH = 200  # stretches of what one look found new


def curve_of(
    run: Run, name: str, where: str, points: int = POINTS, first: int | None = None, last: int | None = None
) -> dict[str, Any]:
    """A curve as plain data; one without points where the run has none of that name yet."""
    try:
        curve = run.signals.curve(name, where, min(max(points, 1), MOST), first, last)
    except UnknownName:
        curve = thinned(joined([]), 1)
    return told(name, where, curve)


def fresh_of(name: str, where: str, steps: Whole, values: Floats) -> dict[str, Any]:
    """Points that have just been written, as plain data."""
    return told(name, where, thinned(of_points(steps, values), FRESH))


def told(name: str, where: str, curve: Curve) -> dict[str, Any]:
    """`exact`: the values are those that were written, and `low` and `high`, which are the same, are left out."""
    exact = bool(((curve.low == curve.high) | np.isnan(curve.mean)).all())
    plain: dict[str, Any] = {"name": name, "where": where, "exact": exact, "steps": curve.steps.tolist()}
    plain["mean"] = numbers(curve.mean)
    return plain if exact else plain | {"low": numbers(curve.low), "high": numbers(curve.high)}


def numbers(values: Floats) -> list[float | None]:
    """As JSON knows them: None where there is no finite number."""
    return [value if value - value == 0 else None for value in values.tolist()]
