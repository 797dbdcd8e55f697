"""Terms that tie what is made to what it is made from: pixels, there and back, and pictures that need no change.

Legend: x and y pictures of two kinds, G from x to y, F from y to x; |·|₁ the mean over all numbers.
"""

from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from tunesmith.generative.cures import CURES
from tunesmith.records import RecipeError

POWERS = {1: l1_loss, 2: mse_loss}


@CURES.add("pixel_loss")
def pixel_loss(made: Tensor, wanted: Tensor, weight: float = 100.0, *, power: int = 1) -> Tensor:
    """weight · |G(x) - y|₁, or with `power=2` the mean square, to be added to the generator's loss.

    Where the wanted picture is known, the discriminator has only to see what the distance does not: sharpness.

    Raises `RecipeError` for a power other than 1 and 2.
    Use: pairs of pictures (colouring, super-resolution, segments to photographs).
    Source: Isola et al., arXiv:1611.07004, eq. 3 and 4, whose weight is 100.

    >>> import torch
    >>> pixel_loss(torch.zeros(2, 1, 2, 2), torch.full((2, 1, 2, 2), 0.5)).item()
    50.0
    """
    if power not in POWERS:
        raise RecipeError(f"power = {power!r}: expected 1 (absolute) or 2 (squared)")
    return weight * POWERS[power](made, wanted)


@CURES.add("cycle_loss")
def cycle_loss(there: nn.Module, back: nn.Module, x: Tensor, y: Tensor, weight: float = 10.0) -> Tensor:
    """weight · (|F(G(x)) - x|₁ + |G(F(y)) - y|₁), to be added to the losses of both generators.

    A generator that maps many x to one y cannot be turned back.

    Use: two heaps of pictures without pairs.
    Source: Zhu et al., CycleGAN, arXiv:1703.10593, eq. 2 and 3, whose weight is 10.

    >>> import torch
    >>> cycle_loss(nn.Identity(), nn.Identity(), torch.ones(2, 3), torch.zeros(2, 3)).item()
    0.0
    """
    return weight * (l1_loss(back(there(x)), x) + l1_loss(there(back(y)), y))


@CURES.add("identity_loss")
def identity_loss(there: nn.Module, back: nn.Module, x: Tensor, y: Tensor, weight: float = 5.0) -> Tensor:
    """weight · (|G(y) - y|₁ + |F(x) - x|₁): what is of the wanted kind already is to stay.

    Use: with `cycle_loss`, where colours drift.
    Source: Zhu et al., CycleGAN, arXiv:1703.10593, section 5.2, whose weight is half that of the cycle.

    >>> import torch
    >>> identity_loss(nn.ReLU(), nn.Identity(), torch.ones(2, 3), -torch.ones(2, 3)).item()
    5.0
    """
    return weight * (l1_loss(there(y), y) + l1_loss(back(x), x))
