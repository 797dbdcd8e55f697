"""One training of a rung in a run folder of Tunesmith, from a budget to predictions; stopped, it goes on.

How many epochs fit the budget is found by a rehearsal: the beginning of a training that is thrown away. It is timed by the seconds the
processor gave to it, so that other work on the machine makes a rung slower and not shorter.
"""

import json
import math
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import tunesmith as ts
from cases.keypoints.flipping import flipping_loader
from cases.keypoints.nets import warm
from cases.keypoints.points import COLUMNS, SIDE
from cases.keypoints.reading import BadFaces, Faces
from cases.keypoints.rungs import Rung, recipe_of
from cases.keypoints.splitting import Parts
from tunesmith.reports import QuietDisplay

Array = np.ndarray[Any, Any]
REHEARSED = 0.05  # share of the budget in which it is timed how many epochs fit; at least LEAST seconds. assumption
LEAST = 2.0
AMPLE = 1000  # epochs of a training that is stopped before it ends
WARM, FEWEST = 3, 5  # updates that are not timed, and that have to be


class Stopped(ts.TunesmithError, RuntimeError):
    """A training was stopped before its end; the same command goes on with it."""

    exit_code = 130


class Training:
    """One training of a rung on some of the coordinates, in a folder of its own."""

    def __init__(
        self,
        parts: Parts,
        step: Rung,
        *,
        seed: int,
        place: Path,
        plan: Path,
        columns: list[int],
        seconds: float,
        epochs: int | None = None,
        source: nn.Module | None = None,
    ) -> None:
        self.parts = parts
        self.step = step
        self.seed = seed
        self.place = place
        self.plan = plan  # where the epochs are kept that were found
        self.columns = columns
        self.seconds = seconds
        self.epochs = epochs  # in place of seconds
        self.source = source  # its convolutions and hidden layers are where this one begins

    def finish(self, until: str | None = None) -> dict[str, Array]:
        """Trains to the end, or goes on where it was stopped; the points of validation and test persons in pixels of 96."""
        begun = (self.place / "run" / "run.json").exists()
        if not begun or ts.Run(self.place / "run").status != "finished":
            recipe = self.recipe(self._epochs())
            run = ts.fit(
                self.task(), recipe, folder=self.place / "run", resume=begun, until=until, display=QuietDisplay()
            )
            if run.status != "finished":
                raise Stopped(f"{self.place} was stopped before its end; the same command goes on with it")
        predictor = ts.load(self.place / "run", model=self.net())
        found = {part: predictor.predict(inputs(getattr(self.parts, part))).values for part in ("val", "test")}
        return {part: (np.asarray(values) + 1) * (SIDE / 2) for part, values in found.items()}

    def measured(self) -> dict[str, Any]:
        """What it took. The seconds are those of the updates and evaluations that stand; what a kill undid is not in them."""
        rows = ts.Run(self.place / "run").evaluations
        best = next(row for row in reversed(rows) if row["best"])
        return {
            "parameters": sum(weight.numel() for weight in self.net().parameters()),
            "epochs": rows[-1]["epoch"],
            "best_epoch": best["epoch"],
            "updates": rows[-1]["step"],
            "seconds": round(sum(row["seconds"] for row in rows), 1),
            "train_rmse": round(math.sqrt(rows[-1]["train_loss"]) * SIDE / 2, 3),
        }

    def net(self) -> nn.Module:
        assert self.step.net is not None
        made = self.step.net(self.parts.train.size, len(self.columns))
        return made if self.source is None else warm(made, self.source)

    def recipe(self, epochs: int) -> dict[str, Any]:
        return recipe_of(self.step.name, seed=self.seed, epochs=epochs)

    def task(self) -> ts.Task:
        """Only rows that have one of the points at least: the others have nothing to say of them."""
        train, val = (self._told(getattr(self.parts, part)) for part in ("train", "val"))
        if self.step.flips:
            batch, (X, y) = self.recipe(1)["train.batch_size"], map(torch.from_numpy, train)
            rows = flipping_loader(X, y, self.columns, batch_size=min(batch, len(X)), seed=self.seed)
            return ts.Task(self.net, rows, val=val, kind="multi_regression")
        return ts.Task(self.net, train, val=val, kind="multi_regression")

    def _told(self, faces: Faces) -> tuple[Array, Array]:
        there = np.flatnonzero(~np.isnan(faces.points[:, self.columns]).all(axis=1))
        if not len(there):
            raise BadFaces(f"no face of a part has any of the points {COLUMNS[self.columns[0]]} …; give more faces")
        held = faces.take(there)
        return inputs(held), targets(held)[:, self.columns]

    def _epochs(self) -> int:
        """How many epochs fit the budget: asked once, for a training that goes on has the same end."""
        if not self.plan.exists():
            if self.epochs is not None:
                told: dict[str, Any] = {"epochs": self.epochs}
            else:
                an_epoch = self._rehearsed()
                told = {"epochs": max(1, int(self.seconds / an_epoch)), "seconds_an_epoch": round(an_epoch, 3)}
            write(self.plan, told)
        epochs: int = json.loads(self.plan.read_text("utf-8"))["epochs"]
        return epochs

    def _rehearsed(self) -> float:
        """Seconds of an epoch, by the beginning of a training that is thrown away: evaluations and checkpoints belong to it."""
        times = self._times(f"{max(LEAST, REHEARSED * self.seconds):g} seconds")
        if len(times) < WARM + FEWEST:  # slow updates
            times = self._times(f"{WARM + FEWEST} steps")
        timed = times[WARM:]
        return (timed[-1] - timed[0]) / (len(timed) - 1) * self._updates()

    def _times(self, until: str) -> list[float]:
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            place, recipe = Path(folder) / "run", self.recipe(AMPLE)
            run = ts.fit(self.task(), recipe, folder=place, until=until, probes=[clock], display=QuietDisplay())
            if run.status == "interrupted":
                raise Stopped(f"{self.place} was stopped before it began; the same command begins it")
        return clock.times

    def _updates(self) -> int:
        """Of an epoch."""
        return math.ceil(len(self._told(self.parts.train)[0]) / int(self.recipe(1)["train.batch_size"]))


class Clock:
    """A probe that measures nothing but the processor's time."""

    every = 1

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, state: Any) -> Iterator[ts.Signal]:
        self.times.append(time.process_time())
        yield from ()


def inputs(faces: Faces) -> Array:
    """(N, 1, S, S) in [0, 1]."""
    return (faces.pictures[:, None] / np.float32(255)).astype(np.float32)


def targets(faces: Faces) -> Array:
    """(N, 30), 0 at the middle of the picture and 1 at its right and lower edge; NaN where missing."""
    half = np.float32(faces.size / 2)
    return ((faces.points - half) / half).astype(np.float32)


def write(place: Path, told: Any) -> None:
    """Whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_suffix(".new")
    beside.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, place)
