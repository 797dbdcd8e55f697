"""The correlations of two views are to be the identity. Zbontar et al., Barlow Twins, arXiv:2103.03230.

Legend: z and z' the embeddings (N, D) of two views, each dimension standardised over the batch; C_ij = Σ_n z_ni z'_nj / N.
"""

from torch import Tensor

from tunesmith.generative.cures import CURES
from tunesmith.generative.pairs import full_precision, pair

REDUNDANCY = 5e-3  # λ: arXiv:2103.03230, section 3.2
EPSILON = 1e-5  # of the batch norm by which the authors' code standardises


@CURES.add("barlow_twins")
def barlow_twins(one: Tensor, other: Tensor, *, redundancy: float = REDUNDANCY, epsilon: float = EPSILON) -> Tensor:
    """Σ_i (C_ii - 1)² + λ Σ_{i≠j} C_ij²: D where the embeddings are constant, 0 at best.

    λ is `redundancy`. `epsilon` is added to the variances, as batch norm does; with 0 it is the paper's formula, which a constant
    dimension leaves undefined. The length of embeddings does not matter. Shapes: two matrices (N, D).

    Raises `ModelError` for other shapes, `DataError` for a batch of one.
    Use: without stop-gradient, predictor or negatives; projections of many dimensions.
    Source: Zbontar et al., arXiv:2103.03230, eq. 1 and 2.

    >>> import torch
    >>> z = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])  # not correlated
    >>> round(barlow_twins(z, z).item(), 6), round(barlow_twins(z, -z).item(), 3), barlow_twins(0 * z, 0 * z).item()
    (0.0, 8.0, 2.0)
    """
    first, second = pair(one, other, "barlow_twins", least=2)
    with full_precision(first):
        both = [(z - z.mean(dim=0)) / (z.var(dim=0, correction=0) + epsilon).sqrt() for z in (first, second)]
        correlation = both[0].T @ both[1] / len(first)
        own = correlation.diagonal()
        others = correlation.square().sum() - own.square().sum()
        found: Tensor = (own - 1).square().sum() + redundancy * others
    return found
