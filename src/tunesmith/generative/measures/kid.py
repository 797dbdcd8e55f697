"""Squared maximum mean discrepancy of two samples of features: KID where the features are Inception's.

Legend: k(x, y) = (x·y / D + c)^p, D the number of features, N real and M generated samples.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.generative.distances import side, slices
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import both
from tunesmith.records import DataError, RecipeError

LEAST = 256  # rows of a tile; of fewer the products are slower; measured: docs/log.md


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The estimate; where it was taken of parts, it is the mean over them and `deviation` their standard deviation."""

    value: float
    deviation: float | None
    parts: int
    real: int
    generated: int


@MEASURES.add("kid")
def kernel_distance(
    real: Any, generated: Any, *, degree: int = 3, offset: float = 1.0, parts: int = 0, size: int = 1000, seed: int = 0
) -> Kernel:
    """Σ_{i≠j} k(x_i, x_j) / N(N-1) + Σ_{i≠j} k(y_i, y_j) / M(M-1) - 2 Σ k(x_i, y_j) / NM, with k = (x·y / D + offset)^degree.

    Shapes: `real` (N, D), `generated` (M, D). Unbiased, so the numbers may differ and a value below 0 is right: it says that
    the two are not told apart. All pairs are taken; `parts` above 0 instead takes the mean over so many pairs of parts of
    `size` samples each, drawn without replacement, as the paper does, and tells their deviation.

    Raises `DataError` for rows that do not fit or are fewer than a part, `RecipeError` for settings out of range.
    Use: as `fid`, with few samples or with unequal numbers. With features of other scale it has another scale.
    Source: Bińkowski et al., arXiv:1801.01401, section 4; Gretton et al., JMLR 13 (2012) 723, eq. 3.

    >>> kernel_distance([[0.0], [2.0]], [[0.0], [2.0], [0.0], [2.0]], degree=1).value
    -1.333333333333333
    """
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in (degree, parts, size))
    if not whole or degree < 1 or parts < 0 or size < 2 or not np.isfinite(offset):
        raise RecipeError(
            f"degree = {degree!r}, offset = {offset!r}, parts = {parts!r}, size = {size!r}: a degree of 1 or more, a number, "
            "no part or more, and parts of 2 samples or more were expected"
        )
    first, second = both(real, generated)
    if not parts:
        value = _estimate(first, second, degree, offset)
        return Kernel(value=value, deviation=None, parts=0, real=len(first), generated=len(second))
    if size > min(len(first), len(second)):
        raise DataError(
            f"a part of {size} samples is more than there are: {len(first)} real and {len(second)} generated; take a smaller "
            "size, or all pairs with parts=0"
        )
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(parts):
        drawn = [torch.from_numpy(rng.permutation(len(one))[:size]).to(one.device) for one in (first, second)]
        found.append(_estimate(first[drawn[0]], second[drawn[1]], degree, offset))
    deviation = float(np.std(found, ddof=1)) if parts > 1 else None
    return Kernel(value=float(np.mean(found)), deviation=deviation, parts=parts, real=len(first), generated=len(second))


def _estimate(first: Tensor, second: Tensor, degree: int, offset: float) -> float:
    n, m = len(first), len(second)
    mixed = sum(
        _sum(first[rows], second[columns], degree, offset)
        for rows in slices(n, side(first))
        for columns in slices(m, side(first))
    )
    return _others(first, degree, offset) + _others(second, degree, offset) - 2 * mixed / (n * m)


def _others(points: Tensor, degree: int, offset: float) -> float:
    """The mean kernel of a sample and another one; the matrix is symmetric, so tiles above the diagonal count twice."""
    total, rows = 0.0, len(points)
    each = min(side(points), max(LEAST, -(-rows // 3)))  # three tiles a side or more: the half below is not computed
    for one in slices(rows, each):
        here = points[one]
        itself = (here * here).sum(dim=1).div_(points.shape[1]).add_(offset).pow_(degree).sum(dtype=torch.float64)
        total += _sum(here, here, degree, offset) - float(itself)
        for other in slices(rows, each, start=one.stop):
            total += 2 * _sum(here, points[other], degree, offset)
    return total / (rows * (rows - 1))


def _sum(one: Tensor, other: Tensor, degree: int, offset: float) -> float:
    """The sum of k over a tile, added up in double precision."""
    return float((one @ other.T).div_(one.shape[1]).add_(offset).pow_(degree).sum(dtype=torch.float64))
