"""Mean of the absolute error."""

from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.loss import Reduced, align, reduced, single_precision


@LOSSES.add("mae")
class Mae:
    """Over all values, (N,) or (N, K); outputs (N, 1) meet a target (N,).

    >>> import torch
    >>> float(Mae()(torch.zeros(2), torch.full((2,), 0.5)).value)
    0.5
    """

    name = "mae"
    kinds = ("regression", "multi_regression")
    settings = ()
    opaque = couples = additive = False

    def __init__(self, *, kind: str = "regression") -> None:
        self.kind = kind

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        guess, truth = align(single_precision(outputs), target, self.name)
        truth = truth.to(guess.dtype)
        if weight is None:
            return Reduced(functional.l1_loss(guess, truth, reduction="sum"), float(guess.numel()))
        return reduced(functional.l1_loss(guess, truth, reduction="none"), None, weight, self.name)
