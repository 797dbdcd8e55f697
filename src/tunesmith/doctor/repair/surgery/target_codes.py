"""target_codes: answers by the codes that the loss takes: 0 and 1, or 0 … C-1.

Does      writes two answers as 0 and 1 where an element-wise loss of probabilities is given others (-1 and 1; also where only some are so);
          classes counted from 1 as classes counted from 0.
Mends     labels that lie outside what the loss is made for.
Limits    arrays and tensors; whole numbers of which it is plain which answer they mean. A code beyond that is a matter for people.
Source    vocabulary of data.label_out_of_range; docs of torch.nn.BCEWithLogitsLoss and CrossEntropyLoss.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.repair.exchanging import head
from tunesmith.doctor.repair.surgery.catalogue import surgery
from tunesmith.doctor.repair.surgery.target_form import CLASSES
from tunesmith.records import Program

CHANCES = (nn.BCELoss, nn.BCEWithLogitsLoss, nn.MultiLabelSoftMarginLoss)


@surgery(
    "target_codes",
    faults=("data.label_out_of_range", "loss.mismatch", "run.crash"),
    lines=lambda before, after, values: [f"y = {values['code']}  # of every part, the test part too"],
    invariant=True,
    crashed=True,
)
def target_codes(case: Any) -> Iterator[Change]:
    program = case.bench.program
    if not all(part is None or isinstance(part, tuple) for part in (program.train, program.val)):
        return
    code = code_of(program)
    if code is not None:
        yield Change(
            f"targets by y = {code}",
            max(0.3, case.suspected("data.label_out_of_range", "run.crash")),
            rewrite=lambda bench, own: _recoded(bench, own, code),
            values={"code": code},
        )


def code_of(program: Program) -> str | None:
    """The arithmetic that brings the targets to the codes of the loss; None where they have them, or no simple one does."""
    values = np.unique(np.asarray(torch.as_tensor(program.train[1]).detach().cpu()))
    if not len(values) or not np.isfinite(values).all() or (values != np.round(values)).any():
        return None
    if isinstance(program.loss_fn, CHANCES):
        if set(values.tolist()) in ({-1.0, 1.0}, {-1.0, 0.0, 1.0}):
            return "(y > 0)"
        return "(y - 1)" if set(values.tolist()) == {1.0, 2.0} else None
    if isinstance(program.loss_fn, CLASSES) and values.min() == 1 and len(values) == values.max():
        last = head(program.model)
        return "(y - 1)" if last is not None and last[1].out_features == len(values) else None
    return None


def _recoded(bench: Bench, own: Program, code: str) -> Program:
    def coded(part: Any) -> Any:
        if part is None:
            return None
        target = part[1]
        changed = target > 0 if code == "(y > 0)" else target - 1
        kind = target.dtype
        return (part[0], changed.to(kind) if isinstance(changed, torch.Tensor) else changed.astype(kind))

    return replace(own, train=coded(own.train), val=coded(own.val))
