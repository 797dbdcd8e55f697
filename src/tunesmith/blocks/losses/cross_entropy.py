"""Cross entropy of logits. Label smoothing: Szegedy et al., arXiv:1512.00567, section 7, with class weights as
torch."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.loss import Reduced, class_mass, reduced, single_precision
from tunesmith.records import ModelError

NOTHING = torch.iinfo(torch.int64).min  # no label is this number


@LOSSES.add("cross_entropy")
class CrossEntropy:
    """Σ s w_y l / Σ s w_y over samples, with l = -log softmax(logits)_y.

    Shapes: logits (N, C) with labels (N,); (N, C, L, …) with (N, L, …) as torch has it; (N, L, C) with (N, L) for the
    kind "language", or any with `class_dim=-1`. A floating target in the shape of the logits holds probabilities.
    `ignore_index=None` counts every label.

    >>> loss = CrossEntropy()
    >>> round(float(loss(torch.zeros(4, 10), torch.arange(4)).value), 4)
    2.3026
    """

    name = "cross_entropy"
    kinds = ("multiclass", "binary", "language")
    settings = ("class_weights", "label_smoothing", "ignore_index", "class_dim")
    opaque = couples = additive = False

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

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        logits, target = self._shaped(single_precision(outputs), target)
        each = None if self.class_weights is None else self.class_weights.to(logits)
        ignored = NOTHING if self.ignore_index is None else self.ignore_index
        settings: dict[str, Any] = {"weight": each, "ignore_index": ignored, "label_smoothing": self.label_smoothing}
        labels = not target.is_floating_point()
        counted = labels and (each is not None or self.ignore_index is not None)
        mass = class_mass(target, each, ignored) if counted else None
        if weight is not None:
            return reduced(
                functional.cross_entropy(logits, target, reduction="none", **settings), mass, weight, self.name
            )
        total = functional.cross_entropy(logits, target, reduction="sum", **settings)
        return Reduced(total, float(logits.numel() // logits.shape[1]) if mass is None else mass.sum())

    def _shaped(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Logits with the classes at dimension 1, and a target that fits them."""
        if outputs.dim() < 2 or outputs.shape[self.class_dim] < 2:
            raise ModelError(
                f"{self.name} got outputs of shape {tuple(outputs.shape)}, one logit a class was expected at dimension "
                f"{self.class_dim}; "
                "give the model one output a class, or take binary_cross_entropy for a single logit"
            )
        logits = outputs if self.class_dim == 1 or outputs.dim() == 2 else outputs.movedim(self.class_dim, 1)
        if target.is_floating_point():
            target = target if self.class_dim == 1 or target.dim() < 3 else target.movedim(self.class_dim, 1)
            if target.shape == logits.shape:
                return logits, target
        labels = logits.shape[:1] + logits.shape[2:]
        if target.shape == (*labels, 1):
            target = target.squeeze(-1)
        if target.shape != labels or target.is_floating_point() or target.is_complex():
            raise ModelError(
                f"{self.name} got outputs of shape {tuple(outputs.shape)} and a {target.dtype} target of shape "
                f"{tuple(target.shape)}, "
                f"whole-number labels of shape {tuple(labels)} were expected; check where the classes lie (dimension "
                f"{self.class_dim}) and the labels"
            )
        return logits, target.long()
