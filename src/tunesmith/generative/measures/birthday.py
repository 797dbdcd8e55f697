"""How many different samples can a generator make? As many as birthdays say. Arora & Zhang, arXiv:1706.08224.

Legend: N samples, C pairs of them that are the same, p the chances of the different samples.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Tensor

from tunesmith.generative.distances import Cloud, clouds, neighbours, rounding, side, slices, within
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import points
from tunesmith.records import RecipeError

Array = np.ndarray[Any, Any]
LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Birthday:
    """What was counted, and the support that it speaks for.

    `support` estimates 1 / Σ p², the number of different samples were all equally likely; rare ones hardly count, so there may
    be many more. It is None where no pair is the same; `low` then still says how many there are at least. `high` is None
    where that is not bounded. The interval holds for few pairs: one sample that comes often makes many that are not apart.
    """

    rows: int
    tolerance: float
    pairs: int
    support: float | None
    low: float
    high: float | None


@MEASURES.add("birthday")
def birthday(samples: Any, *, tolerance: float) -> Birthday:
    """1 / Σ p² ≈ N (N - 1) / 2C, with C the pairs of samples no further apart than `tolerance`.

    Shape: `samples` (N, D) or (N, …), pictures or better their features. Some equal samples among N speak for a support of
    about N²: 23 birthdays are enough for 365 days. With N of the hundreds no support above some 10,000 can be told.

    `tolerance` decides everything. Take one from real data, `nearest_distances(real)`, at a quantile at which you would not
    call two of them the same; look at the `closest_pairs` with your own eyes, as the paper does. 0 counts exact copies.

    The interval (95 %) is that of a Poisson count of pairs.

    Raises `DataError` for rows that do not fit, `RecipeError` for a tolerance below 0.
    Use: does the generator make new samples, or a few thousand over and over?
    Source: Arora & Zhang, arXiv:1706.08224; interval: Garwood, Biometrika 28 (1936) 437.

    >>> found = birthday([[0.0], [0.0], [1.0], [2.0], [3.0]], tolerance=0.1)
    >>> found.pairs, found.support, round(found.low, 1)
    (1, 10.0, 1.8)
    """
    if not (tolerance >= 0 and np.isfinite(tolerance)):
        raise RecipeError(f"tolerance = {tolerance!r}: a distance of 0 or more was expected")
    given = points(samples, "samples").double()  # a tolerance far below the spread is lost in single precision
    pairs = _equal_pairs(given) if tolerance == 0 else _near_pairs(given, tolerance)
    rows = len(given)
    possible = rows * (rows - 1) / 2
    fewest = float(gammaincinv(pairs, (1 - LEVEL) / 2)) if pairs else 0.0
    most = float(gammaincinv(pairs + 1, (1 + LEVEL) / 2))
    return Birthday(
        rows=rows,
        tolerance=float(tolerance),
        pairs=pairs,
        support=possible / pairs if pairs else None,
        low=possible / most,
        high=possible / fewest if fewest else None,
    )


def closest_pairs(samples: Any, count: int = 20) -> tuple[Array, Array]:
    """The `count` pairs (count, 2) that are nearest to each other, and their distances (count,), nearest first: to be looked at.

    Raises `DataError` for rows that do not fit, `RecipeError` for a count below 1.

    >>> pairs, away = closest_pairs([[0.0], [5.0], [5.5]], count=1)
    >>> pairs.tolist(), away.tolist()
    ([[1, 2]], [0.5])
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise RecipeError(f"count = {count!r}: a whole number of pairs, 1 or more, was expected")
    (cloud,) = clouds(points(samples, "samples").double())
    best, places = torch.empty(0).to(cloud.norms), torch.empty(0, 2, dtype=torch.long, device=cloud.norms.device)
    for rows, columns, tile in within(cloud):
        if rows == columns:
            tile.masked_fill_(torch.ones_like(tile, dtype=torch.bool).tril_(), torch.inf)
        found = tile.flatten().topk(min(count, tile.numel()), largest=False)
        here = torch.stack(
            [found.indices // tile.shape[1] + rows.start, found.indices % tile.shape[1] + columns.start], 1
        )
        best, places = torch.cat([best, found.values]), torch.cat([places, here])
        kept = best.topk(min(count, len(best)), largest=False).indices
        best, places = best[kept], places[kept]
    places = places[best.isfinite()]
    away = (cloud.points[places[:, 0]] - cloud.points[places[:, 1]]).norm(dim=1)
    order = away.argsort(stable=True)
    return places[order].cpu().numpy(), away[order].cpu().numpy()


def nearest_distances(samples: Any) -> Array:
    """The distance of each sample to its nearest other, (N,). Raises `DataError` for rows that do not fit.

    >>> nearest_distances([[0.0], [1.0], [3.0]]).tolist()
    [1.0, 1.0, 2.0]
    """
    (cloud,) = clouds(points(samples, "samples").double())
    return neighbours(cloud, 1).sqrt().cpu().numpy()


def _near_pairs(given: Tensor, tolerance: float) -> int:
    (cloud,) = clouds(given)
    return sum(
        _near(cloud.part(rows), cloud.part(columns), tile, tolerance, above=rows == columns)
        for rows, columns, tile in within(cloud)
    )


def _near(one: Cloud, other: Cloud, tile: Tensor, tolerance: float, *, above: bool) -> int:
    """Pairs of a tile within the tolerance; those so near to it that rounding decides are taken by differences."""
    doubt = (one.norms[:, None] + other.norms).mul_(rounding(one.points))
    if above:
        tile.masked_fill_(torch.ones_like(tile, dtype=torch.bool).tril_(), torch.inf)
    away = tile - tolerance**2
    sure = int((away < -doubt).sum())
    unsure = torch.nonzero(away.abs() <= doubt)
    for rows in slices(len(unsure), max(1, side(tile) ** 2 // one.points.shape[1])):
        first, second = unsure[rows].T
        sure += int(((one.points[first] - other.points[second]).norm(dim=1) <= tolerance).sum())
    return sure


def _equal_pairs(given: Tensor) -> int:
    """Pairs of equal rows."""
    _, times = torch.unique(given, dim=0, return_counts=True)
    return int((times * (times - 1) // 2).sum())
