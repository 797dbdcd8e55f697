"""longer_run: the training ends before it has learnt.

Sees      the program trained for four times its epochs; with a schedule, at the rate it starts from.
Matters   a run that is stopped while it still learns is judged by its beginning.
Remedies  more epochs, or smaller batches, or a higher rate.
Limits    a rate far too low is mended by more epochs as well: where both cure, both are told.
Source    vocabulary of fit.too_few_epochs.
"""

from collections.abc import Iterator

from tunesmith.doctor.causes.case import LONGEST, Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight.courses import Variation
from tunesmith.doctor.preflight.short_run import FEW, usual_rate


@experiment("longer_run", faults=("fit.too_few_epochs",), remedy="remedy.loop_more_epochs")
def longer_run(case: Case) -> Iterator[Change]:
    if case.share < 1.0 or case.steps > LONGEST / 2 or not case.base().finite:
        return
    few = case.steps < FEW and usual_rate(case.bench.program.optimizer)
    likely = max(0.5 if few else 0.15, case.suspected("fit.too_few_epochs"))
    flat = case.bench.program.scheduler is not None
    name = "four times the epochs"
    change = Variation(name, epochs=4.0, flat=flat)
    yield Change(name, likely, change, recipe={"train.epochs": 4 * case.bench.program.epochs})
