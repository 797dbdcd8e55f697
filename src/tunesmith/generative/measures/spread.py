"""Spread of embeddings, as they are and on the sphere. Chen & He, SimSiam, arXiv:2011.10566.

Legend: z_i the N embeddings in D dimensions, std over the embeddings (divided by N) of each dimension.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import points


@MEASURES.add("raw_spread")
def raw_spread(embeddings: Any) -> float:
    """Mean over the D dimensions of std(z).

    Shape: `embeddings` (N, D). It has the scale of the embeddings: only its course over a training, or that beside the start,
    says something. It sees embeddings that shrink to a point, which both measures free of scale miss, and misses collapse to
    a large constant with some noise around it.

    Raises `DataError` for rows that do not fit.
    Use: with `normalised_spread` and `effective_rank`; no two of the three see what the third does.
    Source: Bardes et al., VICReg, arXiv:2105.04906, whose hinge is on this std.

    >>> raw_spread([[0.0, 4.0], [2.0, 4.0]])
    0.5
    """
    return spread(points(embeddings, "embeddings").double())


@MEASURES.add("normalised_spread")
def normalised_spread(embeddings: Any) -> float:
    """Mean over the D dimensions of std(z / |z|); 1/√D where they point everywhere alike, 0 where all point one way.

    Shape: `embeddings` (N, D). An embedding of length 0 stays where it is. With batch norm before it, collapse to a few
    dimensions hides from it: see `effective_rank`.

    Raises `DataError` for rows that do not fit.
    Use: complete collapse in learning without negatives; compare with 1/√D.
    Source: Chen & He, SimSiam, arXiv:2011.10566.

    >>> round(normalised_spread([[5.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, -3.0]]), 4)  # 1/√2
    0.7071
    """
    return spread(on_sphere(points(embeddings, "embeddings").double()))


def spread(rows: Tensor) -> float:
    """The mean over columns of the standard deviation, divided by N."""
    return float(torch.std(rows, dim=0, correction=0).mean())


def on_sphere(rows: Tensor) -> Tensor:
    """Rows of length 1; those of length 0 stay."""
    return functional.normalize(rows, dim=1, eps=torch.finfo(rows.dtype).tiny)
