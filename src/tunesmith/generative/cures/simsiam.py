"""Two views, a predictor, and a stop-gradient. Chen & He, SimSiam, arXiv:2011.10566.

Legend: z_1, z_2 the projections of two views, p_1, p_2 what the predictor makes of them, sg no gradient, cos the cosine of a row.
"""

from torch import Tensor
from torch.nn.functional import cosine_similarity

from tunesmith.generative.cures import CURES
from tunesmith.generative.pairs import Pair, full_precision, pair


@CURES.add("simsiam")
def simsiam(predicted: Pair, projected: Pair, *, stop_gradient: bool = True) -> Tensor:
    """-(mean cos(p_1, sg z_2) + mean cos(p_2, sg z_1)) / 2, from -1 where all agree to 1.

    Shapes: `predicted` and `projected` two matrices (N, D) each. The constant embedding is a minimum too; that it is not reached
    is the work of the stop-gradient and of the predictor: without either (`stop_gradient=False`) the embeddings collapse.

    Raises `ModelError` for other shapes.
    Use: without negatives and with small batches; batch norm in projector and predictor helps.
    Source: Chen & He, arXiv:2011.10566, eq. 1 to 4.

    >>> import torch
    >>> z = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> simsiam((z, z), (z, z)).item(), simsiam((z, z), (z.flip(0), z.flip(0))).item()
    (-1.0, -0.0)
    """
    (p1, z2), (p2, z1) = (pair(predicted[i], projected[1 - i], "simsiam") for i in (0, 1))
    if stop_gradient:
        z1, z2 = z1.detach(), z2.detach()
    with full_precision(p1):
        found: Tensor = -(cosine_similarity(p1, z2).mean() + cosine_similarity(p2, z1).mean()) / 2
    return found
