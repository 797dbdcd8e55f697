"""Squared near zero, absolute far from it. Huber, Annals of Mathematical Statistics 35 (1964) 73."""

from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.member import NumberLoss, number


@LOSSES.add("huber")
class Huber(NumberLoss):
    """e²/2 where |e| <= delta, delta (|e| - delta/2) beyond; `delta` in units of the (scaled) target.

    As `torch.nn.HuberLoss`; `smooth_l1` is this divided by delta.

    At start: the mean of that over the target with zero outputs; for a target within delta half its mean square.
    Use: numbers with some outliers; `delta` is the error from which on one counts as an outlier.

    >>> import torch
    >>> float(Huber()(torch.zeros(2), torch.tensor([1.0, 3.0])).sum)
    3.0
    """

    name = "huber"
    settings = ("delta",)

    def __init__(self, *, kind: str = "regression", delta: float = 1.0) -> None:
        super().__init__(kind=kind)
        self.delta = number(delta, self.name, "delta", above=0, usual="1.0 for a scaled target")

    def values(self, guess: Tensor, truth: Tensor) -> Tensor:
        return functional.huber_loss(guess, truth, reduction="none", delta=self.delta)

    def total(self, guess: Tensor, truth: Tensor) -> Tensor:
        return functional.huber_loss(guess, truth, reduction="sum", delta=self.delta)
