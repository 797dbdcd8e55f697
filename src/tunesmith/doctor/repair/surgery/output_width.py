"""output_width: one output for each class.

Does      exchanges the last linear layer for one with as many outputs as there are classes; the rows it has are kept.
Mends     labels without an output, outputs without a label.
Limits    ends in a linear layer; labels below 0 are a matter of the data.
Source    vocabulary of output.wrong_width.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.repair.exchanging import exchange, head, is_steppable
from tunesmith.doctor.repair.surgery.catalogue import surgery


@surgery(
    "output_width",
    faults=("output.wrong_width", "data.label_out_of_range", "run.crash", "output.wrong_activation"),
    lines=lambda before, after, values: [f"{values['name']} = nn.Linear({values['inputs']}, {values['classes']})"],
    crashed=True,
)
def output_width(case: Any) -> Iterator[Change]:
    bench = case.bench
    if bench.kind not in ("binary", "multiclass") or not is_steppable(bench.program.optimizer):
        return
    last, target = head(bench.program.model), torch.as_tensor(bench.target)
    if last is None or target.dim() > 1 or bool((target < 0).any()) or bool((target != target.round()).any()):
        return
    classes = int(target.max()) + 1
    one_for_two = (
        last[1].out_features == 1 and classes == 2 and not isinstance(bench.program.loss_fn, nn.CrossEntropyLoss)
    )
    if last[1].out_features == classes or one_for_two:
        return
    fewer = last[1].out_features > classes
    suspicion = case.suspected("output.wrong_width", "data.label_out_of_range", "run.crash")
    values = {"name": f"model.{last[0]}", "inputs": last[1].in_features, "classes": classes}
    name = f"{classes} outputs"
    yield Change(name, max(0.1 if fewer else 0.6, suspicion), mend=lambda b, t: _widened(b, t, classes), values=values)


def _widened(bench: Bench, twin: Twin, classes: int) -> bool:
    last = head(twin.model)
    if last is None:
        return False
    name, old = last
    new = nn.Linear(old.in_features, classes, bias=old.bias is not None).to(old.weight.device, old.weight.dtype)
    kept = min(classes, old.out_features)
    with torch.no_grad():
        if kept > 1:  # one output that stands for two classes tells nothing of either
            new.weight[:kept] = old.weight[:kept]
            if old.bias is not None:
                new.bias[:kept] = old.bias[:kept]
    exchange(twin, name, new)
    return True
