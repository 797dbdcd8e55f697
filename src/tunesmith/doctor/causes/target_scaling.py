"""target_scaling: the targets of a regression are not scaled.

Sees      the program trained on targets standardised by the training rows, its answers judged in their own units.
Matters   the first errors are as large as the targets: the updates spend themselves on the offset.
Remedies  standardise the targets, or set the last bias to their mean.
Limits    regressions alone; a target that spans decades wants a logarithm first.
Source    vocabulary of data.unscaled_targets.
"""

from collections.abc import Iterator

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight.courses import Variation
from tunesmith.doctor.preflight.scoring import NUMBERS
from tunesmith.doctor.preflight.short_run import unscaled_targets


@experiment("target_scaling", faults=("data.unscaled_targets",), remedy="remedy.loop_scale_targets")
def target_scaling(case: Case) -> Iterator[Change]:
    if case.bench.kind not in NUMBERS:
        return
    likely = max(0.5 if unscaled_targets(case.bench) else 0.03, case.suspected("data.unscaled_targets"))
    name = "standardised targets"
    yield Change(name, likely, Variation(name, targets=True))
