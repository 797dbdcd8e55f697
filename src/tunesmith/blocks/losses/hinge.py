"""The margin loss of several classes. Weston & Watkins, ESANN 1999, eq. 5; as `torch.nn.MultiMarginLoss`."""

import copy

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.classes import labelled
from tunesmith.blocks.losses.loss import Reduced, align, reduced, single_precision
from tunesmith.blocks.losses.member import Member, number
from tunesmith.blocks.losses.start import Answers, Classes, Start, minimised
from tunesmith.records import RecipeError

SOFT = (1.0, 0.1, 0.01, 1e-3)  # widths of the rounded bend, in margins, on the way to the best constant; assumption
MANY = 100  # classes up to which the best constant is sought to the end; assumption: pairs cost C² in each step


@LOSSES.add("hinge")
class Hinge(Member):
    """Σ_{j ≠ y} max(0, margin - z_y + z_j)^power / C over logits z (N, C) with labels (N,).

    Several labels, or one logit (N,), (N, 1) for two classes: max(0, margin - t z)^power with t = 1 for yes, -1 for no,
    over all values. `power` 1 or 2. `class_weights` w: Σ s w_y l / Σ s w_y as `cross_entropy` has it; torch's module
    divides by the count of rows instead. Crammer & Singer (2001) take the largest of the sum only: that is another loss.

    At start: margin^power (C - 1) / C with zero outputs, margin^power for single answers.
    Use: a plain margin, as a support vector machine has it; outputs are no log-odds, so judge by accuracy or ROC-AUC and
    take probabilities only after calibration.

    >>> float(Hinge()(torch.zeros(2, 4), torch.tensor([0, 3])).value)
    0.75
    """

    name = "hinge"
    kinds = ("multiclass", "binary", "multilabel")
    settings = ("margin", "power", "class_weights")

    def __init__(
        self,
        *,
        kind: str = "multiclass",
        margin: float = 1.0,
        power: int = 1,
        class_weights: Tensor | None = None,
    ) -> None:
        self.kind = kind
        self.margin = number(margin, self.name, "margin", above=0, usual="1.0")
        if power not in (1, 2):
            raise RecipeError(f"hinge got power = {power!r}, 1 or 2 was expected; 1 is usual")
        self.power = power
        self.class_weights = class_weights
        self.labels = kind == "multiclass"
        self._soft = 0.0
        width = 2 if kind == "binary" else None if class_weights is None else len(class_weights)
        self.start = Answers() if kind == "multilabel" else Classes(width)

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        scores = single_precision(outputs)
        single = scores.dim() < 2 or scores.shape[1] == 1
        answers = self.kind == "multilabel" or (self.kind == "binary" and single)
        values, mass = self._of_answers(scores, target) if answers else self._of_classes(scores, target)
        return reduced(values, mass, weight, self.name)

    def _of_answers(self, scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        scores, target = align(scores, target, self.name)
        answers = target.to(scores.dtype)
        values = self._bent(self.margin - (2 * answers - 1) * scores)
        if self.class_weights is None:
            return values, None
        each = self.class_weights.to(values)
        mass = each[1] * answers + each[0] * (1 - answers) if self.kind == "binary" else each.expand_as(values)
        return values * mass, mass

    def _of_classes(self, scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        scores, labels = labelled(scores, target, 1, self.name)
        places = labels.unsqueeze(1)
        own = scores.gather(1, places)
        others = torch.arange(scores.shape[1], device=scores.device).reshape(1, -1, *[1] * (scores.dim() - 2)) != places
        values = (self._bent(self.margin - own + scores) * others).sum(1) / scores.shape[1]
        if self.class_weights is None:
            return values, None
        mass = self.class_weights.to(values)[labels]
        return values * mass, mass

    def _bent(self, gap: Tensor) -> Tensor:
        if self._soft:
            return self._soft * functional.softplus(gap / self._soft)
        above = gap.clamp(min=0)
        return above if self.power == 1 else above.square()

    def _start(self, outputs: int | None) -> Start:
        return Answers() if self.kind == "binary" and outputs == 1 else self.start

    def _best(self, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        """By descent. A margin with a bend is descended with the bend rounded, ever less, and then put on it.

        The loss of constants depends on differences alone and bends where they are whole margins, so it is the mean of
        its values at the constants rounded down to whole margins above any offset: the best of these is not worse.
        Beyond `MANY` classes not all offsets are tried: the constant then is a good one, perhaps not the best.
        """
        if self.power == 2:
            return super()._best(cases, each, outputs)
        start, near = self._start(outputs), copy.copy(self)
        row = start.usual(cases, each, outputs).clamp(-self.margin, self.margin)
        few = row.numel() <= MANY
        for near._soft in (share * self.margin for share in (SOFT if few else SOFT[1:2])):
            row = minimised(lambda point: near._at(point, cases, each, outputs), row, steps=500 if few else 20)
        if not isinstance(start, Classes):  # single answers bend at one margin on either side of 0
            return torch.where(row >= 0, self.margin, -self.margin)
        whole = row / self.margin
        offsets = sorted(set((whole - whole.floor()).tolist()))
        chosen = offsets if few else offsets[:: 1 + len(offsets) // 20]
        rows = [self.margin * (whole - offset + 1e-9).floor() for offset in chosen]
        values = [self._valued(point, cases, each, outputs) for point in rows]
        least: Tensor = rows[values.index(min(values))]
        return least
