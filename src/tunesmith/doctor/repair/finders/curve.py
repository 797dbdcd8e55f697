"""The curve of a range test: how noisy it is, how it is smoothed, where the loss begins to fall and where it stops falling.

The noise is that of one update's loss between batches, from the second differences of neighbours (von Neumann 1941, with differences once
more: a straight trend drops out of them). The running mean is as wide as the noise asks for; where the widest does not do, the test is
repeated in other orders of the rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.doctor.causes.range_test import swept
from tunesmith.doctor.preflight import Bench

LOWEST, HIGHEST = 1e-8, 1e2  # rates of the main group; assumption: every usual rate lies between
DEEPER = 1e-8  # times both, where the loss leaves its level at once
DECADES = 10  # from the lowest to the highest
DENSEST, SPARSEST = 12, 3  # updates a decade; assumption: fastai and Lightning take 12
STILL = 2  # decades at the first rates that show the noise; assumption
CLEAR = 0.1  # of the fall, to which the noise of the mean is brought down; assumption
REPEATS = 4  # at most; assumption: twice as clear as one
TIMES = 10  # what the clock must last for, in range tests, for another; assumption
SEEN = 3.0  # standard errors that a fall must have
FAR = 2.0  # times what it had gained (or five deviations of the noise) above its start: the test ends; assumption
LEAST = 0.02  # of the level, where there is no noise: less is no fall; assumption
PAST = 0.8  # of the past in the running mean that ends it; assumption

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Curve:
    """What a range test showed. `losses[i]` is the mean over the repeats of the loss after the updates at the rates up to `rates[i]`."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    noise: float  # standard deviation of one update's loss between batches
    window: int  # updates of the centred running mean
    repeats: int
    fall: float  # of the smoothed loss, from its level at the start to its lowest place
    foot: float | None  # from this rate on a tenth of the fall is done; None where no fall is clear
    edge: float | None  # the rate at the lowest loss
    updates: int = 0  # made in all


def curve_of(bench: Bench, unit: float, dense: int = DENSEST) -> Curve:
    """Range tests on copies, `dense` updates a decade, repeated where the noise asks for it and the clock lasts.

    `unit` is the peak rate of the main group as it is.
    """
    began = bench.clock.spent()
    rates = _rates(LOWEST, dense)
    sweeps = [_sweep(bench, rates, unit, 0, dense)]
    if len(sweeps[0]) <= STILL * dense:  # it left at once
        rates = _rates(LOWEST * DEEPER, dense)
        sweeps = [_sweep(bench, rates, unit, 0, dense)]
    found = told(rates, sweeps, dense)
    each = bench.clock.spent() - began
    while len(sweeps) < min(REPEATS, wanted_repeats(found, dense)) and bench.clock.left() > TIMES * each:
        sweeps.append(_sweep(bench, rates, unit, len(sweeps), dense))
        found = told(rates, sweeps, dense)
    return found


def _rates(lowest: float, dense: int) -> Array:
    found: Array = lowest * 10.0 ** (np.arange(dense * DECADES + 1) / dense)
    return found


def _sweep(bench: Bench, rates: Array, unit: float, seed: int, dense: int) -> list[float]:
    still = STILL * dense
    losses: list[float] = []
    mean, lowest = math.nan, math.inf

    def lost(loss: float) -> bool:
        nonlocal mean, lowest
        losses.append(loss)
        mean = loss if math.isnan(mean) else PAST * mean + (1 - PAST) * loss
        lowest = min(lowest, mean)
        if len(losses) <= still:
            return False
        level = float(np.median(losses[:still]))
        return mean > level + FAR * max(level - lowest, 5 * noise_of(losses[:still]), LEAST * abs(level))

    return swept(bench, (rates / unit).tolist(), seed=seed, stop=lost)


def noise_of(losses: Sequence[float]) -> float:
    """The deviation of single values around their trend, from second differences: their variance is six times that of the noise.

    >>> round(noise_of([1.0, 1.1, 1.0, 1.1, 1.0]), 4), round(noise_of([5.0, 4.0, 3.0, 2.0]), 4)
    (0.0816, 0.0)
    """
    if len(losses) < 3:
        return 0.0
    return math.sqrt(float(np.mean(np.square(np.diff(losses, 2)))) / 6)


def running(values: Array, window: int) -> Array:
    """The centred mean over `window` values, over fewer at the ends.

    >>> running(np.array([0.0, 3.0, 0.0, 3.0]), 3).tolist()
    [1.5, 1.0, 2.0, 1.5]
    """
    half, sums = window // 2, np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    low, high = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    found: Array = (sums[high] - sums[low]) / (high - low)
    return found


def told(rates: Array, sweeps: Sequence[Sequence[float]], dense: int = DENSEST) -> Curve:
    """What sweeps over the same rates tell together; all are cut where the first of them ended."""
    still = STILL * dense
    made = sum(len(one) for one in sweeps)
    length = max(2, min(len(one) for one in sweeps))
    short = [list(one[:length]) + [math.nan] * (length - len(one)) for one in sweeps]
    # the loss of an update is that before it: it belongs to the rate before
    losses = np.mean(np.asarray(short), axis=0)[1:]
    losses = losses[np.isfinite(losses)]
    used = rates[: len(losses)]
    if not len(losses):
        return Curve((), (), (), 0.0, 1, len(sweeps), 0.0, None, None, made)
    falling = max(still, int(np.argmin(running(losses, dense + 1))))
    noise = math.sqrt(float(np.mean([noise_of(one[:falling]) ** 2 for one in sweeps])))
    window, fall = _window(losses, noise, len(sweeps), dense)
    smoothed = running(losses, window)
    clear = fall > SEEN * noise / math.sqrt(window * len(sweeps)) and fall > 0
    lowest = int(np.argmin(smoothed))
    level = float(np.median(losses[:still]))
    above = np.nonzero(smoothed[: lowest + 1] > level - CLEAR * fall)[0]
    return Curve(
        tuple(used.tolist()),
        tuple(losses.tolist()),
        tuple(smoothed.tolist()),
        noise,
        window,
        len(sweeps),
        fall,
        float(used[min(above[-1] + 1 if len(above) else 0, lowest)]) if clear else None,
        float(used[lowest]) if clear else None,
        made,
    )


def _window(losses: Array, noise: float, repeats: int, dense: int) -> tuple[int, float]:
    """The narrowest mean whose noise is a tenth of the fall, at most a decade wide; and the fall seen through it."""
    fall, window, level = 0.0, 1, float(np.median(losses[: STILL * dense]))
    for window in range(1, dense + 2, 2):
        error = noise / math.sqrt(window * repeats)
        # the lowest of many noisy values lies about two deviations too low
        fall = max(0.0, level - float(running(losses, window).min()) - 2 * error)
        if error <= CLEAR * fall:
            break
    return window, fall


def wanted_repeats(found: Curve, dense: int = DENSEST) -> int:
    """Sweeps with which the widest mean would be clear enough; 1 where it is, or where there is no noise."""
    error = found.noise / math.sqrt(found.window * found.repeats)
    if error <= CLEAR * found.fall or found.noise == 0.0:
        return found.repeats
    if found.fall <= 0.0:
        return REPEATS
    return math.ceil((found.noise / (CLEAR * found.fall)) ** 2 / (dense + 1))
