"""How many dimensions do embeddings fill? Garrido et al., RankMe, arXiv:2210.02885.

Legend: s_k the singular values of the embeddings (N, D), not centred; p_k = s_k / Σ s + 1e-7.
"""

from typing import Any

import torch
from torch import Tensor

from tunesmith.generative.distances import slices
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import points

EPSILON = 1e-7  # the paper's, for single precision
ROWS = 4096  # that are brought to double precision at a time


@MEASURES.add("effective_rank")
def effective_rank(embeddings: Any) -> float | None:
    """exp(-Σ p_k ln p_k), from 1 to min(N, D); None where all embeddings are 0.

    Shape: `embeddings` (N, D). 1 where all are multiples of one; of rank r at most r. Few embeddings bound it: take some
    times D of them. Not centred, as in the paper: a large common offset pulls it towards 1.

    In double precision through triangular factors of some rows at a time, so memory is that of a D × D matrix.

    Raises `DataError` for rows that do not fit.
    Use: collapse to few dimensions, which no spread shows under batch norm.
    Source: Garrido et al., arXiv:2210.02885; Roy & Vetterli, EUSIPCO (2007).

    >>> round(effective_rank([[1.0, 0.0], [0.0, 1.0]]), 4), round(effective_rank([[1.0, 2.0], [2.0, 4.0]]), 4)
    (2.0, 1.0)
    """
    values = singular_values(points(embeddings, "embeddings", least=1))
    total = values.sum()
    if total == 0:
        return None
    shares = values / total + EPSILON
    return float(torch.exp(-(shares * shares.log()).sum()))


def singular_values(rows: Tensor) -> Tensor:
    """Those of (N, D), min(N, D) of them: R of A = QR has them too, and R of all rows comes of the Rs of parts.

    >>> singular_values(torch.tensor([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]])).round(decimals=9).tolist()
    [3.0, 2.0]
    """
    factor = torch.zeros(0, rows.shape[1], dtype=torch.float64, device=rows.device)
    for part in slices(len(rows), ROWS):
        factor = torch.linalg.qr(torch.cat([factor, rows[part].double()]), mode="r").R
    values: Tensor = torch.linalg.svdvals(factor)
    return values
