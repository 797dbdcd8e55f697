"""Batches compared on a part of the data: the loss after equal samples, and after equal seconds.

Each is trained at the rate that the chosen rule derives for it. At equal samples small batches win as long as the gradient is not all
noise (they make more updates); at equal seconds the speed of the large ones counts too. Told apart, neither passes for the other
(Shallue et al., arXiv:1811.03600, section 4: which budget a comparison holds fixed decides what it says).
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tunesmith.blocks.optim.scaling import scale_rate
from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.courses import Course, Variation, course, judge_rows
from tunesmith.doctor.preflight.scoring import judged
from tunesmith.doctor.repair.finders.trials import HELD_ROWS

LOOKS = 8  # at the loss on the way; assumption: enough to read it off at another time


@dataclass(slots=True)
class Compared:
    """One batch: its course, and its loss at the two budgets."""

    batch: int  # effective: rows of an update
    factor: float  # of the rate, by the rule
    samples: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of the training, without the looks
    losses: list[float] = field(default_factory=list)  # on validation rows where there are any, else on training rows
    at_samples: float = math.nan
    at_seconds: float = math.nan


def compared(bench: Bench, batches: Sequence[int], samples: int, rule: str) -> tuple[list[Compared], float]:
    """Trains a copy with each batch for so many samples; the courses, and the seconds at which they are compared."""
    found = [_trained(bench, batch, samples, rule) for batch in batches]
    shortest = min((one.seconds[-1] for one in found if one.seconds), default=0.0)
    for one in found:
        if one.losses:
            one.at_samples = one.losses[-1]
            one.at_seconds = float(np.interp(shortest, one.seconds, one.losses))
    return found, shortest


def _trained(bench: Bench, batch: int, samples: int, rule: str) -> Compared:
    program = bench.program
    own = program.batch_size * max(1, program.accumulate)
    factor = scale_rate(1.0, own, batch, program.optimizer, rule).lr
    told = Compared(batch, factor)
    updates = max(1, round(samples / batch))
    marks = {max(1, round(updates * (look + 1) / LOOKS)) for look in range(LOOKS)}
    rows = judge_rows(bench) if bench.val is None else bench.batch(HELD_ROWS, "finders", bench.val)
    spent, began = 0.0, time.perf_counter()

    def look(twin: Twin, one: Course) -> None:
        nonlocal spent, began
        if one.steps not in marks:
            return
        spent += time.perf_counter() - began
        told.samples.append(one.steps * batch)
        told.seconds.append(spent)
        told.losses.append(judged(bench, twin, rows)[0])
        began = time.perf_counter()

    # the course divides its updates by the factor of the batch
    course(bench, Variation(rate=factor, batch=batch / own, flat=True), round(updates * batch / own), each=look)
    return told
