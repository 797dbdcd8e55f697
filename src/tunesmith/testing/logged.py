"""Writes the CSV that a program's author would have logged."""

import csv
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from tunesmith.records import Program
from tunesmith.testing.following import follow, judged_now, metric_name
from tunesmith.testing.training import seeded


def logged(program: Program, path: str | Path, *, every: int | None = None) -> Path:
    """Trains the program's own objects and logs a row for each epoch: epoch, train_loss, val_loss, val_<metric>, lr.

    With `every` there are rows of single batches between them, each `every` updates, as loggers of frameworks write them: epoch, step,
    train_loss_step, train_loss_epoch, val_loss, val_<metric>, lr. The loss of an epoch is the mean of its updates'. What the program
    raises ends the log: the rows so far are there. The global generators are as they were.
    """
    place = Path(path)
    with seeded(program.seed), warnings.catch_warnings(), place.open("w", newline="", encoding="utf-8") as file:
        warnings.simplefilter("ignore")  # a planted slip may be one that torch warns of
        log = _Log(program, file, every)
        with suppress(Exception):  # whatever it was: its author has the log, and the traceback elsewhere
            follow(program, log)
    return place


class _Log:
    def __init__(self, program: Program, file: TextIO, every: int | None) -> None:
        self.program, self.file, self.every = program, file, every
        scores = [] if program.val is None else ["val_loss"]
        if program.val is not None and program.metric is not None:
            scores.append(f"val_{metric_name(program)}")
        loss = ["train_loss"] if every is None else ["step", "train_loss_step", "train_loss_epoch"]
        self.rows = csv.DictWriter(file, ["epoch", *loss, *scores, "lr"])
        self.rows.writeheader()
        self.losses: list[float] = []
        self.step = 0
        self.epoch = int(program.resume_from.get("epoch", 0)) if isinstance(program.resume_from, dict) else 0

    def updated(self, loss: Any) -> None:
        self.losses.append(float(loss))
        self.step += 1
        if self.every is not None and self.step % self.every == 0:
            row = {"epoch": self.epoch, "step": self.step - 1, "train_loss_step": self.losses[-1], "lr": self._rate()}
            self._write(row)

    def ended(self, epoch: int) -> None:
        row: dict[str, Any] = {"epoch": epoch, "lr": self._rate()}
        mean = sum(self.losses) / len(self.losses) if self.losses else float("nan")
        row |= {"train_loss": mean} if self.every is None else {"step": self.step - 1, "train_loss_epoch": mean}
        scores = judged_now(self.program)
        row |= {name if name == "val_loss" else f"val_{name}": value for name, value in scores.items()}
        self._write(row)
        self.losses.clear()
        self.epoch = epoch + 1

    def _write(self, row: dict[str, Any]) -> None:
        self.rows.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
        self.file.flush()

    def _rate(self) -> float:
        return float(self.program.optimizer.param_groups[0]["lr"])
