"""flat_schedule: the rate does not follow a course that fits the run.

Sees      the program trained at the rate its schedule starts from, without the schedule.
Matters   a rate that has fallen to nothing trains nothing, whatever epochs are left.
Remedies  a constant rate until the rest works, then a schedule laid over the updates of this run.
Limits    of a loop that makes its own scheduler nothing can be taken away.
Source    vocabulary of lr.bad_schedule.
"""

from collections.abc import Iterator

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight.courses import Variation


@experiment("flat_schedule", faults=("lr.bad_schedule",), remedy="remedy.loop_constant_rate")
def flat_schedule(case: Case) -> Iterator[Change]:
    if case.bench.program.scheduler is None:
        return
    name = "a constant rate"
    likely = max(0.25, case.suspected("lr.bad_schedule", "optim.scheduler_before_optimizer"))
    yield Change(name, likely, Variation(name, flat=True), recipe={"schedule.name": "constant"})
