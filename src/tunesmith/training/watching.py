"""What a schedule that listens is told after each evaluation: the value it watches, and how far chance moves it.

The history lies in `state.progress`, so a resumed run hears what the run that never stopped heard.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.blocks.schedules import History, Judged
from tunesmith.records.state import State

HISTORY = "watched"  # its key in `state.progress`: rows [step, name, value, noise]
WATCHES = ("val_loss", "score", "train_loss", "train_error")


class Hearing:
    """The history in a state, as a schedule takes it; the same tuple as long as nothing was added."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self.history: tuple[Judged, ...] = ()

    def __call__(self, state: State) -> History:
        rows = state.progress.get(HISTORY, [])
        if rows != self.rows:
            self.rows = list(rows)
            self.history = tuple(Judged(step, value, noise, name) for step, name, value, noise in rows)
        return self.history


def remember(
    state: State, step: int, watches: Sequence[str], row: Mapping[str, Any], noise: Mapping[str, float]
) -> None:
    """Adds what an evaluation found to the history; `step` is that of the schedule's clock."""
    for name in watches:
        state.progress.setdefault(HISTORY, []).append([step, name, float(row[name]), float(noise.get(name, 0.0))])
