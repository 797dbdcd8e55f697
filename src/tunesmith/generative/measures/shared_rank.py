"""How many directions do two views agree on? Noise of the views does not count, as it does in the rank of one of them.

Legend: z and z' the centred embeddings (N, D) of two views of N samples; K = (zᵀz' + z'ᵀz) / 2N, whose eigenvalues λ estimate the
variances of what both views share; p = λ / Σ λ over those beyond chance.
"""

from typing import Any

import torch

from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import both
from tunesmith.records import DataError


@MEASURES.add("shared_rank")
def shared_rank(one: Any, other: Any) -> float | None:
    """exp(-Σ p ln p), 1 where one direction carries all that both views share; None where they share nothing beyond chance.

    Of a law whose views share something no λ is negative: those below 0 are of chance, which gives as many above 0, and as large
    ones. So of those above, the smallest are left out, as many as there are below, where they are no larger than the most
    negative one. Counts by variances, so it is smaller than `effective_rank`, which counts by deviations.

    Shapes: `one` and `other` (N, D), row i of both from sample i. With N < D it is computed from matrices (2N, 2N).

    Raises `DataError` for rows that do not fit or come in other numbers.
    Use: beside that of the inputs themselves: a representation of few dimensions may be all that the data have.
    Source: Roy & Vetterli, EUSIPCO (2007), here of the cross-covariance; that chance is told apart: tests/generative/test_embedding_watch.py.

    >>> z = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> round(shared_rank(z, z), 4), round(shared_rank(z * torch.tensor([1.0, 0.0]), z), 4)
    (2.0, 1.0)
    """
    first, second = both(one, other)
    if len(first) != len(second):
        raise DataError(f"there are {len(first)} and {len(second)} views; row i of both is to be of sample i")
    z, y = (each.double() - each.double().mean(dim=0) for each in (first, second))
    if z.shape[1] > 2 * len(z):  # K lies in the span of the 2N rows
        basis = torch.linalg.qr(torch.cat([z, y]).T).Q
        z, y = z @ basis, y @ basis
    product = z.T @ y / len(z)
    values = torch.linalg.eigvalsh((product + product.T) / 2)
    rounding = torch.finfo(values.dtype).eps * len(values) * float(values.abs().max())
    above, below = values[values > rounding], values[values < -rounding]
    beyond = int((above > -values.min()).sum())
    kept = above[len(above) - max(beyond, len(above) - len(below), 0) :]  # they come in order
    if not len(kept):
        return None
    shares = kept / kept.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))
