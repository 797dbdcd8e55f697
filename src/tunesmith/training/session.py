"""One training from a plan to its best weights: resume, loop, signals of the operating system, how it ended."""

import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import torch

from tunesmith.blocks.optim import without_compiler
from tunesmith.records.state import Snapshot, random_state, set_random_state
from tunesmith.records.until import Until
from tunesmith.runs.stopping import forget_request, requests
from tunesmith.training.keeping import Keeping
from tunesmith.training.loop import Ending, Interrupt, Loop, Plan, Record, Screen


def run_plan(
    plan: Plan,
    record: Record,
    screen: Screen,
    keep: Keeping,
    *,
    start: Snapshot | None = None,
    until: Until = Until(),
    folder: Path | None = None,
) -> Ending:
    """Trains a plan, from its beginning or from a snapshot, and leaves the best weights in `plan.state.model`.

    The record's attempt has begun. `folder`: where a request to stop may be left (`runs/stopping.py`).
    """
    if start is not None:
        with without_compiler():
            plan.state.restore(start)
    interrupt = Interrupt(request=requests(folder))
    try:
        with listening(interrupt, screen):
            ending = Loop(plan, record, screen, keep, interrupt=interrupt, until=until).run()
    finally:
        if folder is not None:
            forget_request(folder)  # one that came too late
    if plan.state.parted is not None:
        plan.state.model = plan.state.parted.whole_model
    averaged = plan.state.average is not None and interrupt.saves  # else nothing may have been kept yet
    if plan.state.progress.get("best") is not None or averaged:
        plan.state.model.load_state_dict(keep.best_weights())
    return ending


@contextmanager
def seeded(seed: int, *, deterministic: bool = False) -> Iterator[None]:
    """Global generators seeded inside, and as the caller had them after."""
    before = random_state()
    strict = torch.are_deterministic_algorithms_enabled()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if deterministic:
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        set_random_state(before)
        if deterministic:
            torch.use_deterministic_algorithms(strict)


@contextmanager
def listening(interrupt: Interrupt, screen: Screen) -> Iterator[None]:
    """Ctrl-C (or SIGTERM) once: the loop ends after the update, and saves. Twice: it stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, frame: FrameType | None) -> None:
        if interrupt.asked:
            raise KeyboardInterrupt
        interrupt.asked = True
        screen.notice("stopping after this update and saving; once more stops at once")

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
