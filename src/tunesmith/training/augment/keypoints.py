"""Pictures and the points marked in them, moved together; for own loops.

Points (N, P, 2) are places in pixels, x to the right and y down, the middle of the first pixel at (0, 0); NaN marks one that
is missing, and stays. A point may leave the picture; it is not cut off. From the same generator each function makes the
same pictures as the member of its name without points.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from tunesmith.records import RecipeError
from tunesmith.training.augment.affine import matrices, warped
from tunesmith.training.augment.flip import coins, flip
from tunesmith.training.augment.member import USUAL, checked
from tunesmith.training.augment.shift import moves, reach, shift


def flip_points(
    pictures: Tensor,
    points: Tensor,
    generator: torch.Generator,
    strength: float = USUAL,
    *,
    swap: Sequence[tuple[int, int]] = (),
) -> tuple[Tensor, Tensor]:
    """`flip`, and x' = W - 1 - x of the points of mirrored pictures.

    `swap`: pairs of points that are left and right of each other (eyes, corners of the mouth) and change places.

    >>> picture, eyes = torch.zeros(1, 1, 4, 4), torch.tensor([[[0.0, 1.0], [2.0, 1.0]]])
    >>> flip_points(picture, eyes, torch.Generator().manual_seed(0), swap=[(0, 1)])[1].tolist()
    [[[1.0, 1.0], [3.0, 1.0]]]
    """
    if not checked(strength):
        return pictures, points
    state = generator.get_state()
    mirrored = coins(len(pictures), generator, strength).to(points.device)
    generator.set_state(state)
    other = points[:, _exchanged(points.shape[1], swap)] * points.new_tensor([-1.0, 1.0])
    other = other + points.new_tensor([pictures.shape[-1] - 1.0, 0.0])
    return flip(pictures, generator, strength), torch.where(mirrored[:, None, None], other, points)


def shift_points(
    pictures: Tensor, points: Tensor, generator: torch.Generator, strength: float = USUAL
) -> tuple[Tensor, Tensor]:
    """`shift`, and the points moved by the same pixels.

    >>> picture, dot = torch.zeros(1, 1, 8, 8), torch.tensor([[[3.0, 3.0]]])
    >>> shift_points(picture, dot, torch.Generator().manual_seed(0))[1].tolist()
    [[[4.0, 2.0]]]
    """
    height, width = pictures.shape[-2:]
    most = reach(height, width, checked(strength))
    if not most:
        return pictures, points
    state = generator.get_state()
    down, right = most - moves(len(pictures), most, generator).to(points)
    generator.set_state(state)
    return shift(pictures, generator, strength), points + torch.stack([right, down], 1)[:, None]


def affine_points(
    pictures: Tensor, points: Tensor, generator: torch.Generator, strength: float = USUAL
) -> tuple[Tensor, Tensor]:
    """`affine`, and p' = c + M (p - c) of the points, c the middle of the picture.

    >>> picture, middle = torch.zeros(1, 1, 5, 5), torch.tensor([[[2.0, 2.0]]])
    >>> affine_points(picture, middle, torch.Generator().manual_seed(0))[1].tolist()
    [[[2.0, 2.0]]]
    """
    if not checked(strength):
        return pictures, points
    matrix = matrices(len(pictures), generator, strength)
    height, width = pictures.shape[-2:]
    middle = points.new_tensor([(width - 1) / 2, (height - 1) / 2])
    moved = (points - middle) @ matrix.to(points).transpose(1, 2) + middle
    return warped(pictures, matrix), moved


def _exchanged(count: int, swap: Sequence[tuple[int, int]]) -> list[int]:
    """The order of the points with each pair exchanged. Raises `RecipeError` for a pair that is not of two of them."""
    order = list(range(count))
    named = [place for pair in swap for place in pair]
    if len(set(named)) < len(named) or not set(named) <= set(order):
        raise RecipeError(
            f"swap = {list(swap)!r} for {count} points: pairs of different points from 0 to {count - 1} were expected, "
            "each in one pair at most"
        )
    for left, right in swap:
        order[left], order[right] = right, left
    return order
