"""Mirror images. He et al., Deep Residual Learning, arXiv:1512.03385, section 4.2."""

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, augmentation, checked, uniform

EVEN = 0.5  # more would only mirror the whole set


@augmentation("flip", "pictures")
def flip(pictures: Tensor, generator: torch.Generator, strength: float = USUAL) -> Tensor:
    """Each picture mirrored left to right with probability min(strength, 1/2).

    Shape: pictures (N, C, H, W) of any type.
    Use: where a mirror image shows the same class (a shirt, a cat), never for digits, letters, arrows or hands.

    >>> picture = torch.arange(3).reshape(1, 1, 1, 3)
    >>> [flip(picture, torch.Generator().manual_seed(seed)).flatten().tolist() for seed in (0, 1)]
    [[2, 1, 0], [0, 1, 2]]
    """
    if not checked(strength):
        return pictures
    mirrored = coins(len(pictures), generator, strength).to(pictures.device)
    return torch.where(mirrored[:, None, None, None], pictures.flip(-1), pictures)


def coins(count: int, generator: torch.Generator, strength: float) -> Tensor:
    """Which pictures are mirrored, bool (N,)."""
    return uniform(generator, count) < min(strength, EVEN)
