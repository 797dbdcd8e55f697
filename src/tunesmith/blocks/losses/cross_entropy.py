"""Cross entropy of logits. Label smoothing: Szegedy et al., arXiv:1512.00567, section 7, with class weights as
torch."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.classes import classes_first
from tunesmith.blocks.losses.loss import Reduced, class_mass, reduced, single_precision
from tunesmith.blocks.losses.member import Member
from tunesmith.blocks.losses.start import Classes, log_shares

NOTHING = torch.iinfo(torch.int64).min  # no label is this number


@LOSSES.add("cross_entropy")
class CrossEntropy(Member):
    """Σ s w_y l / Σ s w_y over samples, with l = -log softmax(logits)_y.

    Shapes: logits (N, C) with labels (N,); (N, C, L, …) with (N, L, …) as torch has it; (N, L, C) with (N, L) for the
    kind "language", or any with `class_dim=-1`. A floating target in the shape of the logits holds probabilities.
    `ignore_index=None` counts every label. The sum of a target of probabilities p is divided by the rows, as torch does; with
    `divides_by_shares` by Σ s Σ_c w_c p_c instead, which is what labels are divided by.

    At start: ln C with zero outputs, whatever the data; H(prior) = -Σ p_c log p_c with the bias at log p_c.
    Use: one class of several, and two; it takes logits, never probabilities.

    >>> loss = CrossEntropy()
    >>> round(float(loss(torch.zeros(4, 10), torch.arange(4)).value), 4)
    2.3026
    >>> round(CrossEntropy().at_start([0] * 9 + [1], bias="data"), 4)  # H(0.1)
    0.3251
    """

    name = "cross_entropy"
    kinds = ("multiclass", "binary", "language")
    settings = ("class_weights", "label_smoothing", "ignore_index", "class_dim")
    labels = True
    divides_by_shares = False  # where labels and mixtures of labels are to be one loss
    start: Classes

    def __init__(
        self,
        *,
        kind: str = "multiclass",
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = -100,
        class_dim: int | None = None,
    ) -> None:
        self.class_weights = class_weights
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.class_dim = (-1 if kind == "language" else 1) if class_dim is None else class_dim
        self.start = Classes(None if class_weights is None else len(class_weights), ignore_index, self.class_dim)

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        logits, target = classes_first(single_precision(outputs), target, self.class_dim, self.name)
        each = None if self.class_weights is None else self.class_weights.to(logits)
        ignored = NOTHING if self.ignore_index is None else self.ignore_index
        settings: dict[str, Any] = {"weight": each, "ignore_index": ignored, "label_smoothing": self.label_smoothing}
        labels = not target.is_floating_point()
        counted = labels and (each is not None or self.ignore_index is not None)
        mass = class_mass(target, each, ignored) if counted else None
        if not labels and each is not None and self.divides_by_shares:
            mass = target.movedim(1, -1).to(each) @ each
        if weight is not None:
            return reduced(
                functional.cross_entropy(logits, target, reduction="none", **settings), mass, weight, self.name
            )
        total = functional.cross_entropy(logits, target, reduction="sum", **settings)
        return Reduced(total, float(logits.numel() // logits.shape[1]) if mass is None else mass.sum())

    def _best(self, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        """p_c as w_c n_c, with the smoothed part of each label spread over the classes."""
        counts = self.start.counts(cases, each, outputs)
        weights = torch.ones_like(counts) if self.class_weights is None else self.class_weights.to(counts)
        spread = self.label_smoothing * counts.sum() / len(counts)
        return log_shares(weights * ((1 - self.label_smoothing) * counts + spread))
