"""usual_step: the program's own training step does something that holds it back.

Sees      the program trained by the usual step (zero_grad, forward, loss, backward, update) in place of its own, and what its own step gives
          as its loss beside the loss of the same outputs: a step that gives far more adds a term of its own, a penalty.
Matters   what a step adds or leaves out is learnt instead of the rows.
Remedies  the usual step, and then what was added to it, one thing at a time.
Limits    where the step gives no loss, or one on another scale, a cure says that the step is to blame and not what in it.
Source    paired trainings with common random numbers; vocabulary of reg.too_strong and loss.mismatch.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.records import Program

LARGE = 1.5  # times the loss of the same outputs: then a term was added; assumption


@experiment("usual_step", faults=("loss.mismatch", "reg.too_strong"), remedy="remedy.causes_step")
def usual_step(case: Case) -> Iterator[Change]:
    if case.bench.program.step is None or case.bench.program.loop is not None:
        return
    added = penalised(case.bench)
    fault = "reg.too_strong" if added else "loss.mismatch"
    likely = max(0.5 if added else 0.05, case.suspected(fault))
    yield Change("the usual step", likely, rewrite=_usual, fault=fault, sure=added)


def penalised(bench: Bench) -> bool:
    """Whether the program's own step gives a loss far above that of the same outputs."""
    with undisturbed(bench):
        batch = bench.batch(64, "usual_step")
        plain = bench.twin().judged(batch)[0]
        own = bench.twin().step(batch)
    return 0 < plain < math.inf and LARGE * plain < own < math.inf


def _usual(bench: Bench, program: Program) -> Program:
    return replace(program, step=None)
