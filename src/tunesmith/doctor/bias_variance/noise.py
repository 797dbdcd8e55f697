"""Noise: what no model can know, measured from rows with equal inputs (replicates) where there are enough of them.

Each group of M equal rows gives an unbiased variance of its targets (for labels half the share of pairs that disagree); their mean, weighted
by rows, is the noise of the rows that come more than once, and is taken for that of all. Copies of a row (a file joined twice) look like
replicates without noise: where the targets of no group differ, nothing is claimed. The classical name is pure error (Draper & Smith, Applied
Regression Analysis, section 2.1).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.bias_variance.numbers import Spread, over_rows

FREEDOM = (
    10  # extra rows beyond the first of each group; assumption: with fewer the noise is not known to a factor of 2
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The noise, from how many rows in how many groups, and in how many of those the targets are all equal."""

    value: float
    spread: Spread
    rows: int
    groups: int
    equal: int


def noise_in(target: Array, units: Array, of: Callable[[Array], float]) -> Noise | None:
    """Noise of targets (N, …) whose rows of one unit (N,) have equal inputs; `of` gives that of one group. None where it cannot be told.

    >>> from tunesmith.doctor.bias_variance.squared import squared_noise
    >>> noise_in(np.tile([0.0, 2.0], 20), np.repeat(np.arange(20), 2), squared_noise).value
    2.0
    """
    order = np.argsort(units, kind="stable")
    sizes = np.bincount(units)
    ends = np.cumsum(sizes)
    groups = [target[order[end - size : end]] for size, end in zip(sizes, ends, strict=True) if size > 1]
    if sum(len(group) - 1 for group in groups) < FREEDOM:
        return None
    differ = [bool((group != group[0]).any()) for group in groups]
    if not any(differ):
        return None
    lengths = np.array([len(group) for group in groups])
    each = np.repeat([of(group) for group in groups], lengths)
    spread = over_rows(each, np.repeat(np.arange(len(groups)), lengths))
    return Noise(
        value=float(each.mean()), spread=spread, rows=len(each), groups=len(groups), equal=len(groups) - sum(differ)
    )


def unclaimed(target: Array, units: Array) -> str:
    """Why `noise_in` gave None: the id of a message."""
    few = len(units) - len(np.unique(units)) < FREEDOM
    return "error_parts.few_replicates" if few else "error_parts.copies"
