"""Cross entropy of independent yes/no answers, from logits."""

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.classes import one_logit
from tunesmith.blocks.losses.loss import Reduced, align, reduced, single_precision
from tunesmith.blocks.losses.member import Member
from tunesmith.blocks.losses.start import Answers, log_odds
from tunesmith.records import ModelError


@LOSSES.add("binary_cross_entropy")
class BinaryCrossEntropy(Member):
    """Mean over all answers, each (N,) or (N, K), with l = -p y log σ(z) - (1 - y) log(1 - σ(z)) and p = `pos_weight`.

    `class_weights`: for "binary" the weights of no and yes, Σ s w_y l / Σ s w_y; for "multilabel" one weight a label,
    Σ s w_k l / Σ s w_k. For "binary" two logits (N, 2) count as their difference, which is the same probability.
    `label_smoothing` e moves y to y (1 - e) + e / 2.

    At start: ln 2 = 0.6931 with zero outputs, whatever the data; H(share of yes) with the bias at log n_yes / n_no.
    Use: several labels a row, each yes or no, and a model with one logit for two classes.

    >>> loss = BinaryCrossEntropy()
    >>> round(float(loss(torch.zeros(4, 3), torch.ones(4, 3)).value), 4)
    0.6931
    """

    name = "binary_cross_entropy"
    kinds = ("multilabel", "binary")
    settings = ("class_weights", "label_smoothing", "pos_weight")

    def __init__(
        self,
        *,
        kind: str = "multilabel",
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        pos_weight: Tensor | float | None = None,
    ) -> None:
        self.kind = kind
        self.class_weights = class_weights
        self.label_smoothing = label_smoothing
        self.pos_weight = None if pos_weight is None else torch.as_tensor(pos_weight)
        self.start = Answers()

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        logits = single_precision(outputs)
        logits = one_logit(logits, target) if self.kind == "binary" else logits
        logits, target = align(logits, target, self.name)
        answers = target.to(logits.dtype)
        mass = self._mass(answers)
        if self.label_smoothing:
            answers = answers * (1 - self.label_smoothing) + self.label_smoothing / 2
        favour = None if self.pos_weight is None else self.pos_weight.to(logits)
        values = functional.binary_cross_entropy_with_logits(logits, answers, reduction="none", pos_weight=favour)
        return reduced(values if mass is None else values * mass, mass, weight, self.name)

    def _mass(self, answers: Tensor) -> Tensor | None:
        if self.class_weights is None:
            return None
        each = self.class_weights.to(answers)
        if self.kind == "binary":
            return each[1] * answers + each[0] * (1 - answers)
        if answers.dim() != 2 or each.shape != answers.shape[1:]:
            raise ModelError(
                f"{self.name} got {len(each)} class weights for a target of shape {tuple(answers.shape)}; give one "
                "weight for each of the labels"
            )
        return each.expand_as(answers)

    def _best(self, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        mass = self._mass(cases)
        each = each if mass is None else each * mass
        answers = cases * (1 - self.label_smoothing) + self.label_smoothing / 2
        favour = 1.0 if self.pos_weight is None else self.pos_weight.to(cases)
        return log_odds((each * favour * answers).sum(0), (each * (1 - answers)).sum(0))
