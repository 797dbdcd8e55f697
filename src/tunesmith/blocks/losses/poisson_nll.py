"""Negative log likelihood of counts. Nelder & Wedderburn, Generalized Linear Models, JRSS A 135 (1972) 370."""

import math

import torch
from torch import Tensor

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.member import NumberLoss
from tunesmith.blocks.losses.start import RAREST, Numbers
from tunesmith.records import RecipeError


@LOSSES.add("poisson_nll")
class PoissonNll(NumberLoss):
    """exp(z) - y z for an output z = log rate and a count y >= 0, as `torch.nn.PoissonNLLLoss` with log_input.

    `full` adds log y! by Stirling, y log y - y + log(2 π y)/2 where y > 1, as torch does: it changes no gradient, and
    brings the loss near a true likelihood. The loss may be below 0. A prediction is exp(z), so the target of a recipe is
    not scaled. The gradient exp(z) - y grows with the rate: z beyond 88 overflows float32, and no form of it helps.

    At start: 1 with zero outputs; mean (1 - log mean) with the bias at the log of the mean, the best constant.
    Use: counts and rates; for counts more spread than their mean take it for the mean only.

    >>> float(PoissonNll().at_start([0.0, 2.0])), float(PoissonNll().no_skill([0.0, 2.0]))
    (1.0, 1.0)
    """

    name = "poisson_nll"
    settings = ("full",)

    def __init__(self, *, kind: str = "regression", full: bool = False) -> None:
        super().__init__(kind=kind)
        if not isinstance(full, bool):
            raise RecipeError(f"poisson_nll got full = {full!r}, true or false was expected; false is usual")
        self.full = full
        self.start = Numbers(link=_log_rate)

    def values(self, guess: Tensor, truth: Tensor) -> Tensor:
        values = guess.exp() - truth * guess
        return values + _stirling(truth) if self.full else values

    def _best(self, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        return self.start.usual(cases, each, outputs)


def _log_rate(mean: Tensor) -> Tensor:
    return mean.clamp(min=RAREST).log()


def _stirling(count: Tensor) -> Tensor:
    large = count.clamp(min=1)
    value = large * large.log() - large + 0.5 * (2 * math.pi * large).log()
    return torch.where(count > 1, value, 0.0)
