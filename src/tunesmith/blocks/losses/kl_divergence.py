"""How far predicted shares are from wanted ones. Kullback & Leibler, Annals of Mathematical Statistics 22 (1951) 79."""

import torch
from torch import Tensor

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.classes import classes_first
from tunesmith.blocks.losses.loss import Reduced, reduced, single_precision
from tunesmith.blocks.losses.member import Member
from tunesmith.blocks.losses.start import Classes, log_shares
from tunesmith.records import ModelError


@LOSSES.add("kl_divergence")
class KlDivergence(Member):
    """Σ_c q_c (log q_c - log softmax(z)_c), a mean over samples, for wanted shares q in the shape of the logits z (N, C).

    0 where both agree: the cross entropy of the same target less its entropy, with the same gradient. Torch's `KLDivLoss`
    takes log-probabilities, and divides by samples with reduction "batchmean" only; its "mean" divides by N C.

    At start: ln C - H(q), a mean over samples, with zero outputs; the best constant is the mean of the shares.
    Use: whole distributions as targets (annotators' votes, a teacher) where 0 shall mean perfect; for
    `Task(loss=KlDivergence())`.

    >>> wanted = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    >>> round(float(KlDivergence()(torch.zeros(2, 2), wanted).value), 4)
    0.3466
    """

    name = "kl_divergence"
    kinds = ()
    settings = ("class_dim",)
    scored = False

    def __init__(self, *, class_dim: int = 1) -> None:
        self.class_dim = class_dim
        self.start: Classes = Classes(class_dim=class_dim)

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        logits, wanted = classes_first(single_precision(outputs), target, self.class_dim, self.name)
        if not wanted.is_floating_point():
            raise ModelError(
                f"{self.name} got a {target.dtype} target of shape {tuple(target.shape)}, shares in the shape of the "
                f"outputs {tuple(outputs.shape)} were expected; cross_entropy takes labels"
            )
        wanted = wanted.to(logits.dtype)
        values = (torch.xlogy(wanted, wanted) - wanted * logits.log_softmax(1)).sum(1)
        return reduced(values, None, weight, self.name)

    def _best(self, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        return log_shares(self.start.counts(cases, each, outputs))
