"""warm_up: the first updates are too long for weights that know nothing yet.

Sees      the program trained with its rate raised from nothing over the first tenth of the updates.
Matters   the first updates can put units to sleep for the whole run.
Remedies  a warm-up over 1 to 10 % of the updates.
Limits    where a lower rate cures as well, that is told first.
Source    Goyal et al., arXiv:1706.02677, section 2.2; vocabulary of lr.bad_schedule.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch.optim.lr_scheduler import LambdaLR

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rate_sweep import wild
from tunesmith.doctor.causes.stepping import Accompanied, Warm, paced
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.records import Program

SHARE = 0.1  # of the updates: rules of thumb, schedule.warmup


@experiment("warm_up", faults=("lr.bad_schedule",), remedy="remedy.causes_warm_up")
def warm_up(case: Case) -> Iterator[Change]:
    program = case.bench.program
    if not isinstance(program.optimizer, torch.optim.Optimizer):
        return
    if program.scheduler is not None and program.loop is None:
        return  # what it has is a course of its own: see flat_schedule
    warm = Warm(max(1, round(SHARE * case.steps)))
    likely = 0.15 if wild(case.base()) else 0.03
    recipe = {"schedule.warmup": SHARE}
    values = {"length": warm.length}

    def looped(bench: Bench, program: Program) -> Program:
        assert program.loop is not None
        return replace(program, loop=Accompanied(program.loop, paced(warm)))

    def by_updates(bench: Bench, program: Program) -> Program:
        return replace(program, schedule_unit="step", scheduler_first=False)

    def scheduled(bench: Bench, twin: Twin) -> bool:
        twin.scheduler = LambdaLR(twin.optimizer, warm)
        return True

    if program.loop is not None:
        yield Change("a warm-up", likely, rewrite=looped, recipe=recipe, values=values)
    else:
        yield Change("a warm-up", likely, rewrite=by_updates, mend=scheduled, recipe=recipe, values=values)
