"""Huber's loss divided by its bend. Girshick, Fast R-CNN, arXiv:1504.08083, eq. 3 (beta = 1)."""

from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.member import NumberLoss, number


@LOSSES.add("smooth_l1")
class SmoothL1(NumberLoss):
    """e²/(2 beta) where |e| < beta, |e| - beta/2 beyond: `huber` with delta = beta, divided by beta.

    As `torch.nn.SmoothL1Loss`. The slope far out is 1 for every beta, where that of huber is delta: beta -> 0 gives mae,
    and delta -> 0 gives 0.

    At start: the mean of that over the target with zero outputs.
    Use: numbers with outliers where the size of the far gradient shall not change with the bend; else huber.

    >>> import torch
    >>> float(SmoothL1(beta=0.5)(torch.zeros(1), torch.ones(1)).value)  # 1 - 0.5/2; huber: 0.5 (1 - 0.5/2)
    0.75
    """

    name = "smooth_l1"
    settings = ("beta",)

    def __init__(self, *, kind: str = "regression", beta: float = 1.0) -> None:
        super().__init__(kind=kind)
        self.beta = number(beta, self.name, "beta", above=0, usual="1.0 for a scaled target")

    def values(self, guess: Tensor, truth: Tensor) -> Tensor:
        return functional.smooth_l1_loss(guess, truth, reduction="none", beta=self.beta)
