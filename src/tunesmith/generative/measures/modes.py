"""Modes of a mixture whose centres are known: which are covered, how evenly, and how many samples are good.

Legend: K modes of deviation σ in D dimensions, N samples, n_std the radius within which a sample is good, in σ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import gammainc

from tunesmith.generative.distances import clouds, slices
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.measures.class_histogram import divergence
from tunesmith.generative.points import points, tensor
from tunesmith.records import DataError, RecipeError

Array = np.ndarray[Any, Any]
N_STD = 3.0  # both papers
ROWS = 4096  # samples whose distances to all centres are held at once
EQUAL = 16  # units in the last place between two centres that are one: 2π and 0 of a circle differ by two; assumption
SHARE = 5  # a mode is held where it has 1 / (5 K) of the samples; assumption: a fifth of its due


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """Two looks that are to be kept apart: `counts` of all samples at their nearest mode, `good` of those near enough.

    `captured`    modes with one good sample or more, as the papers count; generous, for one lucky hit is enough
    `held`        modes that own 1 / (5 K) of all samples or more, good or not
    `quality`     the share of good samples; `ceiling` is that of the mixture itself, and `beyond` by how many standard
                  errors the share lies above it: above 2 the modes are narrower than those of the data
    `divergence`  KL of all samples' shares of the modes from the wanted ones, in nats; ln K where one of K equal modes is left
    `divergence_good`, `jensen_shannon_good`  the same of good samples; None where there are none
    `variation`   total variation distance of all samples' shares from the wanted ones
    """

    counts: Array
    good: Array
    names: tuple[Any, ...]
    captured: int
    held: int
    quality: float
    ceiling: float
    beyond: float
    divergence: float
    divergence_good: float | None
    jensen_shannon_good: float | None
    variation: float

    @property
    def missing(self) -> tuple[Any, ...]:
        """The names of the modes without a good sample."""
        return tuple(name for name, count in zip(self.names, self.good, strict=True) if not count)


@MEASURES.add("modes")
def modes(
    samples: Any,
    centres: Any,
    sigma: float,
    *,
    n_std: float = N_STD,
    shares: Sequence[float] | Array | None = None,
    names: Sequence[Any] | None = None,
) -> Modes:
    """Each sample goes to its nearest centre, and is good where |x - centre| < n_std σ.

    Shapes: `samples` (N, D), `centres` (K, D): `ring()`, `grid()`, or any of your own, with `names` (K,) where they have some.
    `shares` (K,) are the masses of the modes in the data, equal ones where none are given.

    A perfect sampler has no quality of 1: P(χ²_D < n_std²) of it is good, in two dimensions 98.889 % at 3 σ (`ceiling`). Judge
    collapse by all samples: early in a training few are good though all modes are there. Modes covered depend on net and
    number of samples, so compare within one harness.

    Raises `DataError` for rows that do not fit, for centres that stand twice (a ring of 8 made with its end point has 7) and
    for shares that are no shares; `RecipeError` for a sigma or n_std that is not above 0.
    Use: toy mixtures, or features with a centre for each class.
    Source: Srivastava et al., VEEGAN, arXiv:1705.07761; Lin et al., PacGAN, arXiv:1712.04086.

    >>> found = modes(ring(8)[[0, 0, 1]], ring(8), 0.01)
    >>> found.captured, found.counts.tolist(), round(found.divergence, 3), round(found.ceiling, 5)
    (2, [2, 1, 0, 0, 0, 0, 0, 0], 1.443, 0.98889)
    """
    if not (sigma > 0 and n_std > 0 and math.isfinite(sigma * n_std)):
        raise RecipeError(f"sigma = {sigma!r}, n_std = {n_std!r}: two numbers above 0 were expected")
    given = points(samples, "samples", least=1)
    middle = points(centres, "centres", least=1, columns=given.shape[1])
    wanted = _wanted(shares, len(middle))
    called = tuple(range(len(middle))) if names is None else tuple(names)
    _check(middle, called)  # in their own precision
    place, near = _nearest(given, middle.to(given))
    good = near < n_std * sigma
    counts, fine = (torch.bincount(one, minlength=len(middle)).cpu().numpy() for one in (place, place[good]))
    quality, ceiling = int(good.sum()) / len(given), quality_ceiling(given.shape[1], n_std)
    here = counts / counts.sum()
    of_good = fine / fine.sum() if fine.any() else None
    return Modes(
        counts=counts,
        good=fine,
        names=called,
        captured=int((fine > 0).sum()),
        held=int((counts * SHARE * len(middle) >= len(given)).sum()),
        quality=quality,
        ceiling=ceiling,
        beyond=(quality - ceiling) / math.sqrt(ceiling * (1 - ceiling) / len(given)),
        divergence=divergence(here, wanted),
        divergence_good=None if of_good is None else divergence(of_good, wanted),
        jensen_shannon_good=None if of_good is None else _jensen_shannon(of_good, wanted),
        variation=float(np.abs(here - wanted).sum() / 2),
    )


def quality_ceiling(dimensions: int, n_std: float = N_STD) -> float:
    """P(χ²_D < n_std²): the share of good samples of the mixture itself, for modes too far apart to help each other.

    >>> round(quality_ceiling(2), 5), round(quality_ceiling(1), 4)
    (0.98889, 0.9973)
    """
    return float(gammainc(dimensions / 2, n_std**2 / 2))


def ring(count: int = 8, radius: float = 1.0) -> Array:
    """Centres (count, 2) on a circle, the first at (radius, 0); the end point is not made again.

    Source: Lin et al., arXiv:1712.04086, whose σ is 0.01.

    >>> ring(4).round(12).tolist()
    [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [-0.0, -1.0]]
    """
    angle = 2 * np.pi * np.arange(count) / count
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def grid(side: int = 5, spacing: float = 2.0) -> Array:
    """Centres (side², 2) of a square grid around 0; as given, from -4 to 4.

    Source: Lin et al., arXiv:1712.04086, whose σ is 0.05.

    >>> grid(2).tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    line = spacing * (np.arange(side) - (side - 1) / 2)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)


