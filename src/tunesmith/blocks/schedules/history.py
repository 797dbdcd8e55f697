"""Schedules that listen: pure functions of the step and of what the evaluations up to it have found.

Whoever has the same history at a step has the same rate there, so a resumed run goes on as if it had never stopped.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.curve import Curve, unfit, values, whole


class Judged(NamedTuple):
    """`value` of an evaluation made after `step` updates; `noise` is one standard error of it.

    `name` says what was measured, where a schedule watches more than one value; "" is whatever it watches.
    """

    step: int
    value: float
    noise: float = 0.0
    name: str = ""


History: TypeAlias = Sequence[Judged]
Listener: TypeAlias = Callable[[int, History], float]


class Watched:
    """A schedule of the step and the history: `schedule(step, history)`, which reads only entries up to `step`.

    `watches` names the value: "val_loss", "score", "train_loss", "train_error"; several are parted by commas.
    `momentum` and `warmup` are those of `Curve`; `ended` gives the step at which a warm-up on a condition was over.
    An integer array of steps gives a float64 array.

    >>> halved = Watched(lambda step, history: 0.5 ** len(seen(history, step)), watches="val_loss")
    >>> evaluations = [Judged(10, 0.7), Judged(20, 0.6)]
    >>> [halved(step, evaluations) for step in (9, 10, 20)]
    [1.0, 0.5, 0.25]
    """

    __slots__ = ("ended", "momentum", "rule", "warmup", "watches")

    def __init__(
        self,
        rule: Listener,
        watches: str,
        *,
        momentum: Schedule | None = None,
        warmup: int = 0,
        ended: Callable[[int, History], int | None] | None = None,
    ) -> None:
        self.rule = rule
        self.watches = watches
        self.momentum = momentum
        self.warmup = warmup
        self.ended = ended

    def __call__(self, step: Any, history: History = ()) -> Any:
        if isinstance(step, np.ndarray):
            steps = whole(step)
            asked = [float(self.rule(one, history)) for one in steps.ravel().tolist()]
            return np.array(asked, dtype=np.float64).reshape(steps.shape)
        try:
            step = operator.index(step)
        except TypeError:
            raise unfit(step) from None
        return float(self.rule(step, history))


def watches_of(schedule: Schedule) -> tuple[str, ...]:
    """The names of the values a schedule listens to; none for a function of the step alone."""
    named = getattr(schedule, "watches", "")
    return tuple(named.split(",")) if named else ()


def factor_at(schedule: Schedule, step: int, history: History = ()) -> float:
    """The factor at `step`, of a schedule that listens or of one that does not.

    >>> factor_at(lambda step: 1 / (1 + step), 3)
    0.25
    """
    if getattr(schedule, "watches", ""):
        return float(schedule(step, history))  # type: ignore[call-arg]
    return float(schedule(step))


def momentum_of(schedule: Schedule) -> Schedule | None:
    """The momentum that a schedule cycles against the rate, as a function of the step; None where it leaves it."""
    found: Schedule | None = getattr(schedule, "momentum", None)
    return found


def seen(history: History, step: int, name: str = "") -> tuple[Judged, ...]:
    """The entries up to `step` that tell of `name`."""
    return tuple(one for one in history if one.step <= step and (not one.name or not name or one.name == name))


def counted_from(history: History, start: int) -> tuple[Judged, ...]:
    """The entries from update `start` on, their steps counted from it."""
    return tuple(one._replace(step=one.step - start) for one in history if one.step >= start)


def noise_of(one: Judged) -> float:
    """The noise of an evaluation; one that is unknown (NaN) counts as none."""
    return 0.0 if math.isnan(one.noise) else one.noise


def asking(schedule: Schedule) -> Callable[[Any, History], Any]:
    """The schedule as a function of (one step or an array, history), whatever it is made of."""
    if getattr(schedule, "watches", ""):
        return schedule  # type: ignore[return-value]
    if isinstance(schedule, Curve):
        return lambda t, history: schedule(t)
    return lambda t, history: values(schedule, t) if isinstance(t, np.ndarray) else schedule(t)


class Remembered:
    """A function of a tuple that keeps its last answer: an evaluation is rare, a step is not.

    Entries that are the same objects compare quickly, so asking again costs next to nothing.
    """

    def __init__(self, work: Callable[..., Any]) -> None:
        self.work = work
        self.last: tuple[Any, Any] | None = None

    def __call__(self, *question: Any) -> Any:
        if self.last is None or self.last[0] != question:
            self.last = (question, self.work(*question))
        return self.last[1]
