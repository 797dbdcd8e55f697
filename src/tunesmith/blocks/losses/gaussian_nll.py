"""A mean and a variance for each value. Nix & Weigend, Estimating the mean and variance, ICNN 1994, eq. 4."""

import math
from typing import Any

import torch
from torch import Tensor

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.loss import Reduced, align, reduced, single_precision
from tunesmith.blocks.losses.member import Member, number
from tunesmith.blocks.losses.start import Numbers, weighted_mean
from tunesmith.records import ModelError, RecipeError


@LOSSES.add("gaussian_nll")
class GaussianNll(Member):
    """(s + (y - m)² exp(-s)) / 2 for outputs m and s = log variance, over all values y (N,) or (N, K).

    The model returns (m, s), or one tensor with m in the first half of its columns and s in the second, (N, 2) or
    (N, 2 K). Torch's `GaussianNLLLoss` takes the variance itself. s is held at log `eps` and above, as there (1e-6),
    without a gradient below. `full` adds log(2 π) / 2. The loss may be below 0.

    At start: mean square of the target / 2 with zero outputs; (1 + mean log variance of the columns) / 2 with mean and
    log variance of the data, the best constant.
    Use: errors of different size from row to row, and a stated uncertainty; return (m, s) so that metrics judge m. Start
    with mse where it does not settle: a large s hides a bad m.

    >>> loss = GaussianNll()
    >>> float(loss((torch.zeros(2), torch.zeros(2)), torch.tensor([1.0, 3.0])).value)
    2.5
    """

    name = "gaussian_nll"
    kinds = ()
    settings = ("eps", "full")
    whole = judges = True

    def __init__(self, *, eps: float = 1e-6, full: bool = False) -> None:
        if not isinstance(full, bool):
            raise RecipeError(f"gaussian_nll got full = {full!r}, true or false was expected; false is usual")
        self.least = math.log(number(eps, self.name, "eps", above=0, usual="1e-6"))
        self.full = full
        self.start = _Both(self.least)

    def __call__(self, outputs: Any, target: Tensor, weight: Tensor | None = None) -> Reduced:
        mean, spread = (single_precision(each) for each in self._parted(outputs))
        mean, truth = align(mean, target, self.name)
        spread, _ = align(spread, target, self.name)
        spread = spread.clamp(min=self.least)
        values = 0.5 * (spread + (truth.to(mean.dtype) - mean).square() * (-spread).exp())
        return reduced(values + 0.5 * math.log(2 * math.pi) if self.full else values, None, weight, self.name)

    def _parted(self, outputs: Any) -> tuple[Tensor, Tensor]:
        if isinstance(outputs, list | tuple) and len(outputs) == 2:
            return outputs[0], outputs[1]
        if isinstance(outputs, Tensor) and outputs.dim() > 1 and outputs.shape[-1] % 2 == 0:
            mean, spread = outputs.chunk(2, dim=-1)
            return mean, spread
        came = f"a tensor of shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ModelError(
            f"gaussian_nll got {came} as outputs, means and log variances were expected: a pair of tensors, or one with an "
            "even number of columns"
        )


class _Both(Numbers):
    """Means and log variances."""

    def __init__(self, least: float) -> None:
        super().__init__()
        self.least = least

    def zero(self, target: Tensor, outputs: int | None) -> Tensor:
        return torch.zeros(2, *target.shape[1:], dtype=torch.float64)

    def usual(self, target: Tensor, weight: Tensor, outputs: int | None) -> Tensor:
        mean = weighted_mean(target, weight)
        variance = weighted_mean((target - mean).square(), weight)
        return torch.stack([mean, variance.clamp(min=math.exp(self.least)).log()])

    def spread(self, row: Tensor, target: Tensor) -> Any:
        return row[0].expand_as(target), row[1].expand_as(target)