def mixture(centres: Any, sigma: float, count: int, *, seed: int = 0) -> Array:
    """Samples (count, D) of the mixture itself, its modes drawn with equal chance: the positive control of every measure.

    >>> mixture(ring(8), 0.01, 3).shape
    (3, 2)
    """
    rng, middle = np.random.default_rng(seed), tensor(centres, "centres").double().cpu().numpy()
    return middle[rng.integers(0, len(middle), count)] + sigma * rng.standard_normal((count, middle.shape[1]))


def _nearest(given: torch.Tensor, middle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest centre of each sample and the distance to it, by differences: a radius of 3 σ leaves no room for rounding."""
    around, placed = clouds(middle, given)
    place, near = [], []
    for rows in slices(len(given), max(1, ROWS // len(middle))):
        away = (placed.points[rows, None] - around.points).norm(dim=2)
        found = away.min(dim=1)
        place.append(found.indices)
        near.append(found.values)
    return torch.cat(place), torch.cat(near)


def _check(middle: torch.Tensor, names: tuple[Any, ...]) -> None:
    if len(names) != len(middle):
        raise DataError(f"there are {len(names)} names for {len(middle)} centres; give one a centre")
    different = len(torch.unique(middle, dim=0))
    apart = torch.pdist(middle).min() if len(middle) > 1 else torch.tensor(1.0)
    if different < len(middle) or apart <= EQUAL * torch.finfo(middle.dtype).eps * middle.abs().max():
        raise DataError(
            f"of {len(middle)} centres two stand in one place, so that one mode would be counted as two; a circle is made "
            "without its end point, as ring() does"
        )


def _wanted(shares: Sequence[float] | Array | None, count: int) -> Array:
    if shares is None:
        return np.full(count, 1 / count)
    given = np.asarray(shares, dtype=np.float64)
    if given.shape != (count,) or not np.isfinite(given).all() or (given < 0).any() or not given.sum() > 0:
        raise DataError(f"shares came as {given.tolist()}; expected {count} numbers of 0 or more, one a centre")
    return np.asarray(given / given.sum())


def _jensen_shannon(one: Array, other: Array) -> float:
    between = (one + other) / 2
    return (divergence(one, between) + divergence(other, between)) / 2
