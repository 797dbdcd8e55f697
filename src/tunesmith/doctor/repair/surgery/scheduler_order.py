"""scheduler_order: the optimizer steps first, then the scheduler.

Does      exchanges the two calls.
Mends     a first rate that is never used, and every later one a step early.
Limits    of a loop of the program's own the order is its own.
Source    vocabulary of optim.scheduler_before_optimizer; torch, "How to adjust learning rate".
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.repair.surgery.catalogue import surgery
from tunesmith.records import Program


@surgery(
    "scheduler_order",
    faults=("optim.scheduler_before_optimizer",),
    lines=lambda before, after, values: ["optimizer.step()", "scheduler.step()  # after it"],
    invariant=True,
    anew=False,
)
def scheduler_order(case: Any) -> Iterator[Change]:
    program = case.bench.program
    if program.scheduler is not None and program.scheduler_first and program.loop is None:
        yield Change("the optimizer before the scheduler", 0.9, rewrite=_behind)


def _behind(bench: Bench, program: Program) -> Program:
    return replace(program, scheduler_first=False)
