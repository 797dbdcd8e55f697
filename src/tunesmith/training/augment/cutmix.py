"""A rectangle of each picture taken from another one, and the target by area. Yun et al., CutMix, arXiv:1905.04899, eq. 1, 2.

λ from Beta(1, 1), as theirs. They mix a batch with probability 1/2 on CIFAR and always on ImageNet; here each picture is
mixed with probability `strength`.
"""

from typing import Any

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, augmentation, checked, uniform
from tunesmith.training.augment.mixing import Mixed, alone, each_input, mixed_targets, partners, rows_in


@augmentation("cutmix", "pictures", mixes=True, told=("classes", "dtype"))
def cutmix(
    inputs: Any,
    target: Tensor,
    generator: torch.Generator,
    strength: float = USUAL,
    *,
    weight: Tensor | None = None,
    classes: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Mixed:
    """x' = m xᵢ + (1 - m) xⱼ, m = 0 in a rectangle of sides W √(1 - λ), H √(1 - λ); y' = λ' yᵢ + (1 - λ') yⱼ, λ' the mean of m.

    The middle of the rectangle lies anywhere and what is outside the picture is cut off, so λ' is counted in pixels afterwards.
    Each picture is mixed with probability `strength`. Arguments and targets as `mixup` has them.

    Shape: inputs (N, C, H, W) of any type.
    Use: pictures of one thing that shows everywhere in them (textures, animals close by), in long trainings; not where the
    class is in one small place.

    >>> x = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
    >>> mixed = cutmix(x, torch.tensor([0, 1]), torch.Generator().manual_seed(0), 1.0, classes=2)
    >>> torch.equal(mixed.inputs.mean((1, 2, 3)), mixed.target[:, 1])
    True
    """
    if not checked(strength):
        return Mixed(inputs, target, weight)
    count = rows_in(inputs)
    first = inputs if isinstance(inputs, Tensor) else next(iter(inputs.values()))
    inside = rectangles(count, first.shape[-2], first.shape[-1], generator)
    inside &= (uniform(generator, count) < strength)[:, None, None]
    share = 1 - inside.double().mean((1, 2))
    partner = alone(partners(count, generator), share)
    changed = each_input(inputs, lambda pictures: _pasted(pictures, inside, partner))
    return Mixed(changed, *mixed_targets(target, weight, share, partner, classes, dtype))


def rectangles(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Which pixels lie in the rectangle of each picture, bool (N, H, W)."""
    side = uniform(generator, count).sqrt()  # √(1 - λ) with λ uniform, as Beta(1, 1) is
    rows, columns = (_between(size, side * size, uniform(generator, count) * size) for size in (height, width))
    return rows[:, :, None] & columns[:, None, :]


def _between(size: int, length: Tensor, middle: Tensor) -> Tensor:
    places = torch.arange(size, device=length.device) + 0.5
    return (places - middle[:, None]).abs() <= length[:, None] / 2


def _pasted(pictures: Tensor, inside: Tensor, partner: Tensor) -> Tensor:
    return torch.where(inside.to(pictures.device)[:, None], pictures[partner.to(pictures.device)], pictures)
