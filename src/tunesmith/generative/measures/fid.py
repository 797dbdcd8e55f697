"""Fréchet distance of two samples of features, each taken for a Gaussian: FID where the features are Inception's.

Legend: m mean and C covariance (divided by N - 1) of the features of N samples, λ the eigenvalues of C.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.generative.distances import slices
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import both, tensor
from tunesmith.records import DataError, RecipeError

ROWS = 4096  # that are brought to double precision at a time
SIZES = 6  # of the samples through which the line to infinity is drawn; assumption
LEAST = 0.3  # the smallest of them as a share of all; assumption


@dataclass(frozen=True, slots=True, kw_only=True)
class Frechet:
    """The distance, its two parts, and of how many samples and features: it is comparable at equal `rows` alone.

    `means` is |m1 - m2|², `spreads` the part of the covariances. `expected` is what two samples of the real law would have,
    to first order in 1/N: a value near it says that nothing was told apart. It is None where there are no more samples than
    features, where the covariances have no full rank and the value says little.
    """

    value: float
    means: float
    spreads: float
    rows: int
    features: int
    expected: float | None


@MEASURES.add("fid")
def frechet_distance(real: Any, generated: Any) -> Frechet:
    """|m1 - m2|² + Tr(C1 + C2 - 2 (C1 C2)^½).

    Shapes: `real` and `generated` (N, D), of equal N. The estimate is biased: for equal laws it is above 0 and falls as 1/N,
    and by how much differs between generators, so compare only at one N, which is why unequal ones raise; `frechet_at_infinity`
    draws the line through several N. It sees means and covariances alone. Computed in double precision, by
    eigenvalues of a symmetric matrix, so nothing complex has to be thrown away.

    Raises `DataError` for rows that do not fit and for unequal numbers of them.
    Use: one number for features of pictures; tell N and where the features are from. Under some thousands of samples take `kid`.
    Source: Heusel et al., arXiv:1706.08500, eq. 6; of Gaussians Dowson & Landau, Journal of Multivariate Analysis 12 (1982) 450;
    bias: Chong & Forsyth, arXiv:1911.07023.

    >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]]).value
    9.0
    """
    first, second = _equal(real, generated)
    return _distance(first, second)


def frechet_at_infinity(
    real: Any, generated: Any, *, sizes: Sequence[int] | None = None, seed: int = 0
) -> tuple[float, list[Frechet]]:
    """The distance for N → ∞: the line through the distances of parts of several sizes against 1/N, at 0.

    Parts are drawn without replacement, as many real as generated; `sizes` go from 30 % of the samples to all where none are
    given. Returns the value and the distances it was drawn through. It may be a little below 0.

    Raises `DataError` as `frechet_distance` does, `RecipeError` for fewer than two sizes or sizes out of range.
    Source: Chong & Forsyth, arXiv:1911.07023.
    """
    first, second = _equal(real, generated)
    rows = len(first)
    asked = [int(one) for one in np.linspace(LEAST * rows, rows, SIZES)] if sizes is None else list(sizes)
    if len(set(asked)) < 2 or min(asked) < 2 or max(asked) > rows:
        raise RecipeError(f"sizes = {asked}: two or more different sizes from 2 to {rows} were expected")
    rng = np.random.default_rng(seed)
    found = []
    for size in asked:
        drawn = [torch.from_numpy(rng.permutation(rows)[:size]).to(first.device) for _ in range(2)]
        found.append(_distance(first[drawn[0]], second[drawn[1]]))
    _, value = np.polyfit([1 / one.rows for one in found], [one.value for one in found], 1)
    return float(value), found


def frechet_of_moments(mean1: Any, covariance1: Any, mean2: Any, covariance2: Any) -> tuple[float, float]:
    """The parts |m1 - m2|² and Tr(C1 + C2 - 2 (C1 C2)^½), from means (D,) and covariances (D, D). Raises `DataError`.

    >>> frechet_of_moments([0.0], [[4.0]], [3.0], [[1.0]])
    (9.0, 1.0)
    """
    m1, c1, m2, c2 = (
        tensor(one, what).double()
        for one, what in zip(
            (mean1, covariance1, mean2, covariance2), ("mean1", "covariance1", "mean2", "covariance2"), strict=True
        )
    )
    if m1.ndim != 1 or m2.shape != m1.shape or c1.shape != (len(m1), len(m1)) or c2.shape != c1.shape:
        shapes = ", ".join(str(tuple(one.shape)) for one in (m1, c1, m2, c2))
        raise DataError(f"means and covariances came with shapes {shapes}; expected (D,), (D, D), (D,), (D, D)")
    if not all(bool(torch.isfinite(one).all()) for one in (m1, c1, m2, c2)):
        raise DataError("a mean or a covariance holds NaN or an infinite number; leave out the rows it comes from")
    factor = _factor(c1)
    shared = torch.linalg.eigvalsh(factor.T @ c2 @ factor)  # those of C1 C2, which is not symmetric
    both_roots = shared.clamp(min=0).sqrt().sum()
    away = m1 - m2
    return float(away @ away), max(float(c1.trace() + c2.trace() - 2 * both_roots), 0.0)


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D), divided by N - 1, in double precision whatever the features are."""
    mean = features.mean(dim=0, dtype=torch.float64)
    total = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64, device=features.device)
    for rows in slices(len(features), ROWS):
        away = features[rows].double() - mean
        total.addmm_(away.T, away)
    return mean, total / (len(features) - 1)


def expected_distance(covariance: Tensor, rows: int) -> float:
    """(2 Σ λ_i + Σ_ij λ_i λ_j / (λ_i + λ_j) + Σ λ_i / 2) / N: two samples of N of one Gaussian law, to first order in 1/N.

    Of the means 2 Tr C / N. Of the covariances ½ Σ E Δ_ij² / (λ_i + λ_j), the second order of the distance at Δ = 0, with
    Δ their difference in the eigenbasis and E Δ_ij² = 2 λ_i λ_j (1 + [i = j]) / N.

    >>> expected_distance(torch.eye(3, dtype=torch.float64), 100)
    0.12
    """
    found = torch.linalg.eigvalsh(covariance).clamp(min=0)
    found = found[found > found.max() * torch.finfo(found.dtype).eps * len(found)]
    pairs = (found[:, None] * found / (found[:, None] + found)).sum()
    return float((2.5 * found.sum() + pairs) / rows)


def _distance(first: Tensor, second: Tensor) -> Frechet:
    (mean1, covariance1), (mean2, covariance2) = moments(first), moments(second)
    means, spreads = frechet_of_moments(mean1, covariance1, mean2, covariance2)
    rows, features = first.shape
    return Frechet(
        value=means + spreads,
        means=means,
        spreads=spreads,
        rows=rows,
        features=features,
        expected=expected_distance(covariance1, rows) if rows > features else None,
    )


def _equal(real: Any, generated: Any) -> tuple[Tensor, Tensor]:
    first, second = both(real, generated)
    if len(first) != len(second):
        least = min(len(first), len(second))
        raise DataError(
            f"there are {len(first)} real and {len(second)} generated rows, and the distance is biased by their number; draw "
            f"{least} of both, or take kernel_distance, which is not biased"
        )
    return first, second


def _factor(covariance: Tensor) -> Tensor:
    """F with F Fᵀ = C: Cholesky's, which costs a tenth of the eigenvectors that are left where the rank is not full."""
    factor: Tensor
    factor, wrong = torch.linalg.cholesky_ex(covariance)
    if bool(wrong):
        values, vectors = torch.linalg.eigh(covariance)
        factor = vectors * values.clamp(min=0).sqrt()
    return factor
