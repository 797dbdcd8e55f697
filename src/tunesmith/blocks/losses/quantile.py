"""The pinball loss. Koenker & Bassett, Regression Quantiles, Econometrica 46 (1978) 33, eq. 2.1."""

import torch
from torch import Tensor

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.member import NumberLoss, number
from tunesmith.blocks.losses.start import weighted_quantile


@LOSSES.add("quantile")
class Quantile(NumberLoss):
    """q e where the target lies e above the output, (1 - q) |e| where below; its best output is the q-quantile.

    `quantile` q in (0, 1). For q = 0.5 it is half of mae.

    At start: q times the positive part of the target plus (1 - q) times the negative part, with zero outputs; the best
    constant is the q-quantile of each column.
    Use: bounds of an interval, or errors that cost more on one side. r2, rmse and (but for 0.5) mae are best elsewhere: the
    best weights of a run are those of the least loss, unless a metric is named.

    >>> float(Quantile(quantile=0.9)(torch.zeros(2), torch.tensor([1.0, -1.0])).sum)
    1.0
    """

    name = "quantile"
    settings = ("quantile",)

    def __init__(self, *, kind: str = "regression", quantile: float = 0.5) -> None:
        super().__init__(kind=kind)
        self.quantile = number(quantile, self.name, "quantile", above=0, below=1, usual="0.5, or 0.05 and 0.95,")
        self.judges = quantile != 0.5

    def values(self, guess: Tensor, truth: Tensor) -> Tensor:
        error = truth - guess
        return torch.maximum(self.quantile * error, (self.quantile - 1) * error)

    def _best(self, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        return weighted_quantile(cases, each, self.quantile)
