"""Mean of the absolute error."""

from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.member import NumberLoss
from tunesmith.blocks.losses.start import weighted_quantile


@LOSSES.add("mae")
class Mae(NumberLoss):
    """|e| with e = output - target, over all values, (N,) or (N, K); outputs (N, 1) meet a target (N,).

    At start: the mean of |target| with zero outputs; the best constant is the median of each column.
    Use: numbers with outliers, or where the median is wanted; its gradient keeps its size at the optimum, so let the
    rate fall.

    >>> import torch
    >>> float(Mae()(torch.zeros(2), torch.full((2,), 0.5)).value)
    0.5
    """

    name = "mae"

    def values(self, guess: Tensor, truth: Tensor) -> Tensor:
        return functional.l1_loss(guess, truth, reduction="none")

    def total(self, guess: Tensor, truth: Tensor) -> Tensor:
        return functional.l1_loss(guess, truth, reduction="sum")

    def _best(self, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        return weighted_quantile(cases, each, 0.5)
