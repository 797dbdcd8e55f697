"""Learning from a teacher's logits. Hinton et al., arXiv:1503.02531, section 2."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tunesmith.blocks.losses import LOSSES
from tunesmith.blocks.losses.loss import Reduced, reduced, single_precision
from tunesmith.blocks.losses.member import Bias, Member, number
from tunesmith.blocks.losses.start import Numbers, log_shares, minimised
from tunesmith.records import ModelError


@LOSSES.add("distillation")
class Distillation(Member):
    """alpha T² KL(softmax(t / T) ‖ softmax(z / T)) + (1 - alpha) (-log softmax(z)_y), a mean over samples.

    Logits z of the student and t of the teacher, (N, C), labels y (N,), T = `temperature`. T² keeps the size of the
    teacher's gradient when T changes (the paper, section 2). The teacher comes in one of three ways: the model returns
    (z, t), z first so that metrics judge the student; the target is a pair (y, t); or one tensor (N, 1 + C) with the label
    in its first column, as `packed` makes it. No gradient goes to t.

    At start: alpha T² (ln C - H(softmax(t / T))) + (1 - alpha) ln C with zero outputs.
    Use: a small net after a large one; `Task(loss=Distillation(temperature=4.0))`. alpha = 1 needs no true label.

    >>> agreed = torch.tensor([[2.0, 0.0]])
    >>> float(Distillation(alpha=1.0)((agreed, agreed), torch.tensor([0])).value)
    0.0
    """

    name = "distillation"
    kinds = ()
    settings = ("temperature", "alpha")
    whole = True

    def __init__(self, *, temperature: float = 2.0, alpha: float = 0.5) -> None:
        self.temperature = number(temperature, self.name, "temperature", above=0, usual="2.0 to 20")
        self.alpha = number(alpha, self.name, "alpha", least=0, most=1, usual="0.5 to 0.9")
        self.start = Numbers()

    def __call__(self, outputs: Any, target: Any, weight: Tensor | None = None) -> Reduced:
        student, teacher, labels = self._parted(outputs, target)
        student = single_precision(student)
        teacher = teacher.detach().to(student.dtype)
        values = (1 - self.alpha) * functional.cross_entropy(student, labels, reduction="none")
        wanted = (teacher / self.temperature).log_softmax(1)
        told = (student / self.temperature).log_softmax(1)
        apart = (wanted.exp() * (wanted - told)).sum(1)
        return reduced(values + self.alpha * self.temperature**2 * apart, None, weight, self.name)

    def _parted(self, outputs: Any, target: Any) -> tuple[Tensor, Tensor, Tensor]:
        if isinstance(outputs, Mapping):
            outputs = (outputs.get("logits"), outputs.get("teacher_logits"))
        if isinstance(outputs, list | tuple) and len(outputs) == 2:
            student, teacher, labels = outputs[0], outputs[1], target
        elif isinstance(target, list | tuple) and len(target) == 2:
            student, teacher, labels = outputs, target[1], target[0]
        elif isinstance(target, Tensor) and target.dim() == 2 and isinstance(outputs, Tensor):
            student, teacher, labels = outputs, target[:, 1:], target[:, 0]
        else:
            student, teacher, labels = outputs, None, target
        if not isinstance(student, Tensor) or not isinstance(teacher, Tensor) or student.shape != teacher.shape:
            shapes = [tuple(one.shape) if isinstance(one, Tensor) else one for one in (student, teacher)]
            raise ModelError(
                f"distillation got logits of shape {shapes[0]} for the student and {shapes[1]} for the teacher, equal "
                "shapes (N, C) were expected; give the teacher's logits beside the student's, or in the target"
            )
        if not isinstance(labels, Tensor) or labels.shape[:1] != student.shape[:1]:
            raise ModelError(
                f"distillation got no labels for {len(student)} rows; give whole numbers (N,) as the target"
            )
        return student, teacher, labels.reshape(len(student)).long()

    def at_start(
        self, target: Any, *, outputs: int | Tensor | None = None, bias: Bias = "zero", weight: Tensor | None = None
    ) -> float:
        """The loss of zero logits, of the log shares of the labels, or of given ones; `target`: (labels, t), or packed."""
        labels, teacher = _taught(target)
        if isinstance(bias, Tensor):
            row = bias.detach().cpu().double()
        elif bias == "data":
            each = torch.ones(len(labels)).double() if weight is None else torch.as_tensor(weight).cpu().double()
            counts = torch.zeros(teacher.shape[1]).double().index_add_(0, labels, each)
            row = log_shares(counts)
        else:
            row = torch.zeros(teacher.shape[1]).double()
        return self._constant(row, labels, teacher, weight)

    def no_skill(self, target: Any, *, outputs: int | Tensor | None = None, weight: Tensor | None = None) -> float:
        """The least loss of constant logits, by descent."""
        labels, teacher = _taught(target)
        best = minimised(
            lambda row: self(row.expand(len(labels), -1), (labels, teacher), weight).value,
            torch.zeros(teacher.shape[1]).double(),
        )
        return self._constant(best, labels, teacher, weight)

    def skill(self, outputs: Any, target: Any, weight: Tensor | None = None) -> float:
        """Loss / no-skill loss, wherever the teacher's logits come from."""
        student, teacher, labels = self._parted(outputs, target)
        with torch.no_grad():
            value = float(self((student, teacher), labels, weight).value)
        return value / self.no_skill((labels, teacher), weight=weight)

    def _constant(self, row: Tensor, labels: Tensor, teacher: Tensor, weight: Tensor | None) -> float:
        with torch.no_grad():
            return float(self(row.expand(len(labels), -1), (labels, teacher), weight).value)


def packed(labels: Tensor, teacher: Tensor) -> Tensor:
    """Labels (N,) and a teacher's logits (N, C) as one target (N, 1 + C), for data sets that hold one tensor a row."""
    return torch.cat([labels.reshape(-1, 1).to(teacher.dtype), teacher], dim=1)


def _taught(target: Any) -> tuple[Tensor, Tensor]:
    pair = target if isinstance(target, list | tuple) else (target[:, 0], target[:, 1:])
    labels, teacher = (torch.as_tensor(one).detach().cpu() for one in pair)
    return labels.long(), teacher.double()
