"""Cross entropy with less weight on what is already right. Lin et al., arXiv:1708.02002, eq. 5."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.classes import labelled, one_logit
from tunesmith.blocks.losses.loss import Reduced, align, class_mass, reduced, single_precision
from tunesmith.blocks.losses.member import Member, number
from tunesmith.blocks.losses.start import Answers, Classes
from tunesmith.records import RecipeError

NOTHING = torch.iinfo(torch.int64).min  # no label is this number
DIVISORS = ("values", "positives")


@LOSSES.add("focal")
class Focal(Member):
    """-α_t (1 - p_t)^γ log p_t, with p_t the probability of the true class or answer (eq. 5); γ = 0 is cross entropy.

    Classes: logits (N, C) and the other layouts of `cross_entropy`, softmax. Two classes: also one logit (N,), (N, 1).
    Several labels: (N, K), a sigmoid each.

    `gamma` γ >= 0, 2 in the paper. `alpha`: for yes and no the weight of a yes, 1 - alpha that of a no (0.25 in the
    paper, beside γ = 2); for classes a list of one weight each; it stays in the sum and is not divided out, while
    `class_weights` are, as in `cross_entropy`. `normalise`: "values" divides by all values, as
    `torchvision.ops.sigmoid_focal_loss` with reduction "mean" does; "positives" by the count of yes, as the paper does
    (section 3.3, "assigned to a ground-truth box") with its code and torchvision's RetinaNet; it needs answers.

    At start: α (1 - 1/C)^γ ln C with zero outputs, (1/2)^γ ln 2 for answers with α = 1; with the bias at the prior
    π and yes and no apart π (1 - π)^γ (-log π) + (1 - π) π^γ (-log (1 - π)).
    Use: many easy samples of a common class that drown the rare one; its probabilities are too near the middle, so
    calibrate them, and try plain weights first.

    >>> import math
    >>> value = Focal(kind="binary", gamma=2.0)(torch.zeros(4), torch.ones(4)).value
    >>> math.isclose(value, 0.25 * math.log(2), rel_tol=1e-6)
    True
    """

    name = "focal"
    kinds = ("multiclass", "binary", "multilabel", "language")
    settings = ("gamma", "alpha", "normalise", "class_weights", "ignore_index", "class_dim")

    def __init__(
        self,
        *,
        kind: str = "multiclass",
        gamma: float = 2.0,
        alpha: float | Sequence[float] | Tensor | None = None,
        normalise: str = "values",
        class_weights: Tensor | None = None,
        ignore_index: int | None = -100,
        class_dim: int | None = None,
    ) -> None:
        self.kind = kind
        self.gamma = number(gamma, self.name, "gamma", least=0, usual="2.0")
        self.answers = kind in ("binary", "multilabel")
        self.alpha = self._checked(alpha)
        self.normalise = normalise
        self.class_weights = class_weights
        self.ignore_index = ignore_index
        self.class_dim = (-1 if kind == "language" else 1) if class_dim is None else class_dim
        self.labels = not self.answers
        width = None if class_weights is None else len(class_weights)
        self.start = Answers() if self.answers else Classes(width, ignore_index, self.class_dim)
        if normalise not in DIVISORS or (normalise == "positives" and not self.answers):
            raise RecipeError(
                f"focal got normalise = {normalise!r} for a {kind} task, 'values' was expected, or 'positives' where "
                "answers are yes or no; 'values' is usual"
            )

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        logits = single_precision(outputs)
        values, mass = self._of_answers(logits, target) if self.answers else self._of_classes(logits, target)
        return reduced(values, mass, weight, self.name)

    def _of_answers(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        logits, target = align(one_logit(logits, target) if self.kind == "binary" else logits, target, self.name)
        answers = target.to(logits.dtype)
        right, wrong = functional.logsigmoid(logits), functional.logsigmoid(-logits)
        # (1 - p)^γ as exp(γ log(1 - p)): its slope is finite at p = 1 for every γ
        yes, no = -(self.gamma * wrong).exp() * right, -(self.gamma * right).exp() * wrong
        if self.alpha is not None:
            yes, no = self.alpha.to(yes) * yes, (1 - self.alpha.to(no)) * no
        values = answers * yes + (1 - answers) * no
        mass = None
        if self.class_weights is not None:
            each = self.class_weights.to(answers)
            mass = each[1] * answers + each[0] * (1 - answers) if self.kind == "binary" else each.expand_as(answers)
            values = values * mass
        return values, answers * (1.0 if mass is None else mass) if self.normalise == "positives" else mass

    def _of_classes(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        logits, labels = labelled(logits, target, self.class_dim, self.name)
        ignored = NOTHING if self.ignore_index is None else self.ignore_index
        each = None if self.class_weights is None else self.class_weights.to(logits)
        mass = class_mass(labels, each, ignored)
        kept = labels != ignored
        places = labels.where(kept, 0).unsqueeze(1)
        right = logits.log_softmax(1).gather(1, places).squeeze(1)
        own = torch.arange(logits.shape[1], device=logits.device).reshape(self._column(logits)) == places
        least = torch.finfo(logits.dtype).min  # in place of -inf, whose gradient is NaN where no class is left beside
        others = logits.clamp(min=least).masked_fill(own, least)
        wrong = others.logsumexp(1) - logits.logsumexp(1)  # log(1 - p_t), exact where p_t is near 1
        values = -(self.gamma * wrong).exp() * right * mass
        if self.alpha is not None:
            values = values * self.alpha.to(values)[places.squeeze(1)]
        return values, mass.to(values.dtype)

    @staticmethod
    def _column(logits: Tensor) -> tuple[int, ...]:
        return (1, -1) + (1,) * (logits.dim() - 2)

    def _checked(self, alpha: float | Sequence[float] | Tensor | None) -> Tensor | None:
        if alpha is None:
            return None
        each = torch.as_tensor(alpha)
        fits = (
            each.dim() == 0 and 0 <= float(each) <= 1 if self.answers else each.dim() == 1 and bool((each >= 0).all())
        )
        if not fits or not each.is_floating_point():
            wanted = "a share between 0 and 1" if self.answers else "a list of one number a class, 0.0 or more,"
            raise RecipeError(
                f"focal got alpha = {alpha!r} for a {self.kind} task, {wanted} was expected; leave it out"
            )
        return each
