"""regularisation_more: dropout behind the hidden activations, or weight decay.

Does      dropout of 0.3 behind each hidden activation; weight decay of 0.01 (5e-4 for plain descent).
Mends     a net that knows its training rows and no others.
Limits    more rows help more.
Source    Srivastava et al., JMLR 15:1929; values: rules of thumb, reg.dropout and reg.l2.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.swapped_activation import hidden_activations
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.courses import Variation
from tunesmith.doctor.repair.surgery.catalogue import surgery

SHARE = 0.3  # rules of thumb: wide dense layers 0.2 to 0.5
DECAY, DECAY_SGD = 0.01, 5e-4  # rules of thumb, reg.l2


@surgery(
    "regularisation_more",
    faults=("fit.overfit", "data.label_noise"),
    lines=lambda before, after, values: [values["line"]],
)
def regularisation_more(case: Any) -> Iterator[Change]:
    suspicion = case.suspected("fit.overfit", "data.label_noise")
    if not suspicion and case.trouble.kind != "apart":
        return
    likely, program = max(0.3, suspicion), case.bench.program
    drops = [one for one in program.model.modules() if isinstance(one, nn.modules.dropout._DropoutNd) and one.p > 0]
    if hidden_activations(program.model) and not drops:
        line = f"nn.Dropout({SHARE}) behind each hidden activation"
        yield Change(
            "dropout", likely, mend=_dropped, recipe={"model.dropout": SHARE}, values={"line": f"model = …  # {line}"}
        )
    groups = getattr(program.optimizer, "param_groups", ())
    decay = DECAY_SGD if isinstance(program.optimizer, torch.optim.SGD) else DECAY
    if groups and all("weight_decay" in group and group["weight_decay"] < decay for group in groups):

        def decayed(bench: Bench, twin: Twin) -> bool:
            for group in twin.optimizer.param_groups:
                group["weight_decay"] = decay
            return True

        line = f'for group in optimizer.param_groups: group["weight_decay"] = {decay:g}'
        recipe = {"optim.weight_decay": decay}
        yield Change("weight decay", 0.8 * likely, mend=decayed, recipe=recipe, values={"line": line})
    if case.trouble.kind == "apart" or suspicion:
        less = Variation("a quarter of the epochs", epochs=0.25)
        if program.epochs >= 4:
            line = f"epochs = {round(program.epochs / 4)}  # was {program.epochs}"
            recipe = {"train.epochs": max(1, round(program.epochs / 4))}
            yield Change("a quarter of the epochs", 0.6 * likely, less, recipe=recipe, values={"line": line})


def _dropped(bench: Bench, twin: Twin) -> bool:
    for name, one in hidden_activations(twin.model):
        parent, _, leaf = name.rpartition(".")
        setattr(twin.model.get_submodule(parent), leaf, nn.Sequential(one, nn.Dropout(SHARE)))
    return True
