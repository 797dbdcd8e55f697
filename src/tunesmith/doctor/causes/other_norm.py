"""other_norm: a normalisation layer works with statistics that do not describe the data.

Sees      the program trained with group norm in place of batch norm.
Matters   batch statistics of few rows, or running ones that lag, make training and judging two different nets.
Remedies  larger batches, group or layer norm, the usual momentum.
Limits    only nets with batch norm.
Source    Wu & He, arXiv:1803.08494; vocabulary of model.bad_normalization.
"""

from collections.abc import Iterator

import torch
from torch import nn

from tunesmith.blocks.layers import swap_norm
from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench, Twin

SMALL = 8  # rows of a batch; assumption


@experiment("other_norm", faults=("model.bad_normalization",), remedy="remedy.causes_norm")
def other_norm(case: Case) -> Iterator[Change]:
    program = case.bench.program
    norms = [one for one in program.model.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    if not norms or not isinstance(program.optimizer, torch.optim.Optimizer):
        return
    strange = program.batch_size <= SMALL or any(
        one.momentum in (0.0, 1.0) or not one.track_running_stats for one in norms
    )
    suspicion = case.suspected("model.bad_normalization")
    yield Change("group norm for batch norm", max(0.3 if strange else 0.1, suspicion), mend=_mend)


def _mend(bench: Bench, twin: Twin) -> bool:
    if isinstance(twin.model, nn.modules.batchnorm._BatchNorm):
        return False
    old = [id(each) for each in twin.model.parameters()]
    example = (bench.batch(8, "other_norm").inputs,)  # one argument, were it itself a tuple
    swap_norm(twin.model, "layer" if _flat(twin.model) else "group", only="batch", example=example)
    held = {id(each) for group in twin.optimizer.param_groups for each in group["params"]}
    now = {id(each): each for each in twin.model.parameters()}
    for group in twin.optimizer.param_groups:
        group["params"] = [each for each in group["params"] if id(each) in now or id(each) not in old]
    twin.optimizer.param_groups[0]["params"].extend(each for key, each in now.items() if key not in held)
    return True


def _flat(model: nn.Module) -> bool:
    return any(isinstance(one, nn.BatchNorm1d) for one in model.modules())
