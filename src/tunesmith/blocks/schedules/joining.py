"""Schedules made of schedules: a warm-up joined to a decay, a product, a floor."""

from collections.abc import Callable
from typing import Any, Literal

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.curve import ONE, Curve, Maths, Steps, Value
from tunesmith.blocks.schedules.history import (
    History,
    Remembered,
    Watched,
    asking,
    counted_from,
    momentum_of,
    seen,
    watches_of,
)
from tunesmith.blocks.schedules.units import length, one_of

How = Literal["after", "over", "product", "composite"]
HOW = ("after", "over", "product", "composite")
Combined = Callable[[Steps, Maths, History], Value]


def join(warmup: Schedule, schedule: Schedule, at: int, how: How = "after") -> Schedule:
    """`warmup` w before step `at` = W, `schedule` c from there on; with W = 0 the schedule alone.

    `how` says what c makes of the warm-up; frameworks differ, and so do the rates in the warm-up and after it:

    * `"after"`: w(t), then c(t - W): c begins at its own step 0 when the warm-up is over. transformers,
      object_detection, torch's SequentialLR, timm with `warmup_prefix`, nanoGPT.
    * `"over"`: w(t), then c(t): the warm-up lies over the first W steps of c. timm without `warmup_prefix`.
    * `"product"`: w(t) c(t). detectron2's WarmupMultiStepLR and (old) WarmupCosineLR, maskrcnn-benchmark.
    * `"composite"`: from w(0) c(0) to c(W) the way that w goes from w(0) to 1, which for a linear w is a straight
      line; then c(t). detectron2's WarmupParamScheduler, fvcore.

    A warm-up that ends on a condition (`until`) ends then, and after W updates at the latest. What the parts listen to
    and the momentum of `schedule` are kept; before the schedule's own step 0 the momentum is the one it has there.

    >>> ramp, halves = Curve(lambda t, m: m.minimum(t / 2, 1.0)), Curve(lambda t, m: 0.5**t)
    >>> [join(ramp, halves, 2)(t) for t in range(4)]
    [0.0, 0.5, 1.0, 0.5]
    >>> [join(ramp, halves, 2, "product")(t) for t in range(4)]
    [0.0, 0.25, 0.25, 0.125]
    """
    one_of(how, HOW, "how")
    if not length(at, 0, "at"):
        return schedule
    up, down = asking(warmup), asking(schedule)
    ended = getattr(warmup, "ended", None)

    def end(t: Steps, history: History) -> int:
        found = ended(t, history) if ended else None
        return at if found is None else min(found, at)

    shifted = Remembered(lambda history, start: counted_from(history, start))

    def after(t: Steps, m: Maths, history: History) -> Value:
        start = end(t, history)
        later = shifted(tuple(history), start) if history else ()
        return m.either(t < start, lambda: up(t, history), lambda: down(m.maximum(t - start, 0), later))

    def over(t: Steps, m: Maths, history: History) -> Value:
        return m.either(t < end(t, history), lambda: up(t, history), lambda: down(t, history))

    def product(t: Steps, m: Maths, history: History) -> Value:
        return m.either(t < end(t, history), lambda: up(t, history) * down(t, history), lambda: down(t, history))

    def composite(t: Steps, m: Maths, history: History) -> Value:
        start = end(t, history)
        return m.either(t < start, lambda: between(t, start, history), lambda: down(t, history))

    def between(t: Steps, start: int, history: History) -> Value:
        history = seen(history, t) if history else ()  # c(W) lies ahead, what will be found until then does not count
        first = up(0, history)
        gone = (up(t, history) - first) / (1 - first) if first < 1 else t / start
        low = first * down(0, history)
        return low + (down(start, history) - low) * gone

    forms: dict[str, Combined] = {"after": after, "over": over, "product": product, "composite": composite}
    speed, own = momentum_of(schedule), warmup_of(schedule)
    if speed is not None and how == "after":
        speed = _delayed(speed, at)
    return combined(forms[how], (warmup, schedule), momentum=speed, warmup=own + at if how == "after" else max(own, at))


def _delayed(momentum: Schedule, at: int) -> Schedule:
    own = asking(momentum)
    return Curve(lambda t, m: own(m.maximum(t - at, 0), ()))


def combined(
    formula: Combined, parts: tuple[Schedule, ...], *, momentum: Schedule | None = None, warmup: int = 0
) -> Schedule:
    """A schedule of (t, m, history): one that listens where a part does, else a curve."""
    names = ",".join(dict.fromkeys(name for part in parts for name in watches_of(part)))
    if names:
        return Watched(lambda step, history: formula(step, ONE, history), names, momentum=momentum, warmup=warmup)
    return Curve(lambda t, m: formula(t, m, ()), momentum=momentum, warmup=warmup)


def multiplied(*schedules: Schedule) -> Schedule:
    """The product of schedules, each counted from step 0; the momentum is that of the first that has one.

    >>> multiplied(Curve(lambda t, m: 0.5**t), Curve(lambda t, m: 1 / (1 + t)))(1)
    0.25
    """
    parts = [asking(one) for one in schedules]
    momentum = next((one for one in map(momentum_of, schedules) if one is not None), None)

    def factor(t: Steps, m: Maths, history: History) -> Value:
        found: Any = 1.0
        for part in parts:
            found = found * part(t, history)
        return found

    return combined(factor, schedules, momentum=momentum, warmup=max((warmup_of(one) for one in schedules), default=0))


def cut_off(schedule: Schedule, floor: float, start: int = 0) -> Schedule:
    """At least `floor` from step `start` on."""
    part = asking(schedule)

    def factor(t: Steps, m: Maths, history: History) -> Value:
        found = part(t, history)
        return m.either(t < start, lambda: found, lambda: m.maximum(found, floor))

    return combined(factor, (schedule,), momentum=momentum_of(schedule), warmup=warmup_of(schedule))


def warmup_of(schedule: Schedule) -> int:
    """The updates of its warm-up at most; 0 for a schedule without one."""
    return int(getattr(schedule, "warmup", 0))
