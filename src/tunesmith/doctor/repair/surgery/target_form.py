"""target_form: targets in the form that the loss takes.

Does      labels of a class loss as whole numbers; targets of an element-wise loss in the type and the shape of the outputs.
Mends     a loss that raises over the type of its targets, or that pairs each output with every target.
Limits    changes the form of what the loss is given, never a value.
Source    vocabulary of loss.shape_broadcast and loss.mismatch.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.repair.surgery.catalogue import surgery

CLASSES = (nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss)


@surgery(
    "target_form",
    faults=("loss.shape_broadcast", "loss.mismatch", "run.crash"),
    lines=lambda before, after, values: [
        "loss = loss_fn(out, y.reshape(-1).long())"
        if isinstance(before.loss_fn, CLASSES)
        else "loss = loss_fn(out, y.reshape(out.shape).to(out.dtype))"
    ],
    invariant=True,
    crashed=True,
)
def target_form(case: Any) -> Iterator[Change]:
    bench = case.bench
    batch = bench.batch(8, "target_form")
    target, classed = batch.target, isinstance(bench.program.loss_fn, CLASSES)
    suspicion = case.suspected("loss.shape_broadcast", "run.crash", "loss.mismatch")
    if classed:
        flat = target.dim() == 1 or (target.dim() == 2 and target.shape[1] == 1)
        whole = bool((target == target.round()).all()) if target.is_floating_point() else True
        odd = flat and whole and (target.is_floating_point() or target.dtype != torch.int64 or target.dim() == 2)
    else:
        try:
            outputs = bench.twin().outputs(batch)
        except Exception:  # whatever a program that does not run raises
            return
        same = outputs.numel() == target.numel()
        odd = same and (outputs.shape != target.shape or outputs.dtype != target.dtype)
    if odd:
        yield Change("targets in the form of the loss", max(0.2, suspicion), mend=_mend)


class FormedClasses(nn.CrossEntropyLoss):
    """A class loss that is given labels as whole numbers; a cross-entropy to whoever asks what kind of loss it is."""

    def __init__(self, own: Callable[..., Any]) -> None:
        super().__init__()
        self.own = own

    def forward(self, given: Tensor, wanted: Tensor) -> Tensor:
        return torch.as_tensor(self.own(given, wanted.reshape(-1).long()))


class Formed:
    """An element-wise loss that is given targets in the type and the shape of the outputs."""

    def __init__(self, own: Callable[..., Any]) -> None:
        self.own = own

    def __call__(self, given: Any, wanted: Tensor, *more: Any) -> Any:
        shaped = given.reshape(wanted.shape) if given.dim() > wanted.dim() else given
        return self.own(shaped, wanted.reshape(shaped.shape).to(shaped.dtype), *more)


def _mend(bench: Bench, twin: Twin) -> bool:
    twin.loss_fn = (FormedClasses if isinstance(twin.loss_fn, CLASSES) else Formed)(twin.loss_fn)
    return True
