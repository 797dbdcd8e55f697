"""Mirror images, moved by a few pixels. He et al., Deep Residual Learning, arXiv:1512.03385, section 4.2."""

import torch
from torch import Tensor

from tunesmith.training.augment.flip import flip
from tunesmith.training.augment.member import USUAL, augmentation
from tunesmith.training.augment.shift import shift


@augmentation("flip_shift", "pictures")
def flip_shift(pictures: Tensor, generator: torch.Generator, strength: float = USUAL) -> Tensor:
    """Both `flip` and `shift`, each drawn on its own; the same as "flip+shift".

    Shape: pictures (N, C, H, W) of any type.
    Use: photographs of things, where a mirror image shows the same class.

    >>> flip_shift(torch.arange(4).reshape(1, 1, 1, 4), torch.Generator().manual_seed(0)).flatten().tolist()
    [2, 1, 0, 0]
    """
    return shift(flip(pictures, generator, strength), generator, strength)
