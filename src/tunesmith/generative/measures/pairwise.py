"""Mean distance of two samples: how far the samples of a generator lie apart."""

from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.generative.distances import clouds, within
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import both, points


@MEASURES.add("pairwise_distance")
def pairwise_distance(samples: Any) -> float:
    """Σ_{i≠j} |x_i - x_j| / N(N-1), over all pairs.

    Shape: `samples` (N, D) or (N, …). It has the scale of the samples: see it beside that of real ones, `pairwise_ratio`. Two
    modes far apart give a large mean with all others missing, so it shows collapse to one place and no other.

    Raises `DataError` for rows that do not fit.
    Use: a first look at collapse where neither labels nor features are at hand.
    Source: a definition; over pictures with a distance that follows the eye, Zhu et al., arXiv:1711.11586 (`lpips`).

    >>> pairwise_distance([[0.0], [1.0], [3.0]])
    2.0
    """
    (cloud,) = clouds(points(samples, "samples"))
    total = 0.0
    for rows, columns, tile in within(cloud):
        if rows == columns:
            tile.fill_diagonal_(0)  # a sample and itself, which rounding leaves above 0
        total += float(tile.sqrt_().sum(dtype=torch.float64)) * (1 if rows == columns else 2)
    return total / (cloud.rows * (cloud.rows - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """Mean distances of both, and that of the generated over that of the real: near 1 where they spread alike.

    `ratio` is None where all real samples are equal.
    """

    generated: float
    real: float
    ratio: float | None


def pairwise_ratio(real: Any, generated: Any) -> Apart:
    """Mean distance of generated samples beside that of real ones. Raises `DataError` as `pairwise_distance` does.

    >>> pairwise_ratio([[0.0], [4.0]], [[0.0], [1.0]]).ratio
    0.25
    """
    first, second = both(real, generated)
    there, here = pairwise_distance(first), pairwise_distance(second)
    return Apart(generated=here, real=there, ratio=here / there if there > 0 else None)
