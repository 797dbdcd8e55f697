"""modes: train() before each update, eval() before judging.

Does      sets both where the program does not.
Mends     dropout and batch norm that do in training what belongs to judging, or the other way round.
Limits    the modes of single layers are left alone.
Source    the experiment `modes_right`; vocabulary of model.train_eval_mode.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.repair.surgery.catalogue import surgery
from tunesmith.records import Program


@surgery(
    "modes",
    faults=("model.train_eval_mode", "model.bad_normalization"),
    lines=lambda before, after, values: [
        "model.train()  # at the start of every epoch",
        "model.eval()  # before judging",
    ],
    invariant=True,
    anew=False,
)
def modes(case: Any) -> Iterator[Change]:
    program = case.bench.program
    if not (program.train_mode and program.eval_mode):
        yield Change("train() and eval()", max(0.3, case.suspected("model.train_eval_mode")), rewrite=_right)


def _right(bench: Bench, program: Program) -> Program:
    return replace(program, train_mode=True, eval_mode=True)
