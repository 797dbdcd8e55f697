"""all_registered: weights that should learn do not.

Sees      the program trained with every parameter of the model asking for a gradient and held by the optimizer.
Matters   a layer that stays as it was drawn is a random projection.
Remedies  build the optimizer last, over all parameters; thaw what should learn.
Limits    a part that was frozen on purpose is a cure only where the program falls short without it.
Source    vocabulary of optim.unregistered_params.
"""

from collections.abc import Iterator

import torch

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin


@experiment("all_registered", faults=("optim.unregistered_params",), remedy="remedy.causes_register")
def all_registered(case: Case) -> Iterator[Change]:
    program = case.bench.program
    if not isinstance(program.optimizer, torch.optim.Optimizer):
        return
    count = len(left_out(program.model, program.optimizer))
    if count:
        suspicion = case.suspected("optim.unregistered_params")
        yield Change("every weight in the optimizer", max(0.5, suspicion), mend=taken_in, values={"count": count})


def left_out(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    """Parameters that ask for no gradient, or that the optimizer does not hold."""
    held = {id(each) for group in optimizer.param_groups for each in group["params"]}
    return [each for each in model.parameters() if id(each) not in held or not each.requires_grad]


def taken_in(bench: Bench, twin: Twin) -> bool:
    """Thaws every parameter and gives it to the optimizer; False where none was left out."""
    missing = left_out(twin.model, twin.optimizer)
    held = {id(each) for group in twin.optimizer.param_groups for each in group["params"]}
    for each in missing:
        each.requires_grad_(True)
        if id(each) not in held:
            twin.optimizer.param_groups[0]["params"].append(each)
    return bool(missing)
