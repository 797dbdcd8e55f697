"""modes_right: the model stands in the wrong mode.

Sees      the program trained with `train()` before each update and judged with `eval()`.
Matters   in evaluation mode dropout is off and running statistics stay as they began.
Remedies  call train() and eval() at the right place.
Limits    a step or loop of their own that sets the mode itself is not changed.
Source    vocabulary of model.train_eval_mode.
"""

from collections.abc import Iterator
from dataclasses import replace

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench
from tunesmith.records import Program


@experiment("modes_right", faults=("model.train_eval_mode",), remedy="remedy.loop_call_train")
def modes_right(case: Case) -> Iterator[Change]:
    if not case.bench.program.train_mode:
        yield Change("train() before each update", max(0.3, case.suspected("model.train_eval_mode")), rewrite=_right)


def _right(bench: Bench, program: Program) -> Program:
    return replace(program, train_mode=True, eval_mode=True)
