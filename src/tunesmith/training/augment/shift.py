"""Moves by a few pixels: a random crop after padding. He et al., Deep Residual Learning, arXiv:1512.03385, section 4.2.

The padding repeats the border, so that it brings no black frame to pictures with a bright ground. He et al. pad 4 pixels
of 32, which suits long trainings; a tenth of the shorter side suits short ones (measured: docs/log.md, defaults).
"""

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, augmentation, checked

LEAST, MOST = 1, 4  # pixels at the usual strength; He et al. take 4 of 32
SHARE = 10  # of the shorter side; see above


@augmentation("shift", "pictures")
def shift(pictures: Tensor, generator: torch.Generator, strength: float = USUAL) -> Tensor:
    """Each picture moved by up to `reach(H, W, strength)` pixels up or down and left or right, every move equally likely.

    Shape: pictures (N, C, H, W) of any type.
    Use: wherever a class does not hang on where the thing lies; `auto` is this one for classes.

    >>> shift(torch.arange(4).reshape(1, 1, 1, 4), torch.Generator().manual_seed(0)).flatten().tolist()
    [0, 0, 1, 2]
    """
    count, _, height, width = pictures.shape
    most = reach(height, width, checked(strength))
    if not most:
        return pictures
    down, right = moves(count, most, generator).to(pictures.device)
    windows = _bordered(pictures, most).unfold(2, height, 1).unfold(3, width, 1)  # (N, C, moves, moves, H, W), a view
    return windows[torch.arange(count, device=pictures.device), :, down, right]


def reach(height: int, width: int, strength: float = USUAL) -> int:
    """How many pixels a picture of this size is moved at most: a tenth of the shorter side, 1 to 4, times strength / 0.5.

    >>> reach(28, 28), reach(32, 32), reach(8, 8), reach(64, 64), reach(28, 28, 1.0), reach(28, 28, 0.1)
    (2, 3, 1, 4, 4, 0)
    """
    usual = min(max(min(height, width) // SHARE, LEAST), MOST)
    return int(usual * strength / USUAL + 0.5)


def moves(count: int, most: int, generator: torch.Generator) -> Tensor:
    """Where the window of each picture begins inside its border, int64 (2, N): `most` is no move, 0 moves it down, right."""
    return torch.randint(2 * most + 1, (2, count), generator=generator, device=generator.device)


def _bordered(pictures: Tensor, pixels: int) -> Tensor:
    """The border repeated outwards; by index, since torch pads bytes with constants alone."""
    for axis in (2, 3):
        side = pictures.shape[axis]
        places = torch.arange(-pixels, side + pixels, device=pictures.device).clamp_(0, side - 1)
        pictures = pictures.index_select(axis, places)
    return pictures
