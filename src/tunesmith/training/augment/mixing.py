"""What the members that mix rows have in common: partners, shares, and the targets and weights of a mixture.

Legend: N rows; j the partner of row i; λ the share of row i in its mixture; w sample weights; y targets.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.records import RecipeError


class Mixed(NamedTuple):
    """Inputs as they came, a tensor or a mapping; targets (N, …), floating where rows were mixed; weights (N,) or None."""

    inputs: Any
    target: Tensor
    weight: Tensor | None


def partners(count: int, generator: torch.Generator) -> Tensor:
    """j of each row: a random order of the batch, int64 (N,)."""
    return torch.randperm(count, generator=generator, device=generator.device)


def symmetric_beta(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    """Numbers from Beta(α, α), float64 (N,), for every α > 0.

    (1 + t / √(2α + t²)) / 2 with t = √(2α (U^(-1/α) - 1)) cos 2πV, which has Student's distribution with 2α degrees.
    Bailey, Mathematics of Computation 62 (1994); Devroye, Random Variate Generation in One Line of Code (1996).

    >>> many = symmetric_beta(1.0, 100_000, torch.Generator().manual_seed(0))
    >>> round(float(many.mean()), 2), round(float(many.var() * 12), 2)  # the uniform distribution
    (0.5, 1.0)
    """
    u, v = torch.rand(2, count, generator=generator, device=generator.device, dtype=torch.float64)
    cos = (2 * math.pi * v).cos()
    far = torch.expm1(-torch.log1p(-u) / alpha) * cos.square()  # t² / 2α; 1 - u is never 0
    share: Tensor = (1 + cos.sign() / (1 + 1 / far).sqrt()) / 2
    return share


def soft(target: Tensor, classes: int | None, dtype: torch.dtype) -> Tensor:
    """Targets that can be mixed: labels (N,) as rows of `classes` shares, whole numbers as floating ones.

    Raises `RecipeError` for labels that are no single class a row.
    """
    if target.is_floating_point():
        return target
    if classes is None:
        return target.to(dtype)
    labels = target.reshape(len(target)) if target.numel() == len(target) else target
    if labels.dim() != 1:
        raise RecipeError(
            f"rows with labels of shape {tuple(target.shape[1:])} cannot be mixed, one class a row was expected; leave "
            "mixup and cutmix out of data.augment"
        )
    return functional.one_hot(labels.long(), classes).to(dtype)


def mixed_targets(
    target: Tensor,
    weight: Tensor | None,
    share: Tensor,
    partner: Tensor,
    classes: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor | None]:
    """The target and the weight of each mixture.

    Without weights λ yᵢ + (1 - λ) yⱼ. With them w' = λ wᵢ + (1 - λ) wⱼ and y' = (λ wᵢ yᵢ + (1 - λ) wⱼ yⱼ) / w', so
    that of a loss that is linear in its target each row's part keeps its weight, and a row without weight says nothing.

    >>> half, other = torch.tensor([0.75, 0.5], dtype=torch.float64), torch.tensor([1, 0])
    >>> mixed_targets(torch.tensor([0, 1]), None, half, other, classes=2)[0].tolist()
    [[0.75, 0.25], [0.5, 0.5]]
    >>> [each.tolist() for each in mixed_targets(torch.tensor([0.0, 8.0]), torch.tensor([1.0, 3.0]), half, other)]
    [[4.0, 6.0], [1.5, 2.0]]
    """
    answers = soft(target, classes, dtype)
    share, partner = share.to(answers.device), partner.to(answers.device)
    mixed_weight = None
    if weight is not None:
        own, others = share * weight, (1 - share) * weight[partner]
        mixed_weight = (own + others).to(weight.dtype)
        share = torch.where(own + others > 0, own / (own + others), share)
    part = share.to(answers.dtype).reshape(-1, *[1] * (answers.dim() - 1))
    return part * answers + (1 - part) * answers[partner], mixed_weight


def each_input(inputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A tensor, or each of a mapping, changed."""
    if isinstance(inputs, Mapping):
        return {name: change(values) for name, values in inputs.items()}
    return change(inputs)


def rows_in(inputs: Any) -> int:
    """N."""
    return len(next(iter(inputs.values()))) if isinstance(inputs, Mapping) else len(inputs)


def alone(partner: Tensor, share: Tensor) -> Tensor:
    """Partners, each row its own where it is not mixed: what a stranger lacks (a NaN) then stays out of it."""
    return torch.where(share == 1, torch.arange(len(partner), device=partner.device), partner)
