"""Columns that hold the target of other rows, in the order of time or of the file. No network."""

from collections.abc import Sequence

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.leakage_inputs import Goal, Input, matrix
from tunesmith.doctor.audits.material import Material

FARTHEST = 200  # rows; assumption: a week of hours
ALIKE = 0.999  # correlation of a column with a shifted target that is the same thing; assumption
STATES = 24  # values of a target below which a shift proves nothing by equality alone; assumption


def order_of(material: Material) -> Array:
    """Places of `material.whole` in the order of time: the column named for it, a single column of dates, else the file."""
    view = material.whole
    if view.time is not None:
        return np.argsort(view.time, kind="stable")
    dates = [name for name, column in material.columns.items() if column.kind == "date" and name in view.table]
    if len(dates) == 1:
        return np.argsort(view.table[dates[0]], kind="stable")
    return np.arange(len(view))


def lags_of(material: Material, goal: Goal, inputs: Sequence[Input]) -> dict[str, int]:
    """By input: how many rows later the target stands that it holds; negative: earlier. Only inputs that hold one.

    The shift with the highest correlation is found by Fourier transform, and then looked at in the rows themselves.
    """
    order = order_of(material)
    y = goal.values[order]
    known = ~np.isnan(y)
    if known.sum() < 50 or len(np.unique(y[known])) < 2:
        return {}
    found = {}
    numbers = matrix(list(inputs), material.whole, order)
    for place, one in enumerate(inputs):
        lag = _shift(numbers[:, place], y)
        if lag:
            found[one.name] = lag
    return found


def _shift(v: Array, y: Array) -> int:
    """Rows between a column and the target it holds; 0 where it holds none of another row, or its own as well."""
    both = ~np.isnan(v) & ~np.isnan(y)
    if both.sum() < 50 or v[both].std() == 0:
        return 0
    count = len(y)
    far = min(FARTHEST, count // 4)
    size = 1 << int(np.ceil(np.log2(2 * count)))
    left, right = (np.fft.rfft(np.where(np.isnan(one), 0, one - np.nanmean(one)), size) for one in (v, y))
    product = np.fft.irfft(np.conj(left) * right, size)  # at k: Σ v[t] y[t+k]
    shifts = np.r_[-far : far + 1]
    likeness = np.abs(product[shifts % size])
    for shift in shifts[np.argsort(-likeness, kind="stable")[:3]]:
        if shift and _alike(v, y, int(shift)) > max(ALIKE, _alike(v, y, 0) + 1e-6):
            return int(shift)
    return 0


def _alike(v: Array, y: Array, shift: int) -> float:
    """|correlation| of v[t] with y[t + shift]; the worst 1 % of rows, where a series is cut, are left out."""
    a, b = (v[: len(v) - shift], y[shift:]) if shift >= 0 else (v[-shift:], y[:shift])
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    if len(a) < 50 or a.std() == 0 or b.std() == 0:
        return 0.0
    gap = np.abs(a - b) if abs(a.mean() - b.mean()) < 1e-6 + 0.05 * b.std() else np.zeros(len(a))
    kept = gap <= np.quantile(gap, 0.98)
    a, b = a[kept], b[kept]
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return abs(float(np.corrcoef(a, b)[0, 1]))
