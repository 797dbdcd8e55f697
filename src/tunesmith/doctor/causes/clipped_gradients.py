"""clipped_gradients: a few rows make updates far longer than all others.

Sees      the program trained with gradients cut to twice their usual length, and on rows whose extreme numbers are pulled in to ten robust
          deviations.
Matters   one such update can undo hundreds.
Remedies  look at the rows; clip the gradients, or take a loss that grows more slowly.
Limits    where the extreme rows are what is to be learnt, pulling them in cures nothing.
Source    vocabulary of data.outliers; Pascanu et al., arXiv:1211.5063.
"""

from collections.abc import Iterator

import torch

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rows import extreme, pulled_in
from tunesmith.doctor.causes.stepping import clipped
from tunesmith.doctor.preflight import Bench, Twin


@experiment("clipped_gradients", faults=("data.outliers",), remedy="remedy.causes_outliers")
def clipped_gradients(case: Case) -> Iterator[Change]:
    program = case.bench.program
    if not hasattr(program.optimizer, "param_groups") or case.bench.task is not None:
        return
    share = case.bench.kept("causes.extreme", lambda: extreme(case.bench))
    suspicion = case.suspected("data.outliers", "loss.spike")
    if share > 0:
        yield Change("extreme numbers pulled in", max(0.3, suspicion), rewrite=pulled_in, values={"share": share})
    if suspicion and isinstance(program.optimizer, torch.optim.Optimizer):
        yield Change("clipped gradients", 0.5 * suspicion, mend=_mend, recipe={"optim.clip_norm": 1.0})


def _mend(bench: Bench, twin: Twin) -> bool:
    clipped(twin.optimizer)
    return True
