"""Twins: a short stretch of a training by its own plan, in memory and in silence."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from tunesmith.records import Clock, DataError, RecipeError, TrainingFailed
from tunesmith.records.until import Until
from tunesmith.runs import MemoryWriter
from tunesmith.training.loop import Interrupt, Loop, Plan

SHARE, FEWEST = 0.2, 400  # of the updates, and updates, that a twin makes at least; assumption
TIMES = 12  # that a twin is looked at; twice as many as a finding takes
LAST = 4  # looks at its end whose mean counts: trainings swing


def length(whole: int, updates: int | None) -> int:
    """Updates between two looks of a twin, of which there are `TIMES`. Raises `RecipeError` for a training that is too short."""
    wanted = max(FEWEST, round(SHARE * whole)) if updates is None else updates
    every = min(wanted, whole) // TIMES
    if every < 1:
        raise RecipeError(
            f"a twin of {min(wanted, whole)} updates is looked at {TIMES} times; {TIMES} updates or more were expected"
        )
    return every


def trained(plan: Plan, updates: int, clock: Clock) -> dict[str, Any]:
    """A plan trained for so many updates, or until the clock ends it: why it broke, if it did, and seconds."""
    began, broke = time.perf_counter(), ""
    record = MemoryWriter(plan.recipe)
    record.begin_attempt(0)
    until = Until(steps=updates, seconds=None if np.isinf(clock.seconds) else clock.left())
    try:
        Loop(plan, record, Silent(), Nowhere(), interrupt=Interrupt(), until=until).run()
    except (TrainingFailed, DataError) as error:  # a number that is not finite: of the loss, or of what was looked at
        broke = str(error)
    return {"broke": broke, "seconds": round(time.perf_counter() - began, 3)}


def passes(plan: Plan, updates: int) -> float:
    """Passes over the rows that so many updates make."""
    feed: Any = plan.feed
    return float(updates * feed.batch_size * feed.accumulate / len(feed.rows))


def digest_of(tensors: Iterable[Tensor]) -> str:
    """What tensors hold, in a few letters."""
    import hashlib

    found = hashlib.blake2b(digest_size=16)
    for one in tensors:
        found.update(repr(tuple(one.shape)).encode())
        found.update(one.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


class Silent:
    """Shows nothing."""

    def progress(self, step: int, steps: int, loss: float) -> None: ...
    def evaluation(self, row: Mapping[str, Any]) -> None: ...
    def finding(self, finding: Any, step: int) -> None: ...
    def notice(self, text: str) -> None: ...


class Nowhere:
    """Keeps no snapshot."""

    def __call__(self, snapshot: Any, *, mark: int, best: bool) -> None: ...
    def at_most(self, step: int) -> None: ...
    def forget_after(self, step: int) -> None: ...
