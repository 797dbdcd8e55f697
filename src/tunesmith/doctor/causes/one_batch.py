"""Whether a handful of rows can be learnt by heart by Adam: what preflight's drill measured. A tool of the experiments.

Where they cannot, what is wrong sits in the net, its output or its loss; where they can, in the rate, the optimizer, the schedule, the
batches or the rows.
"""

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.preflight.overfit_batch import LEARNT

INSIDE = ("output", "loss", "init", "act", "model", "numerics")
OUTSIDE = ("lr", "optim", "batch", "fit", "data")
MORE, LESS = 2.0, 0.4  # factors of a likelihood; assumption


def factor(case: Case, fault: str) -> float:
    """How the drill changes the likelihood of a fault; 1 where it was not made."""
    told = case.bench.measured.get("overfit_batch")
    if not told:
        return 1.0
    family = fault.partition(".")[0]
    learnt = told["score"] >= LEARNT
    if family in (OUTSIDE if learnt else INSIDE):
        return MORE
    return LESS if family in (INSIDE if learnt else OUTSIDE) else 1.0
