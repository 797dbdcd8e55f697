"""Negatives: which of the batch is my other view? van den Oord et al., arXiv:1807.03748; both ways: CLIP, arXiv:2103.00020.

Legend: z_i, z'_i the embeddings of two views of sample i, T the temperature.
"""

from torch import Tensor

from tunesmith.blocks.losses.info_nce import InfoNce
from tunesmith.generative.cures import CURES
from tunesmith.generative.pairs import pair


@CURES.add("info_nce")
def info_nce(one: Tensor, other: Tensor, *, temperature: float = 0.1, symmetric: bool = True) -> Tensor:
    """mean over i of -log softmax_j(cos(z_i, z'_j) / T) at j = i; ln N of a collapsed batch, so that collapse costs.

    The N - 1 other samples are the negatives. `symmetric` averages both directions. The same as the loss `info_nce` of `fit`.
    Shapes: two matrices (N, D).

    Raises `ModelError` for other shapes, `DataError` for a batch of one, `RecipeError` for a temperature not above 0.
    Use: with large batches: a batch that is accumulated in parts has the negatives of a part alone.
    Source: van den Oord et al., arXiv:1807.03748, eq. 4; Radford et al., arXiv:2103.00020, figure 3.

    >>> import torch
    >>> round(info_nce(torch.ones(8, 3), torch.ones(8, 3)).item(), 4)  # ln 8
    2.0794
    """
    both = pair(one, other, "info_nce", least=2)
    return InfoNce(temperature=temperature, symmetric=symmetric)(both, None).value
