"""Which share of the data a generator leaves out, where no centres and no classes are known.

Legend: K cells, q_k the share of the real samples in cell k, n made samples, c_k of them in cell k, α the chance of a false word.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import binom
from torch import Tensor

from tunesmith.generative.distances import across, clouds
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import both, points
from tunesmith.records import DataError

Array = np.ndarray[Any, Any]
ALPHA = 0.01  # of a look at all cells; assumption
SHARE = 5  # a cell is lost where even 1 / 5 of its due would have given more; the share by which `modes` holds a mode
MOST = 64  # cells; assumption: more are not told apart by a person
ROUNDS = 25  # of Lloyd's steps; it stops where no sample moves
LEAST = 100  # samples of either kind: of fewer hardly a cell can be called lost; assumption


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """`share` of the real samples lies in cells that the generator leaves out; `cells` of them, of `whole`.

    `shares` and `counts` are those of all cells. Of a generator that gives every cell a fifth of its due or more, `share` is
    above 0 with a chance of `alpha` at most.
    """

    share: float
    cells: int
    whole: int
    shares: Array
    counts: Array
    alpha: float


class Cells:
    """Cells around means of real samples: half of them place the means, the other half weighs the cells.

    The number of cells is the largest at which an empty cell of half the average weight is called lost. Raises `DataError` for fewer than
    `LEAST` samples.
    """

    def __init__(self, real: Any, made: int, *, alpha: float = ALPHA, seed: int = 0) -> None:
        rows = points(real, "real", least=2)
        if len(rows) < LEAST or made < LEAST:
            raise DataError(
                f"{len(rows)} real and {made} made samples: of {LEAST} each or more it can be told what is left out"
            )
        self.alpha = alpha
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).to(rows.device)
        first, second = rows[order[: len(rows) // 2]], rows[order[len(rows) // 2 :]]
        self.means = _means(first, count_of_cells(made, alpha), seed)
        self.shares = np.bincount(self._places(second), minlength=len(self.means)) / len(second)

    def lost(self, made: Any) -> Lost:
        """What is left out by samples (n, D)."""
        given = points(made, "made", columns=self.means.shape[1]).to(self.means)
        counts = np.bincount(self._places(given), minlength=len(self.means))
        chance = binom.cdf(counts, len(given), self.shares / SHARE)
        gone = (chance < self.alpha / len(self.means)) & (self.shares > 0)
        return Lost(
            share=float(self.shares[gone].sum()),
            cells=int(gone.sum()),
            whole=len(self.means),
            shares=self.shares,
            counts=counts,
            alpha=self.alpha,
        )

    def _places(self, samples: Tensor) -> Array:
        return nearest(self.means, samples).cpu().numpy()


@MEASURES.add("lost_mass")
def lost_mass(real: Any, generated: Any, *, alpha: float = ALPHA, seed: int = 0) -> Lost:
    """Σ q_k over the cells with P(Binomial(n, q_k / 5) ≤ c_k) < α / K: the share of the data in cells that hold next to nothing.

    Shapes: `real` (N, D), `generated` (n, D). Cells are those nearest to means (k-means) of half of the real samples, weighed by
    the other half. Samples need not be good to count for a cell, so a blurred generator has lost nothing. The word of a lost cell
    carries the sampling error of n (binomial, over all cells); that of the q_k, which are estimates too, is small beside a fifth.

    Raises `DataError` for rows that do not fit, or fewer than 100 of either.
    Use: mode collapse, where neither centres nor classes are known; what `GanWatch` goes by.
    Source: Richardson & Weiss, arXiv:1805.12462 (bins of the data); the bound is a binomial tail with Bonferroni's correction.

    >>> rng = np.random.default_rng(0)
    >>> real = rng.normal(size=(1000, 2))
    >>> lost_mass(real, rng.normal(size=(1000, 2))).share, lost_mass(real, np.abs(rng.normal(size=(1000, 2)))).share > 0.3
    (0.0, True)
    """
    first, second = both(real, generated)
    return Cells(first, len(second), alpha=alpha, seed=seed).lost(second)


def count_of_cells(made: int, alpha: float = ALPHA) -> int:
    """The largest K with exp(-n / 10K) < α / K: a cell of half the average weight is then called lost where it is empty.

    >>> count_of_cells(1000), count_of_cells(200)
    (13, 3)
    """
    count = 2
    while count < MOST and made / (2 * SHARE * (count + 1)) > math.log((count + 1) / alpha):
        count += 1
    return count


def nearest(means: Tensor, samples: Tensor) -> Tensor:
    """The place of the nearest mean of each sample: shape (N,)."""
    around, placed = clouds(means, samples)
    best = torch.full((placed.rows,), torch.inf, dtype=placed.points.dtype, device=samples.device)
    place = torch.zeros(placed.rows, dtype=torch.int64, device=samples.device)
    for rows, columns, tile in across(placed, around):
        near = tile.min(dim=1)
        closer = near.values < best[rows]
        best[rows] = torch.where(closer, near.values, best[rows])
        place[rows] = torch.where(closer, near.indices + columns.start, place[rows])
    return place


def _means(samples: Tensor, count: int, seed: int) -> Tensor:
    """k-means with starts far apart. Arthur & Vassilvitskii, k-means++, SODA 2007; Lloyd (1982)."""
    rng = np.random.default_rng(seed)
    chosen = [int(rng.integers(len(samples)))]
    away = (samples - samples[chosen[0]]).square().sum(dim=1).double().cpu().numpy()
    while len(chosen) < min(count, len(samples)) and away.sum() > 0:
        chosen.append(int(rng.choice(len(samples), p=away / away.sum())))
        away = np.minimum(away, (samples - samples[chosen[-1]]).square().sum(dim=1).double().cpu().numpy())
    means, before = samples[chosen].clone(), None
    for _ in range(ROUNDS):
        place = nearest(means, samples)
        if before is not None and torch.equal(place, before):
            break
        before = place
        sums = torch.zeros_like(means).index_add_(0, place, samples)
        counts = torch.bincount(place, minlength=len(means)).to(means)
        means = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], means)
    return means
