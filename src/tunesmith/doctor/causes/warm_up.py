"""warm_up: the first updates are too long for weights that know nothing yet.

Sees      the program trained with its rate raised from nothing over the first tenth of the updates.
Matters   the first updates can put units to sleep for the whole run.
Remedies  a warm-up over 1 to 10 % of the updates.
Limits    where a lower rate cures as well, that is told first.
Source    Goyal et al., arXiv:1706.02677, section 2.2; vocabulary of lr.bad_schedule.
"""

from collections.abc import Iterator

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.rate_sweep import wild
from tunesmith.doctor.causes.stepping import paced
from tunesmith.doctor.preflight import Bench, Twin

SHARE = 0.1  # of the updates: rules of thumb, schedule.warmup


@experiment("warm_up", faults=("lr.bad_schedule",), remedy="remedy.causes_warm_up")
def warm_up(case: Case) -> Iterator[Change]:
    if not hasattr(case.bench.program.optimizer, "param_groups"):
        return
    length = max(1, round(SHARE * case.steps))

    def mend(bench: Bench, twin: Twin) -> bool:
        paced(twin.optimizer, lambda step: min(1.0, (step + 1) / length))
        return True

    yield Change("a warm-up", 0.15 if wild(case.base()) else 0.03, mend=mend, recipe={"schedule.warmup": SHARE})
