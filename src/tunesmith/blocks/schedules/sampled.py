"""A schedule over a whole run, as numbers: what there is to see of it before anything is trained."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.blocks.schedules.building import build
from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import values
from tunesmith.blocks.schedules.history import Judged, momentum_of, watches_of
from tunesmith.blocks.schedules.joining import warmup_of
from tunesmith.blocks.schedules.units import resolved, updates
from tunesmith.records.sections import ScheduleSection

MARKS = ("milestones", "boundaries")  # settings that are lists of updates
SPANS = ("every", "first", "up", "hold", "burnin", "half_period")  # settings that are a length in updates
LEAP = 0.1  # assumption: a rise by this share of the peak in one update, where its neighbours do not rise, is a restart
EVALUATIONS = 40  # assumption: of the run that is imagined for a schedule that listens


@dataclass(frozen=True, slots=True)
class Sampled:
    """`factors[t]` after t updates; `momentum` likewise, where the schedule cycles it."""

    factors: np.ndarray
    momentum: np.ndarray | None
    warmup: int  # the step from which the warm-up is over
    restarts: tuple[int, ...]
    notes: tuple[str, ...]  # what the numbers do not tell
    warnings: tuple[str, ...]  # what is set and never comes to be


def sample(
    section: ScheduleSection,
    steps: int,
    warmup: int = 0,
    *,
    per_epoch: int | None = None,
    effective_batch: int | None = None,
) -> Sampled:
    """The recipe's schedule over `steps` updates, `warmup` of them the warm-up.

    One that listens is shown for an imagined run, which is said in the notes.
    """
    known: dict[str, Any] = {"per_epoch": per_epoch, "effective_batch": effective_batch}
    schedule = build(section, steps, warmup, **known)
    notes = []
    history: tuple[Judged, ...] = ()
    if watches_of(schedule):
        history = imagined(schedule, steps, per_epoch)
        notes.append(
            f"it listens to {' and '.join(watches_of(schedule))}: drawn for {len(history) // len(watches_of(schedule))} "
            "evaluations that improve during the first third of the run and then no more"
        )
    times = np.arange(steps)
    factors = listened(schedule, times, history)
    speed = momentum_of(schedule)
    momentum = None if speed is None or not section.cycle_momentum else values(speed, times)
    begun = over(schedule, factors, listens=bool(history))
    warnings = beyond(section, steps, warmup, **known)
    return Sampled(factors, momentum, begun, leaps(factors, begun), tuple(notes), tuple(warnings))


def listened(schedule: Schedule, times: np.ndarray, history: Sequence[Judged]) -> np.ndarray:
    """The factors at each of many steps."""
    if watches_of(schedule):
        return np.array([schedule(step, history) for step in times.tolist()], np.float64)  # type: ignore[call-arg]
    return values(schedule, times)


def imagined(schedule: Schedule, steps: int, per_epoch: int | None) -> tuple[Judged, ...]:
    """Evaluations of a run that learns for a third of its time."""
    every = per_epoch or max(steps // EVALUATIONS, 1)
    found = []
    for step in range(every, steps + 1, every):
        learned = min(3 * step / steps, 1.0)
        for name in watches_of(schedule):
            found.append(Judged(step, 0.5 + 0.4 * learned if name == "score" else 1 - 0.8 * learned, name=name))
    return tuple(found)


def over(schedule: Schedule, factors: np.ndarray, *, listens: bool) -> int:
    """The step at which the warm-up is over; 0 without one."""
    latest = min(warmup_of(schedule), len(factors))
    if not listens or not latest:
        return latest
    full = np.flatnonzero(factors[:latest] >= 0.999 * factors.max())  # one that ends on a condition is up when it did
    return int(full[0]) if len(full) else latest


def leaps(factors: np.ndarray, begun: int) -> tuple[int, ...]:
    """The steps at which the rate leaps up although it did not rise before or after: restarts."""
    rise = np.diff(factors)
    top = float(factors.max(initial=0.0))
    found = []
    for i in np.flatnonzero(rise > LEAP * top).tolist():
        beside = max(rise[i - 1] if i else -math.inf, rise[i + 1] if i + 1 < len(rise) else -math.inf)
        if i + 1 > begun and beside < 0.2 * rise[i]:
            found.append(i + 1)
    return tuple(found)


def beyond(
    section: ScheduleSection, steps: int, warmup: int, *, per_epoch: int | None, effective_batch: int | None
) -> list[str]:
    """What never comes to be, since it lies beyond the end of the run."""
    name = "cosine" if section.name == "auto" else section.name
    after = section.warmup_join == "after" and warmup > 0 and name in SCHEDULES
    left = max(steps - warmup, 1) if after else steps
    settings = resolved(
        dict(section.extra), left, "schedule.extra", per_epoch=per_epoch, effective_batch=effective_batch
    )
    told = []
    for key, value in settings.items():
        if key in MARKS and isinstance(value, list):
            lost = [mark for mark in value if updates(mark, left, key) >= left]
            if lost:
                listed = ", ".join(f"{mark:,}" for mark in lost)
                told.append(
                    f"{key}: {listed} never {'comes' if len(lost) == 1 else 'come'}, the schedule ends after {left:,} updates"
                )
        elif key in SPANS and isinstance(value, int) and not isinstance(value, bool) and value > left:
            told.append(f"{key} = {value:,} is longer than the schedule, which ends after {left:,} updates")
    if warmup >= steps:
        told.append(f"the warm-up of {warmup:,} updates is not over at the end of the run of {steps:,}")
    return told
