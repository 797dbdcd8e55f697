"""Columns that hold the target of other rows, in the order of time or of the file. No network."""

from collections.abc import Sequence

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.leakage_inputs import Goal, Input, matrix
from tunesmith.doctor.audits.material import Material

FARTHEST = 200  # rows; assumption: a week of hours
ALIKE = 0.98  # correlation of a column with a shifted target that is the same thing; assumption
SHARPER = 0.2  # what it leaves, by what every other shift leaves; assumption
CHANGES = 30  # of the target along the rows that a shift is proved by; assumption


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

    Shifts with the highest correlation are found by Fourier transform, and then looked at in the rows themselves.
    """
    found: dict[str, int] = {}
    in_time, in_file = order_of(material), np.arange(len(material.whole))
    for order in (in_time,) if np.array_equal(in_time, in_file) else (in_time, in_file):
        y = goal.values[order]
        known = ~np.isnan(y)
        if known.sum() < 100 or (np.diff(y[known]) != 0).sum() < CHANGES:
            continue
        for one in inputs:
            lag = _shift(matrix([one], material.whole, order)[:, 0], y)
            if lag and one.name not in found:
                found[one.name] = lag
    return found


def _shift(v: Array, y: Array) -> int:
    """Rows between a column and the target it holds; 0 where it holds none, or where other shifts are nearly as like."""
    both = ~np.isnan(v) & ~np.isnan(y)
    if both.sum() < 100 or v[both].std() == 0:
        return 0
    count = len(y)
    far = min(FARTHEST, count // 4)
    size = 1 << int(np.ceil(np.log2(2 * count)))
    left, right = (np.fft.rfft(np.where(np.isnan(one), 0, one - np.nanmean(one)), size) for one in (v, y))
    product = np.fft.irfft(np.conj(left) * right, size)  # at k: Σ v[t] y[t+k]
    shifts = np.r_[-far : far + 1]
    best = shifts[np.argsort(-np.abs(product[shifts % size]), kind="stable")[:3]].tolist()
    likeness = {shift: _alike(v, y, shift) for shift in best}
    shift = max(best, key=lambda one: likeness[one])
    if shift == 0 or likeness[shift] < ALIKE:
        return 0
    rivals = {0, shift - 1, shift + 1, -shift, *best} - {shift}
    nearly = max(likeness.get(one, 0.0) or _alike(v, y, one) for one in rivals)
    return shift if 1 - likeness[shift] <= SHARPER * (1 - nearly) else 0


def _alike(v: Array, y: Array, shift: int) -> float:
    """|correlation| of v[t] with y[t + shift], without the 2 % of rows that are farthest from a line: ends of series."""
    a, b = (v[: len(v) - shift], y[shift:]) if shift >= 0 else (v[-shift:], y[:shift])
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    for _ in range(3):
        if len(a) < 50 or a.std() == 0 or b.std() == 0:
            return 0.0
        a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
        likeness = float((a * b).mean())
        gaps = np.abs(b - likeness * a)
        kept = gaps <= np.quantile(gaps, 0.993)
        a, b = a[kept], b[kept]
    return abs(likeness)
