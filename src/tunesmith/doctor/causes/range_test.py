"""A range test on a snapshot: from which factor of its rate on a program's loss no longer falls. A tool of the experiments.

From 1e-3 of the rate (where the program breaks, from 1e-8 of it) to a hundred times it, by a constant factor with every update; the twin is
thrown away.
"""

import math
import warnings

import numpy as np

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.preflight.courses import feeding, scale_rates, undisturbed

LOWEST, HIGHEST = 1e-3, 1e2  # factors of the rate; assumption
DEEPEST = 1e-8  # of the rate, where the program breaks; assumption
STEPS = 60  # updates; assumption: a range test of diagnosis has 60 to 100
LEFT = 1.3  # times the lowest smoothed loss so far: the range ends; assumption
SMOOTH = 0.8  # of the past in the running mean of the loss; assumption


def rates_at_which_the_loss_falls(case: Case) -> float | None:
    """The factor at the lowest smoothed loss before it leaves its level; None where the loss is no positive number or never falls."""
    return case.bench.kept("causes.range", lambda: _limit(case))


def _limit(case: Case) -> float | None:
    if case.bench.program.loop is not None or (case.bench.program.step is None and not _has_rates(case)):
        return None
    lowest = LOWEST if case.base().finite else DEEPEST
    steps = round(STEPS * math.log(HIGHEST / lowest) / math.log(HIGHEST / LOWEST))
    growth = (HIGHEST / lowest) ** (1 / steps)
    losses, factors, mean = [], [], math.nan
    with undisturbed(case.bench), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin = case.bench.twin()
        twin.scheduler = None
        scale_rates(twin, lowest)
        feed, factor = feeding(case.bench), lowest
        for _ in range(steps):
            try:
                loss = twin.step(next(feed))
            except (RuntimeError, ValueError, IndexError, ArithmeticError):
                break
            if not math.isfinite(loss) or loss <= 0:
                break
            mean = loss if math.isnan(mean) else SMOOTH * mean + (1 - SMOOTH) * loss
            losses.append(mean)
            factors.append(factor)
            if mean > LEFT * min(losses):
                break
            scale_rates(twin, growth)
            factor *= growth
    if len(losses) < steps // 5 or min(losses) > 0.98 * losses[0]:
        return None
    return float(factors[int(np.argmin(losses))])


def _has_rates(case: Case) -> bool:
    return any("lr" in group for group in getattr(case.bench.program.optimizer, "param_groups", ()))
