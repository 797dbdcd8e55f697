"""A bigger batch in the place of a smaller rate. Smith, Kindermans, Ying & Le, arXiv:1711.00489.

The noise of SGD goes by rate × N / batch (N rows, batch much smaller than N), so the one may grow instead of the other
falling, and the run needs fewer updates. It is equivalent only there: batch << N, below the critical batch (McCandlish
et al., arXiv:1812.06162), for SGD; a run that counts its updates, not its epochs, then sees more rows.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.history import History, asking, momentum_of
from tunesmith.blocks.schedules.joining import combined, warmup_of
from tunesmith.blocks.schedules.units import above_zero, marks_of, one_of
from tunesmith.records import RecipeError

ROUNDING = 1e-9  # 1 / 0.1² is 99.99999999999999 in float64, and means 100


def grow(
    schedule: Schedule, most: float, *, after: int | None = None, rule: Literal["linear", "sqrt"] = "linear"
) -> tuple[Schedule, Schedule]:
    """Splits a factor f into (rate, batch): batch = ⌊min(1/f, `most`)⌋, at least 1, and rate = f × batch.

    So rate / batch = f at every step: the batch takes what it can in whole multiples, the rate makes up the rest. With
    `rule="sqrt"` rate / √batch = f and batch = ⌊min(1/f², `most`)⌋: what Adam-like methods keep (Malladi et al.,
    arXiv:2205.10287, without its change of beta and eps). Before step `after`, by default the way up to the peak (a
    joined warm-up, or one that is part of the schedule), the batch stays.

    >>> stairs = Curve(lambda t, m: 0.1 ** (t // 10))
    >>> rate, batch = grow(stairs, most=20)
    >>> [(round(rate(t), 3), batch(t)) for t in (0, 10, 20)]
    [(1.0, 1.0), (1.0, 10.0), (0.2, 20.0)]
    """
    top = math.floor(growth(most))
    one_of(rule, ("linear", "sqrt"), "rule")
    begin = warmup_of(schedule) if after is None else after
    part = asking(schedule)

    def times(t: Steps, m: Maths, history: History) -> Value:
        least = m.maximum(part(t, history), 1 / (top + 1))  # a factor of 0 asks for no infinite batch
        fold = 1 / least if rule == "linear" else 1 / (least * least)
        return m.either(t < begin, lambda: 1.0, lambda: m.minimum(m.maximum(m.floor(fold * (1 + ROUNDING)), 1), top))

    def rate(t: Steps, m: Maths, history: History) -> Value:
        fold = times(t, m, history)
        return part(t, history) * (fold if rule == "linear" else m.sqrt(fold))

    kept: dict[str, Any] = {"momentum": momentum_of(schedule), "warmup": warmup_of(schedule)}
    return combined(rate, (schedule,), **kept), combined(times, (schedule,), warmup=warmup_of(schedule))


def batch_steps(
    milestones: Sequence[float | str], factor: float = 5.0, most: float = 125.0, *, steps: int | None = None
) -> Schedule:
    """How many times the batch of the start: × `factor` at each milestone (from it on), ⌊⌋, at most `most`.

    Milestones are updates; shares and "0.5dur" are of `steps`, which must then be given. The factor 5, three times, is
    that of the wide ResNets of section 5.1, where each drop of the rate by 5 is a larger batch instead.

    >>> [batch_steps([10, 20], factor=5, most=20)(t) for t in (9, 10, 20)]
    [1.0, 5.0, 20.0]
    """
    if steps is None and any(isinstance(mark, str) or mark < 1 for mark in milestones):
        raise RecipeError(f"milestones = {list(milestones)!r} are shares of a run: say of how many updates, steps=…")
    marks, top, fold = marks_of(milestones, steps or 1, "milestones"), growth(most), growth(factor)
    sizes = []
    for count in range(len(marks) + 1):
        sizes.append(float(math.floor(min(math.exp(min(count * math.log(fold), 700)), top) * (1 + ROUNDING))))
    return Curve(lambda t, m: m.pick(sizes, m.reached(marks, t)))


def growth(factor: float) -> float:
    """How many times larger a batch becomes: a finite number of 1 or more."""
    if above_zero(factor, "the growth of the batch") < 1:
        raise RecipeError(f"the growth of the batch is {factor!r}: 1 or more was expected; 1 keeps the batch")
    return float(factor)
