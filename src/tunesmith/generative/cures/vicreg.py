"""Variance, invariance, covariance. Bardes et al., VICReg, arXiv:2105.04906.

Legend: z and z' the embeddings (N, D) of two views; var and C over the batch, both divided by N - 1; S(x) = sqrt(var x + ε).
"""

from torch import Tensor, relu
from torch.nn.functional import mse_loss

from tunesmith.generative.cures import CURES
from tunesmith.generative.pairs import full_precision, pair

INVARIANCE, VARIANCE, COVARIANCE = 25.0, 25.0, 1.0  # arXiv:2105.04906, section 4.2
SPREAD, EPSILON = 1.0, 1e-4  # γ and ε: arXiv:2105.04906, section 4.2


@CURES.add("variance_term")
def variance_term(embeddings: Tensor, *, spread: float = SPREAD, epsilon: float = EPSILON) -> Tensor:
    """mean over the D dimensions of max(0, γ - S(z)), γ being `spread`; γ - √ε where all embeddings are one.

    The hinge is on the deviation, not on the variance: the slope of the variance vanishes where the embeddings meet.
    Shape: `embeddings` (N, D).

    Raises `ModelError` for another shape, `DataError` for a batch of one.
    Use: beside any loss that only draws views together; it keeps them from shrinking to a point.
    Source: Bardes et al., arXiv:2105.04906, eq. 1 and 2.

    >>> import torch
    >>> round(variance_term(torch.ones(4, 3)).item(), 6)  # 1 - √1e-4
    0.99
    """
    z, _ = pair(embeddings, embeddings, "variance_term", least=2)
    with full_precision(z):
        found: Tensor = relu(spread - (z.var(dim=0, correction=1) + epsilon).sqrt()).mean()
    return found


@CURES.add("covariance_term")
def covariance_term(embeddings: Tensor) -> Tensor:
    """Σ_{i≠j} C_ij² / D: 0 where no two dimensions are correlated.

    Shape: `embeddings` (N, D).

    Raises `ModelError` for another shape, `DataError` for a batch of one.
    Use: with `variance_term`, against collapse to few dimensions.
    Source: Bardes et al., arXiv:2105.04906, eq. 3 and 4.

    >>> import torch
    >>> covariance_term(torch.tensor([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0]])).item()  # C = 1 everywhere
    1.0
    """
    z, _ = pair(embeddings, embeddings, "covariance_term", least=2)
    with full_precision(z):
        centred = z - z.mean(dim=0)
        square = (centred.T @ centred / (len(z) - 1)).square()
        found: Tensor = (square.sum() - square.diagonal().sum()) / z.shape[1]
    return found


@CURES.add("vicreg")
def vicreg(
    one: Tensor,
    other: Tensor,
    *,
    invariance: float = INVARIANCE,
    variance: float = VARIANCE,
    covariance: float = COVARIANCE,
    spread: float = SPREAD,
    epsilon: float = EPSILON,
    halved: bool = True,
) -> Tensor:
    """25 mean (z - z')² + 25 (v(z) + v(z')) / 2 + 1 (c(z) + c(z')), v and c being `variance_term` and `covariance_term`.

    The authors' code halves the sum of the two variance terms, as here; the paper's eq. 6 does not: `halved=False`. The mean
    square is over all N D numbers, as in the code. Shapes: two matrices (N, D).

    Raises `ModelError` for other shapes, `DataError` for a batch of one.
    Use: without stop-gradient, predictor, negatives or batch norm; projections of many dimensions.
    Source: Bardes et al., arXiv:2105.04906, eq. 1 to 6, and the authors' code.

    >>> import torch
    >>> z = torch.tensor([[1.0, 1.0], [1.0, 1.0]])  # collapsed: 25 · 0.99
    >>> round(vicreg(z, z).item(), 4), round(vicreg(z, z, halved=False).item(), 4)
    (24.75, 49.5)
    """
    first, second = pair(one, other, "vicreg", least=2)
    kept = [variance_term(z, spread=spread, epsilon=epsilon) for z in (first, second)]
    told_apart = covariance_term(first) + covariance_term(second)
    both = (kept[0] + kept[1]) / 2 if halved else kept[0] + kept[1]
    found: Tensor = invariance * mse_loss(first, second) + variance * both + covariance * told_apart
    return found
