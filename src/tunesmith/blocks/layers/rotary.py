"""Rotary positions: pairs of entries of queries and keys are turned by an angle that grows with the position.

    θ_i = base^(-2i/d), i = 0 … d/2 - 1
    (x_i, x_{i+d/2}) <- (x_i cos pθ_i - x_{i+d/2} sin pθ_i, x_{i+d/2} cos pθ_i + x_i sin pθ_i)

Su et al., RoFormer, arXiv:2104.09864, eq. 15 and 34. The paper turns neighbours (x_2i, x_2i+1); here entry i is turned with entry i + d/2,
so that the parts lie in a row. The products of queries with keys are the same under one order of the rows of both projections: `as_halves`
gives that order to weights that were trained with neighbours, `as_neighbours` takes it back.
"""

from typing import TypeAlias

import torch
from torch import Tensor

Angles: TypeAlias = tuple[Tensor, Tensor]  # cosine and sine of each position and pair, (L, d/2) or (N, L, d/2)


def rotary_angles(positions: Tensor, size: int, base: float, dtype: torch.dtype) -> Angles:
    """The angles of heads of an even `size` at whole-numbered positions (L,) or (N, L).

    >>> rotary_angles(torch.tensor([0, 3]), 4, 10_000.0, torch.float64)[1].round(decimals=3).tolist()
    [[0.0, 0.0], [0.141, 0.03]]
    """
    pair = torch.arange(0, size, 2, device=positions.device, dtype=torch.float64)
    angle = positions.to(torch.float64).unsqueeze(-1) * base ** (-pair / size)
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotated(x: Tensor, angles: Angles) -> Tensor:
    """Queries or keys at their positions. Shape: (N, heads, L, d) -> the same."""
    cos, sin = (one if one.dim() == 2 else one.unsqueeze(1) for one in angles)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def as_halves(weight: Tensor, heads: int) -> Tensor:
    """The rows of a projection trained with pairs of neighbours, in the order of halves. Shape: (heads · d, width) -> the same.

    >>> as_halves(torch.arange(8).reshape(8, 1), 2)[:, 0].tolist()
    [0, 2, 1, 3, 4, 6, 5, 7]
    """
    return weight.reshape(heads, -1, 2, weight.shape[-1]).transpose(1, 2).reshape(weight.shape)


def as_neighbours(weight: Tensor, heads: int) -> Tensor:
    """The inverse of `as_halves`."""
    return weight.reshape(heads, 2, -1, weight.shape[-1]).transpose(1, 2).reshape(weight.shape)
