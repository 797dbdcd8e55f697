"""no_regulariser: dropout, decay or penalty overwhelms the data.

Sees      the program trained without dropout and weight decay.
Matters   a net that is held back from its training rows does worse on all others.
Remedies  weaken them, one at a time.
Limits    a penalty inside the loss is not seen.
Source    vocabulary of reg.too_strong.
"""

from collections.abc import Iterator

from torch import nn

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight.courses import Variation
from tunesmith.doctor.preflight.short_run import regularised

MUCH_DROPOUT, MUCH_DECAY = 0.6, 0.05  # UMLAUT warns above 0.5; decay: assumption


@experiment("no_regulariser", faults=("reg.too_strong",), remedy="remedy.loop_less_regularisation")
def no_regulariser(case: Case) -> Iterator[Change]:
    if not regularised(case.bench):
        return
    program = case.bench.program
    drops = [one.p for one in program.model.modules() if isinstance(one, nn.modules.dropout._DropoutNd)]
    decays = [float(group.get("weight_decay", 0.0)) for group in program.optimizer.param_groups]
    much = max(drops, default=0.0) > MUCH_DROPOUT or max(decays, default=0.0) > MUCH_DECAY
    name = "no regularisation"
    values = {"dropout": max(drops, default=0.0), "decay": max(decays, default=0.0)}
    likely = max(0.5 if much else 0.1, case.suspected("reg.too_strong"))
    recipe = {"model.dropout": 0.0, "optim.weight_decay": 0.0}
    yield Change(name, likely, Variation(name, plain=True), recipe=recipe, values=values)
