"""input_scaling: the inputs are not scaled.

Sees      the program trained on inputs standardised by the training rows: features of a table each, pictures by channel.
Matters   the largest feature makes the step, and the others hardly learn; far from 0 units start asleep or pinned.
Remedies  standardise with mean and spread of the training rows, the same for all parts.
Limits    inputs that are tokens or several tensors are left alone.
Source    LeCun et al., Efficient BackProp (1998), section 4.3; vocabulary of data.unscaled_inputs.
"""

from collections.abc import Iterator

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight.courses import Variation, moments
from tunesmith.doctor.preflight.short_run import unscaled_inputs


@experiment("input_scaling", faults=("data.unscaled_inputs",), remedy="remedy.loop_scale_inputs")
def input_scaling(case: Case) -> Iterator[Change]:
    if moments(case.bench) is None:
        return
    likely = max(0.5 if unscaled_inputs(case.bench) else 0.03, case.suspected("data.unscaled_inputs"))
    name = "standardised inputs"
    yield Change(name, likely, Variation(name, inputs=True))
