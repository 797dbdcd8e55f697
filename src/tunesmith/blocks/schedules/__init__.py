"""The factor on the peak rate as a pure function of the step: the number of updates already made.

A member of `SCHEDULES` is a factory called with the length of the run in updates, `member(steps, **settings)`; one of
`WARMUPS` with the length of the warm-up. What it gives takes an int and gives a `float`, or takes an integer array and
gives a float64 array. Resuming needs no state. Schedules that listen to evaluations (`plateau`, the warm-up `until`)
are pure functions of the step and the history: `history.py`. Settings that mark a point or a span take a share of the
run, whole updates, or an amount such as "0.1dur".
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tunesmith.blocks.schedules.building import build
from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, as_array, values
from tunesmith.blocks.schedules.growing import batch_steps, grow
from tunesmith.blocks.schedules.history import History, Judged, Watched, factor_at, momentum_of, watches_of
from tunesmith.blocks.schedules.joining import join, multiplied, warmup_of
from tunesmith.blocks.schedules.units import decay_factor, updates
from tunesmith.blocks.schedules.warmups import WARMUPS
from tunesmith.records.late import late

if TYPE_CHECKING:
    from tunesmith.blocks.schedules.exports import to_torch
    from tunesmith.blocks.schedules.imports import from_torch

__all__ = [
    "SCHEDULES",
    "WARMUPS",
    "Curve",
    "History",
    "Judged",
    "Schedule",
    "Watched",
    "batch_steps",
    "build",
    "decay_factor",
    "factor_at",
    "from_torch",
    "grow",
    "join",
    "linear_warmup",
    "momentum_of",
    "multiplied",
    "rates",
    "to_torch",
    "updates",
    "warmup_of",
    "watches_of",
]

SCHEDULES.load(__path__, __name__)

LATE = {"from_torch": "imports", "to_torch": "exports"}  # no training of ours needs them
__getattr__ = late(__name__, LATE)


def rates(schedule: Schedule, steps: int | Iterable[int], history: History = ()) -> np.ndarray:
    """The factors of the first `steps` steps, or of those listed; of one that listens, with that `history`.

    A schedule of this room is asked for all at once, a plain function one by one.

    >>> rates(linear_warmup(4), 6).tolist()
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """
    asked = as_array(steps)
    if watches_of(schedule):
        return np.array([factor_at(schedule, step, history) for step in asked.ravel().tolist()]).reshape(asked.shape)
    return values(schedule, asked)


def linear_warmup(steps: int) -> Schedule:
    """(t + 1) / W: the first update is small but not nothing, update W has the full rate."""
    return WARMUPS["linear"](steps)
