"""What a measure of sharpness gives, and what all of them share."""

from dataclasses import dataclass

import torch
from torch import Tensor

RESCALING = (
    "a heuristic: not invariant to a change of parametrisation. In a ReLU net one layer times a and the next divided by a "
    "is the same function with another sharpness (Dinh et al., arXiv:1703.04933), so compare only nets of one "
    "architecture, trained on the same data, and beside the norms of their weights"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpness:
    """A measure, how far it may be off (each function says in what sense), and what it cost.

    `passes` are passes over all batches: a loss is 1, a gradient 2, a product with the Hessian 4.
    """

    value: float
    error: float
    passes: int
    caveat: str = RESCALING


def direction(size: int, seed: int, *, like: Tensor) -> Tensor:
    """A random direction of length 1, the same on every device. Shape: (size,)."""
    drawn = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=like.dtype)
    length: Tensor = drawn.norm()
    return (drawn / length).to(like.device)
