"""Columns of numbers wherever they lie, in a table or in the columns of an array, with their moments.

An array of more than two axes has no columns of its own and is left out here. Arrays are read in pieces, so that no copy of
one is ever made.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import thinned

PIECE = 1 << 21  # numbers looked at at once: 16 MB of float64
HUGE = 1e150  # squares of larger numbers overflow
LOOK = 4096  # rows that quantiles are taken from; assumption: the 1 % quantile has 40 rows beyond it


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """The columns of one array of a part; each field has one entry a column."""

    key: str  # of the table of the view
    values: Array  # (N, M), a view of the data
    names: tuple[str, ...]
    finite: Array  # how many values are
    gaps: Array  # NaN
    infinite: Array
    mean: Array  # of the finite values, NaN where there is none
    std: Array
    low: Array
    high: Array

    @property
    def changing(self) -> Array:
        """Which columns hold more than one finite value."""
        return (self.finite > 1) & (self.high > self.low)


def number_columns(material: Material, view: View) -> list[Numbers]:
    """The number columns of a part that are features. Made once a part."""
    return material.kept(f"number columns {view.part} {len(view)}", lambda: list(_found(material, view)))


def _found(material: Material, view: View) -> Iterator[Numbers]:
    plain = set(material.numeric()) - set(material.roles.values())
    for key, values in view.table.items():
        if key in plain or (material.columns[key].kind == "array" and values.ndim <= 2 and values.dtype.kind in "fiub"):
            flat = values.reshape(len(values), -1)
            if flat.size:
                yield _measured(key, flat)


def _measured(key: str, flat: Array) -> Numbers:
    width = flat.shape[1]
    names = (key,) if width == 1 else tuple(f"{key}{place}" for place in range(width))
    finite, gaps, infinite = (np.zeros(width, np.int64) for _ in range(3))
    total, square = np.zeros(width), np.zeros(width)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    shift = None
    for piece in pieces(flat):
        some = piece.astype(np.float64)
        if flat.dtype.kind == "f":
            bad = ~np.isfinite(some)
            if bad.any():
                gaps += np.isnan(some).sum(0)
                infinite += np.isinf(some).sum(0)
                some[bad] = np.nan
        good = ~np.isnan(some)
        finite += good.sum(0)
        low, high = np.fmin(low, _or(np.fmin.reduce(some), np.inf)), np.fmax(high, _or(np.fmax.reduce(some), -np.inf))
        if shift is None:
            shift = _or(
                some[np.argmax(good, axis=0), np.arange(width)], 0.0
            )  # the first value, for exact small spreads
        with np.errstate(over="ignore", invalid="ignore"):
            some -= shift
            some[~good] = 0.0
            total += some.sum(0)
            square += np.einsum("ij,ij->j", some, some)
    count = np.maximum(finite, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = total / count
        std = np.sqrt(np.maximum(square / count - mean**2, 0))
    empty = finite == 0
    assert shift is not None
    for one, fill in ((mean, np.nan), (std, np.nan), (low, np.nan), (high, np.nan)):
        one[empty] = fill
    std[low == high] = 0.0
    return Numbers(key, flat, names, finite, gaps, infinite, mean + shift, std, low, high)


def _or(values: Array, instead: float) -> Array:
    return np.where(np.isnan(values), instead, values)


def pieces(values: Array) -> Iterator[Array]:
    """Consecutive rows of an array, a few MB at a time."""
    rows = max(1, PIECE // max(1, values[:1].size))
    for start in range(0, len(values), rows):
        yield values[start : start + rows]


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Where the bulk of each column lies, whatever a few of its values are."""

    middle: Array  # median
    width: Array  # of the 1 % to 99 % quantiles, over what it is for a normal distribution of deviation 1
    two: Array  # whether a column holds at most two different values


NORMAL = 4.6527  # distance of the 1 % and the 99 % quantile of the standard normal distribution


def spread(material: Material, numbers: Numbers) -> Spread:
    """Robust place and width of the columns of the training part, of at most `LOOK` rows."""

    def make() -> Spread:
        some = numbers.values[thinned(len(numbers.values), LOOK)].astype(np.float64)
        some[~np.isfinite(some)] = np.nan
        np.clip(some, -HUGE, HUGE, out=some)
        empty = np.isnan(some).all(0)
        some[:, empty] = 0.0
        low, middle, high = np.nanquantile(some, [0.01, 0.5, 0.99], axis=0)
        ends = (some == np.nanmin(some, axis=0)) | (some == np.nanmax(some, axis=0)) | np.isnan(some)
        return Spread(middle, (high - low) / NORMAL, ends.all(0))

    return material.kept(f"spread {numbers.key}", make)
