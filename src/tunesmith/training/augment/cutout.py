"""A square of the picture left out. DeVries & Taylor, Improved Regularization with Cutout, arXiv:1708.04552, section 3.2.

Their square has 16 of the 32 pixels of CIFAR-10, its middle lies anywhere in the picture, so that a part of it may lie
outside, and it is filled with 0 after the pictures are standardised, which is the mean of the training pictures.
"""

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, augmentation, checked
from tunesmith.training.augment.pixels import as_before, as_floating


@augmentation("cutout", "pictures", told=("fill",))
def cutout(
    pictures: Tensor, generator: torch.Generator, strength: float = USUAL, *, fill: Tensor | None = None
) -> Tensor:
    """A square of side strength × min(H, W) around a random pixel is filled with `fill`.

    `fill` (C,) in the units of the pictures; in a run the mean of the training pictures, else that of each picture.

    Shape: pictures (N, C, H, W) of any type.
    Use: long trainings on pictures of one thing, beside flip and shift; little is gained in short ones.

    >>> cut = cutout(torch.ones(1, 1, 4, 4), torch.Generator().manual_seed(0), fill=torch.zeros(1))
    >>> int(16 - cut.sum())  # a square of side 2, a part of it outside
    2
    """
    height, width = pictures.shape[-2:]
    side = int(checked(strength) * min(height, width) + 0.5)
    if not side:
        return pictures
    inside = [
        _within(size, side, torch.randint(size, (len(pictures),), generator=generator, device=generator.device))
        for size in (height, width)
    ]
    hole = (inside[0][:, :, None] & inside[1][:, None, :]).to(pictures.device)[:, None]
    values = as_floating(pictures)
    ground = values.mean((2, 3), keepdim=True) if fill is None else fill.to(values).reshape(1, -1, 1, 1)
    return torch.where(hole, as_before(ground, pictures), pictures)


def _within(size: int, side: int, middle: Tensor) -> Tensor:
    """Which of `size` places lie in the stretch of length `side` around each middle, bool (N, size)."""
    first = (middle - side // 2)[:, None]
    places = torch.arange(size, device=middle.device)
    return (places >= first) & (places < first + side)
