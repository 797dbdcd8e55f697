"""Mean of the squared error."""

from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.member import NumberLoss


@LOSSES.add("mse")
class Mse(NumberLoss):
    """e² with e = output - target, over all values, (N,) or (N, K); outputs (N, 1) meet a target (N,).

    At start: mean² + variance of the target with zero outputs, its variance with the bias at its mean.
    Use: numbers whose errors are about normal; large errors rule it, so not with gross outliers (huber, mae).

    >>> import torch
    >>> float(Mse()(torch.zeros(2), torch.full((2,), 0.5)).value)
    0.25
    >>> Mse().at_start([1.0, 3.0]), Mse().at_start([1.0, 3.0], bias="data")
    (5.0, 1.0)
    """

    name = "mse"

    def values(self, guess: Tensor, truth: Tensor) -> Tensor:
        return functional.mse_loss(guess, truth, reduction="none")

    def total(self, guess: Tensor, truth: Tensor) -> Tensor:
        return functional.mse_loss(guess, truth, reduction="sum")

    def _best(self, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        return self.start.usual(cases, each, outputs)
