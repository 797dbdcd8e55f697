"""Rows blended with other rows, and their targets with them. Zhang et al., mixup, arXiv:1710.09412.

They take α = 0.2 on ImageNet (section 3.1) and α = 1 on CIFAR-10 (section 3.2). A number of a category cannot be blended;
each such cell comes from the partner with probability 1 - λ, so that the share is right on average.

Of a pair the larger part is that of the row itself, λ = max(b, 1 - b), as in fastai (Howard & Gugger, arXiv:2002.04688): the
mixtures of all pairs are the same ones, no row is lost to its partner, and a weak dial changes little.

Legend: j the partner of row i, a random order of the batch; b drawn for each row from Beta(α, α).
"""

import math
from typing import Any

import torch
from torch import Tensor

from tunesmith.training.augment.member import USUAL, augmentation, checked, uniform
from tunesmith.training.augment.mixing import Mixed, alone, each_input, mixed_targets, partners, rows_in, symmetric_beta
from tunesmith.training.augment.pixels import as_before, as_floating

USUAL_ALPHA = 0.2  # Zhang et al., section 3.1
DIAL = math.log(USUAL_ALPHA) / math.log(USUAL)  # α = strength^2.32: 0.2 at the usual strength, 1 at full strength


@augmentation("mixup", "pictures", "numbers", mixes=True, told=("classes", "dtype"))
def mixup(
    inputs: Any,
    target: Tensor,
    generator: torch.Generator,
    strength: float = USUAL,
    *,
    weight: Tensor | None = None,
    classes: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> Mixed:
    """x' = λ xᵢ + (1 - λ) xⱼ and y' = λ yᵢ + (1 - λ) yⱼ, λ = max(b, 1 - b), b from Beta(α, α), α = strength^2.32.

    `inputs`: a tensor (N, …), or a mapping of such; bytes are rounded, other whole numbers taken for categories. `classes`:
    how many, where `target` (N,) holds class indices; they become shares (N, classes) of type `dtype`. Weights (N,) are
    mixed too, see `mixed_targets`.

    Use: classes and tables with few rows, networks that are too sure of themselves; train longer. Not beside a loss that
    needs labels.

    >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
    >>> mixed = mixup(x, y, torch.Generator().manual_seed(3), 1.0, classes=2)
    >>> torch.allclose(mixed.inputs[:, 0], mixed.target[:, 1]), mixed.target.sum(1).tolist()
    (True, [1.0, 1.0])
    """
    if not checked(strength):
        return Mixed(inputs, target, weight)
    count = rows_in(inputs)
    drawn = symmetric_beta(strength**DIAL, count, generator)
    share = torch.maximum(drawn, 1 - drawn)
    partner = alone(partners(count, generator), share)
    changed = each_input(inputs, lambda values: _blended(values, share, partner, generator))
    return Mixed(changed, *mixed_targets(target, weight, share, partner, classes, dtype))


def _blended(values: Tensor, share: Tensor, partner: Tensor, generator: torch.Generator) -> Tensor:
    others = values[partner.to(values.device)]
    part = share.reshape(-1, *[1] * (values.dim() - 1))
    if not values.is_floating_point() and values.dtype != torch.uint8:
        own = uniform(generator, *values.shape) < part
        return torch.where(own.to(values.device), values, others)
    floating = as_floating(values)
    part = part.to(floating)
    return as_before(part * floating + (1 - part) * as_floating(others), values)
