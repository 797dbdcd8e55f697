"""Squared near zero, absolute far from it. Huber, Annals of Mathematical Statistics 35 (1964) 73."""

from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.loss import Reduced, align, reduced, single_precision
from tunesmith.records import RecipeError


@LOSSES.add("huber")
class Huber:
    """e²/2 where |e| <= delta, delta (|e| - delta/2) beyond; `delta` in units of the target.

    >>> import torch
    >>> float(Huber()(torch.zeros(2), torch.tensor([1.0, 3.0])).sum)
    3.0
    """

    name = "huber"
    kinds = ("regression", "multi_regression")
    settings = ("delta",)
    opaque = couples = additive = False

    def __init__(self, *, kind: str = "regression", delta: float = 1.0) -> None:
        if not delta > 0:
            raise RecipeError(
                f"huber got delta = {delta!r}, a number above 0 was expected; 1.0 is usual for a scaled target"
            )
        self.kind = kind
        self.delta = delta

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        guess, truth = align(single_precision(outputs), target, self.name)
        truth = truth.to(guess.dtype)
        if weight is None:
            return Reduced(functional.huber_loss(guess, truth, reduction="sum", delta=self.delta), float(guess.numel()))
        return reduced(functional.huber_loss(guess, truth, reduction="none", delta=self.delta), None, weight, self.name)
