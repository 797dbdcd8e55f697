"""Trains a program under `tunesmith.watch`, as somebody with a loop of their own would."""

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from tunesmith.records import Program
from tunesmith.runs.history import History
from tunesmith.testing.following import follow, judged_now
from tunesmith.testing.training import seeded


def watched(program: Program, folder: str | Path | None = None) -> History:
    """Trains the program's own objects with `watch.step(loss)` after each update and `watch.epoch(...)` after each epoch.

    What the program raises ends the run, as the watch saw it. The global generators are as they were.
    """
    from tunesmith.verbs.watch import watch

    with seeded(program.seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a planted slip may be one that torch warns of
        on = watch(
            program.model,
            program.optimizer,
            loss_fn=program.loss_fn,
            folder=folder,
            num_classes=program.num_classes,
            quiet=True,
        )
        with suppress(Exception), on:  # what a faulty program raises goes through the watch, which writes it down
            follow(program, _Calls(program, on))
        return on.history


class _Calls:
    """The two lines that a user adds."""

    def __init__(self, program: Program, on: Any) -> None:
        self.program, self.on = program, on

    def updated(self, loss: Any) -> None:
        self.on.step(loss)

    def ended(self, epoch: int) -> None:
        self.on.epoch(**judged_now(self.program))
