"""Random changes of training pictures that keep their class, for a whole batch at once.

Legend: N pictures, C channels, H height, W width. Shift is the random crop after padding and flip the horizontal flip of
He et al., Deep Residual Learning, arXiv:1512.03385, section 4.2, the padding repeating the border so that it brings no
black frame to pictures with a bright ground.

`auto` is `shift` where classes are told apart, `none` where a number is predicted. A picture moved by a few pixels shows
the same thing, whatever it shows; whether its mirror image does (a shirt: yes; a 3, a letter, an arrow, a left hand: no)
cannot be read from the pictures, and where it does not, the flip teaches what is false. A regression target may be a
position, which a shift would falsify.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from tunesmith.records import UnknownName, did_you_mean

Change: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]

LEAST, MOST = 1, 4  # pixels; He et al. take 4 of 32
SHARE = 10  # of the shorter side; He et al.'s 8 suits long trainings, 16 short ones (measured: docs/log.md, defaults)


def augment(pictures: Tensor, name: str, generator: torch.Generator) -> Tensor:
    """The pictures (N, C, H, W), of any type, changed by the change called `name`; a pure function of the generator.

    >>> picture = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    >>> augment(picture, "none", torch.Generator()) is picture
    True
    """
    if name not in CHANGES:
        raise UnknownName(f"no augmentation called {name!r}{did_you_mean(name, CHANGES)}")
    return CHANGES[name](pictures, generator)


def chosen(name: str, kind: str) -> str:
    """What `auto` stands for in a task of this kind; any other name stands for itself.

    >>> chosen("auto", "multiclass"), chosen("auto", "multi_regression"), chosen("flip", "regression")
    ('shift', 'none', 'flip')
    """
    if name != "auto":
        return name
    return "shift" if kind in {"multiclass", "binary", "multilabel"} else "none"


def flip(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture mirrored left to right with probability 1/2."""
    mirrored = torch.rand(len(pictures), generator=generator, device=generator.device) < 0.5
    return torch.where(mirrored.to(pictures.device)[:, None, None, None], pictures.flip(-1), pictures)


def shift(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture moved by up to `reach` pixels up or down and left or right, every move equally likely."""
    count, _, height, width = pictures.shape
    most = reach(height, width)
    moves = torch.randint(2 * most + 1, (2, count), generator=generator, device=generator.device).to(pictures.device)
    windows = _bordered(pictures, most).unfold(2, height, 1).unfold(3, width, 1)  # (N, C, moves, moves, H, W), a view
    return windows[torch.arange(count, device=pictures.device), :, moves[0], moves[1]]


def flip_shift(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Both, each drawn on its own."""
    return shift(flip(pictures, generator), generator)


def reach(height: int, width: int) -> int:
    """How many pixels a picture of this size is moved at most.

    >>> reach(28, 28), reach(32, 32), reach(8, 8), reach(64, 64)
    (2, 3, 1, 4)
    """
    return min(max(min(height, width) // SHARE, LEAST), MOST)


def _bordered(pictures: Tensor, pixels: int) -> Tensor:
    """The border repeated outwards; by index, since torch pads bytes with constants alone."""
    for axis in (2, 3):
        side = pictures.shape[axis]
        places = torch.arange(-pixels, side + pixels, device=pictures.device).clamp_(0, side - 1)
        pictures = pictures.index_select(axis, places)
    return pictures


CHANGES: Mapping[str, Change] = {
    "none": lambda pictures, generator: pictures,
    "flip": flip,
    "shift": shift,
    "flip_shift": flip_shift,
}
