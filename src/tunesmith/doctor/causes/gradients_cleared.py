"""gradients_cleared: gradients of earlier batches are never cleared.

Sees      the program trained with its gradients cleared after each update.
Matters   each update repeats all earlier ones: the step grows until nothing holds it.
Remedies  clear the gradients once an update, before backward.
Limits    only where the program steps by a function or a loop of its own; ours clears them.
Source    vocabulary of optim.missing_zero_grad.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.stepping import Accompanied, cleared
from tunesmith.doctor.preflight import Bench
from tunesmith.records import Program


@experiment("gradients_cleared", faults=("optim.missing_zero_grad",), remedy="remedy.loop_clear_gradients")
def gradients_cleared(case: Case) -> Iterator[Change]:
    program = case.bench.program
    own = program.step is not None or program.loop is not None
    if own and isinstance(program.optimizer, torch.optim.Optimizer):
        yield Change("gradients cleared", max(0.1, case.suspected("optim.missing_zero_grad")), rewrite=_cleared)


def _cleared(bench: Bench, program: Program) -> Program:
    if program.loop is not None:
        return replace(program, loop=Accompanied(program.loop, cleared))
    assert program.step is not None
    return replace(program, step=Accompanied(program.step, cleared))
