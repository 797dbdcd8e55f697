"""The factor on the peak rate as a pure function of the step: the number of updates already made.

A member is a factory called with the length of the run in updates, `member(steps, **settings)`. Resuming needs no state.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from tunesmith.records import Catalog, RecipeError, did_you_mean
from tunesmith.records.sections import ScheduleSection

Schedule: TypeAlias = Callable[[int], float]

SCHEDULES: Catalog[Callable[..., Schedule]] = Catalog("schedule")
SCHEDULES.load(__path__, __name__)


def rates(schedule: Schedule, steps: int | Iterable[int]) -> np.ndarray:
    """The factors of the first `steps` steps, or of those listed.

    >>> rates(linear_warmup(4), 6).tolist()
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """
    listed = range(steps) if isinstance(steps, int) else steps
    return np.array([schedule(step) for step in listed], dtype=np.float64)


def linear_warmup(steps: int) -> Schedule:
    """(t + 1) / W: the first update is small but not nothing, update W has the full rate."""

    def factor(step: int) -> float:
        return min((step + 1) / steps, 1.0) if steps else 1.0

    return factor


def join(warmup: Schedule, schedule: Schedule, at: int) -> Schedule:
    """`warmup` before step `at`, from there on `schedule` counted from 0."""

    def factor(step: int) -> float:
        return warmup(step) if step < at else schedule(step - at)

    return factor


def build(section: ScheduleSection, total_updates: int, warmup_updates: int = 0) -> Schedule:
    """The recipe's schedule for a run of `total_updates`, the warm-up among them; "auto" is cosine.

    A schedule without a floor of its own is cut off at `floor`; the warm-up is not.
    """
    name = "cosine" if section.name == "auto" else section.name
    member = SCHEDULES[name]
    parameters = inspect.signature(member).parameters
    known = [parameter for parameter in parameters if parameter not in ("steps", "floor")]
    for given in section.extra:
        if given not in known:
            raise RecipeError(f"schedule.extra: {name} takes no {given!r}{did_you_mean(given, known)}")
    settings = dict(section.extra)
    if "floor" in parameters:
        settings["floor"] = section.floor
    if (
        warmup_updates and "timescale" in parameters
    ):  # the warm-up is the time scale where none is given, as in its source
        settings.setdefault("timescale", warmup_updates)
    schedule = member(max(total_updates - warmup_updates, 1), **settings)
    if "floor" not in parameters and section.floor:
        schedule = _cut_off(schedule, section.floor)
    return join(linear_warmup(warmup_updates), schedule, warmup_updates) if warmup_updates else schedule


def _cut_off(schedule: Schedule, floor: float) -> Schedule:
    def factor(step: int) -> float:
        return max(schedule(step), floor)

    return factor


def updates(value: float, steps: int, name: str) -> int:
    """A point or span of the run: a share of it below 1, else a number of updates.

    >>> updates(0.5, 200, "decay"), updates(30, 200, "decay")
    (100, 30)
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value <= 0
        or (value >= 1 and value != int(value))
    ):
        raise RecipeError(
            f"{name} = {value!r}: a share of the run between 0 and 1, or a whole number of updates was expected"
        )
    return int(value) if value >= 1 else max(round(value * steps), 1)


def decay_factor(gamma: float) -> float:
    """`gamma`, checked to shrink the rate."""
    if not 0 < gamma <= 1:
        raise RecipeError(f"gamma = {gamma!r}: a factor above 0 and at most 1 was expected; 0.1 is usual for steps")
    return gamma
