"""A line with noise times a cosine: TensorFlow's `noisy_linear_cosine_decay`. Bello et al., arXiv:1709.07417.

The noise is a function of (seed, step): the counter-based generator SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), two
numbers a step, and Box-Muller. So any step can be asked alone, and a resumed run sees the noise it would have seen.
"""

import math
from typing import Any

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.linear_cosine import wave
from tunesmith.blocks.schedules.units import above_zero, length, level
from tunesmith.records import RecipeError

BITS = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15  # the increment of SplitMix64: 2^64 / golden ratio, odd


@SCHEDULES.add("noisy_linear_cosine")
def noisy_linear_cosine(
    steps: int,
    variance: float = 1.0,
    variance_decay: float = 0.55,
    periods: float = 0.5,
    alpha: float = 0.0,
    beta: float = 0.001,
    seed: int = 0,
) -> Schedule:
    """(`alpha` + (T - t) / T + ε) (1 + cos(2π `periods` t / T)) / 2 + `beta`, ε ~ N(0, `variance` / (1 + t)^`variance_decay`).

    t is cut off at T = `steps`, and the noise goes on with new draws. A rate below 0 is 0, which its source does not
    guard. The rate may lie well above the peak: with the source's variance of 1 the first is 1 + N(0, 1) of it.
    Without noise it is `linear_cosine`.

    Use: as an experiment, with a smaller `variance` and a peak rate that leaves room above.

    >>> noisy, calm = noisy_linear_cosine(1000, seed=1), noisy_linear_cosine(1000, variance=0.0)
    >>> noisy(500) == noisy(500) != calm(500), round(calm(500), 4)
    (True, 0.251)
    """
    end, turns = length(steps), above_zero(periods, "periods")
    spread, fading = level(variance, "variance"), level(variance_decay, "variance_decay")
    high, low = level(alpha, "alpha"), level(beta, "beta")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise RecipeError(f"seed = {seed!r}: a whole number was expected")

    def factor(t: Steps, m: Maths) -> Value:
        gone = m.minimum(t / end, 1.0)
        noise = normal(seed, t, m) * m.sqrt(spread / (1.0 + m.minimum(t, end)) ** fading)
        return m.maximum((high + 1 - gone + noise) * wave(gone, turns, m) + low, 0.0)

    return Curve(factor)


def normal(seed: int, t: Steps, m: Maths) -> Value:
    """A number from N(0, 1) for each step, the same whenever it is asked for. Box & Muller (1958)."""
    first, second = uniform(seed, 2 * t), uniform(seed, 2 * t + 1)
    return m.sqrt(-2 * m.log(first)) * m.cos(2 * math.pi * second)


def uniform(seed: int, n: Any) -> Any:
    """A number in (0, 1] from the upper 53 bits of the n-th of SplitMix64."""
    return ((split_mix(seed, n) >> 11) + 1) * 2.0**-53


def split_mix(seed: int, n: Any) -> Any:
    """The n-th number, from 0 on, of SplitMix64 with that seed: an int, or a uint64 array for an array of n.

    >>> [split_mix(0, n) for n in range(2)]
    [16294208416658607535, 7960286522194355700]
    """
    if not isinstance(n, int):
        n = n.astype("uint64")
    z = ((n + 1) * GOLDEN + (seed & BITS)) & BITS
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & BITS
    return z ^ (z >> 31)
