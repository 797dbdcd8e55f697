"""A range test on a snapshot: the rate rises with every update, and the loss tells from where on it is too high.

`swept` is the sweep itself. For the experiments it goes from 1e-3 of the rate (where the program breaks, from 1e-8 of it) to a hundred times
it; the twin is thrown away.
"""

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.bench import seed_all
from tunesmith.doctor.preflight.courses import feeding, flatten, scale_rates, undisturbed

LOWEST, HIGHEST = 1e-3, 1e2  # factors of the rate; assumption
DEEPEST = 1e-8  # of the rate, where the program breaks; assumption
STEPS = 60  # updates; assumption: a range test of diagnosis has 60 to 100
LEFT = 1.3  # times the lowest smoothed loss so far: the range ends; assumption
SMOOTH = 0.8  # of the past in the running mean of the loss; assumption


def swept(
    bench: Bench, factors: Sequence[float], *, seed: int = 0, stop: Callable[[float], bool] = lambda loss: False
) -> list[float]:
    """The loss of one update at each factor of the peak rates, in their order, on one copy; the groups keep their ratios.

    It ends early where the program breaks, the loss is no number, or `stop(loss)` says so. The loss at a place is that before its own
    update: it tells of the factors before.
    """
    losses: list[float] = []
    with undisturbed(bench), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a copied scheduler, whose optimizer is not the one it was made with
        twin = bench.twin()
        seed_all(bench.seed + 7919 * seed)
        flatten(twin)
        twin.scheduler = None
        feed, now = feeding(bench, seed=seed), 1.0
        for factor in factors:
            scale_rates(twin, factor / now)
            now = factor
            try:
                loss = twin.step(next(feed))
            except (RuntimeError, ValueError, IndexError, ArithmeticError):
                break
            if not math.isfinite(loss):
                break
            losses.append(loss)
            if stop(loss):
                break
    return losses


def smoothed(
    bench: Bench, factors: Sequence[float], *, stop: Callable[[float], bool] = lambda loss: False
) -> list[float]:
    """The running mean of the loss at each factor, until it has left its lowest level, or `stop(loss)` says so."""
    means: list[float] = []

    def left(loss: float) -> bool:
        if stop(loss):
            return True
        means.append(loss if not means else SMOOTH * means[-1] + (1 - SMOOTH) * loss)
        return means[-1] > LEFT * max(min(means), 0.0)

    swept(bench, factors, stop=left)
    return means


def rates_at_which_the_loss_falls(case: Case) -> float | None:
    """The factor at the lowest smoothed loss before it leaves its level; None where the loss is no positive number or never falls."""
    return case.bench.kept("causes.range", lambda: _limit(case))


def _limit(case: Case) -> float | None:
    if case.bench.program.loop is not None or (case.bench.program.step is None and not _has_rates(case)):
        return None
    lowest = LOWEST if case.base().finite else DEEPEST
    steps = round(STEPS * math.log(HIGHEST / lowest) / math.log(HIGHEST / LOWEST))
    factors = lowest * (HIGHEST / lowest) ** (np.arange(steps) / steps)
    means = smoothed(case.bench, factors.tolist(), stop=lambda loss: loss <= 0)
    if len(means) < steps // 5 or min(means) > 0.98 * means[0]:
        return None
    return float(factors[int(np.argmin(means))])


def _has_rates(case: Case) -> bool:
    return any("lr" in group for group in getattr(case.bench.program.optimizer, "param_groups", ()))
