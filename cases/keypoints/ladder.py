"""Carries out the ladder in a folder: what is finished is not done again, and what was stopped goes on.

settings.json                   data, size and budget: the same for all rows of the folder
rows.jsonl                      a line for each rung and seed that is finished
RUNG/seed-N/plan.json run/      the epochs that fit the budget, and the run folder of Tunesmith
RUNG/seed-N/predictions.npz     points of validation and test persons, in pixels of 96
"""

import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import tunesmith as ts
from cases.keypoints.flipping import flipping_loader
from cases.keypoints.judging import by_person, error
from cases.keypoints.nets import warm
from cases.keypoints.points import COLUMNS, GROUPS, SIDE, columns_of
from cases.keypoints.reading import BadFaces, Faces
from cases.keypoints.rungs import MEMBERS, NAMES, Rung, recipe_of, rung
from cases.keypoints.splitting import Parts
from tunesmith.reports import QuietDisplay

Array = np.ndarray[Any, Any]
Say = Callable[[str], None]
EVERY = list(range(len(COLUMNS)))
REHEARSED = 0.05  # share of the budget in which it is timed how many epochs fit; at least LEAST seconds. assumption
LEAST = 2.0
AMPLE = 1000  # epochs of a training that is stopped before it ends
WARM, FEWEST = 3, 5  # updates that are not timed, and that have to be
LARGEST = 24  # predictions averaged at most


class Stopped(ts.TunesmithError, RuntimeError):
    """A training was stopped before its end; the same command goes on with it."""

    exit_code = 130


@dataclass(frozen=True)
class Budget:
    """Of one rung: minutes, from which the epochs are found by a rehearsal, or epochs."""

    minutes: float = 20.0
    epochs: int | None = None


@dataclass(frozen=True)
class Ladder:
    """A folder, the faces in three parts (in pixels of the size trained on), and the budget of each rung."""

    folder: Path
    parts: Parts
    budget: Budget
    say: Say = print

    @property
    def size(self) -> int:
        return self.parts.train.size

    def settle(self) -> None:
        """Writes the settings down. Raises `BadFaces` where the folder was begun with others."""
        settings = {
            "size": self.size,
            "minutes": None if self.budget.epochs else self.budget.minutes,
            "epochs": self.budget.epochs,
            "rows": [len(part) for part in (self.parts.train, self.parts.val, self.parts.test)],
        }
        place = self.folder / "settings.json"
        before = json.loads(place.read_text("utf-8")) if place.exists() else settings
        for name, value in settings.items():
            if before.get(name) != value:
                raise BadFaces(
                    f"{self.folder} was begun with {name} {before.get(name)} and {name} {value} came; "
                    "give the same settings, or another --folder"
                )
        _write(place, settings)

    def rows(self) -> list[dict[str, Any]]:
        """What is finished; of a rung and seed the newest row."""
        place = self.folder / "rows.jsonl"
        lines = place.read_text("utf-8").splitlines() if place.exists() else []
        newest = {(row["rung"], row["seed"]): row for row in map(json.loads, lines)}
        return list(newest.values())

    def row(self, name: str, seed: int) -> dict[str, Any]:
        """The row of a rung and seed: as it is, or after training it."""
        done = {(row["rung"], row["seed"]): row for row in self.rows()}
        candidates = self.candidates() if name == "ensemble" else []
        found = done.get((name, seed))
        if found is not None and found.get("candidates", []) == candidates:
            return found
        self.say(f"{name}, seed {seed} …")
        made: dict[str, Any] = {"rung": name, "seed": seed, "size": self.size}
        made |= self._carried_out(rung(name), seed)
        if name == "ensemble":
            made["candidates"] = candidates
        with (self.folder / "rows.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(made) + "\n")
        told = f"{made['epochs']} epochs, {made['seconds']:.0f} s" if made["epochs"] else "nothing to train"
        self.say(f"{name}, seed {seed}: validation RMSE {error([made['val']]):.3f} px, {told}")
        return made

    def place(self, name: str, seed: int) -> Path:
        return self.folder / name / f"seed-{seed}"

    def candidates(self) -> list[str]:
        """The predictions that may be averaged: of every finished rung with convolutions, and every seed."""
        return sorted(f"{row['rung']}/seed-{row['seed']}" for row in self.rows() if row["rung"] in MEMBERS)

    def _carried_out(self, step: Rung, seed: int) -> dict[str, Any]:
        place = self.place(step.name, seed)
        measured: dict[str, Any] = {}
        if step.name == "mean":
            predictions = self._means()
        elif step.name == "ensemble":
            predictions, measured = self._averaged()
        elif step.name == "specialists":
            predictions, measured = self._specialised(step, seed, place)
        else:
            seconds = 60 * self.budget.minutes * step.times
            trained = Training(self, step, seed, place, EVERY, seconds)
            predictions, measured = trained.finish(), trained.measured()
        return _nothing() | measured | self._judged(predictions, place)

    def _judged(self, predictions: Mapping[str, Array], place: Path) -> dict[str, Any]:
        """The one look at the test persons: of weights, and members, that are settled."""
        place.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(place / "predictions.npz", val=predictions["val"], test=predictions["test"])
        factor = SIDE / self.size
        return {
            part: by_person(predictions[part], faces.points * factor, faces.persons)
            for part, faces in (("val", self.parts.val), ("test", self.parts.test))
        }

    def _means(self) -> dict[str, Array]:
        mean = np.nanmean(self.parts.train.points, axis=0) * (SIDE / self.size)
        return {"val": np.tile(mean, (len(self.parts.val), 1)), "test": np.tile(mean, (len(self.parts.test), 1))}

    def _specialised(self, step: Rung, seed: int, place: Path) -> tuple[dict[str, Array], dict[str, Any]]:
        """A net for each group of points, from the weights of `wide`; what they say is put together."""
        if ("wide", seed) not in {(row["rung"], row["seed"]) for row in self.rows()}:
            raise BadFaces(
                f"the specialists begin with the weights of the rung 'wide', seed {seed}: train that rung first"
            )
        base = self.place("wide", seed) / "run"
        source = ts.load(base, model=rung("wide").net(self.size)).model  # type: ignore[misc]
        predictions = {part: np.empty((len(getattr(self.parts, part)), len(COLUMNS))) for part in ("val", "test")}
        told = []
        for group, points in GROUPS.items():
            columns = columns_of(points)
            seconds = 60 * self.budget.minutes * step.times / len(GROUPS)
            training = Training(self, step, seed, place / group, columns, seconds, source, f"-{group}")
            for part, found in training.finish().items():
                predictions[part][:, columns] = found
            told.append(training.measured())
        summed = {name: sum(one[name] for one in told) for name in ("parameters", "epochs", "updates", "seconds")}
        return predictions, summed | {"epochs": round(summed["epochs"] / len(told), 1)}

    def _averaged(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Chosen with replacement, one after the other, by the validation error. Caruana et al., ICML 2004, section 2."""
        names = self.candidates()
        if not names:
            raise BadFaces("an ensemble needs predictions to average: train a rung with convolutions first")
        held = {name: dict(np.load(self.folder / name / "predictions.npz")) for name in names}
        truth = self.parts.val.points * (SIDE / self.size)
        members = chosen({name: one["val"] for name, one in held.items()}, truth)
        averaged = {part: np.mean([held[name][part] for name in members], axis=0) for part in ("val", "test")}
        weights = {name: members.count(name) for name in sorted(set(members))}
        parameters = sum(row["parameters"] for row in self.rows() if f"{row['rung']}/seed-{row['seed']}" in weights)
        return averaged, {"members": weights, "parameters": parameters}


def chosen(predictions: Mapping[str, Array], truth: Array) -> list[str]:
    """Names, some perhaps several times, whose average errs least; it ends with the first that brings nothing.

    >>> chosen({"high": np.array([[2.0]]), "low": np.array([[-1.5]]), "far": np.array([[9.0]])}, np.array([[0.0]]))
    ['low', 'high']
    """
    members: list[str] = []
    total, best = np.zeros(truth.shape), math.inf
    while len(members) < LARGEST:
        errors = {
            name: float(np.nanmean(((total + one) / (len(members) + 1) - truth) ** 2))
            for name, one in predictions.items()
        }
        name = min(errors, key=errors.__getitem__)
        if errors[name] >= best:
            break
        members.append(name)
        total, best = total + predictions[name], errors[name]
    return members


class Training:
    """One training of a rung on some of the coordinates, in a folder of its own."""

    def __init__(
        self,
        ladder: Ladder,
        step: Rung,
        seed: int,
        place: Path,
        columns: list[int],
        seconds: float,
        source: nn.Module | None = None,
        group: str = "",
    ) -> None:
        self.ladder = ladder
        self.step = step
        self.seed = seed
        self.place = place
        self.columns = columns
        self.seconds = seconds
        self.plan = ladder.folder / "plans" / f"{step.pace or step.name}{group}.json"
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
        found = {part: predictor.predict(inputs(getattr(self.ladder.parts, part))).values for part in ("val", "test")}
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
        made = self.step.net(self.ladder.size, len(self.columns))
        return made if self.source is None else warm(made, self.source)

    def recipe(self, epochs: int) -> dict[str, Any]:
        return recipe_of(self.step.name, seed=self.seed, epochs=epochs)

    def task(self) -> ts.Task:
        """Only rows that have one of the points at least: the others have nothing to say of them."""
        train, val = (self._told(getattr(self.ladder.parts, part)) for part in ("train", "val"))
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
            asked = self.ladder.budget.epochs
            if asked is not None:
                told: dict[str, Any] = {"epochs": max(1, round(asked * self.step.times))}
            else:
                an_epoch = self._rehearsed()
                told = {"epochs": max(1, int(self.seconds / an_epoch)), "seconds_an_epoch": round(an_epoch, 3)}
            _write(self.plan, told)
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
        return math.ceil(len(self._told(self.ladder.parts.train)[0]) / int(self.recipe(1)["train.batch_size"]))


class Clock:
    """A probe that measures nothing but the time."""

    every = 1

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, state: Any) -> Iterator[ts.Signal]:
        self.times.append(time.monotonic())
        yield from ()


def inputs(faces: Faces) -> Array:
    """(N, 1, S, S) in [0, 1]."""
    return (faces.pictures[:, None] / np.float32(255)).astype(np.float32)


def targets(faces: Faces) -> Array:
    """(N, 30), 0 at the middle of the picture and 1 at its right and lower edge; NaN where missing."""
    half = np.float32(faces.size / 2)
    return ((faces.points - half) / half).astype(np.float32)


def carry_out(ladder: Ladder, names: Sequence[str], seeds: int) -> list[dict[str, Any]]:
    """Rung after rung, each with all seeds; what needs no training once. Gives all rows of the folder."""
    ladder.settle()
    for name in NAMES:
        if name in names:
            for seed in range(seeds if rung(name).net is not None else 1):
                ladder.row(name, seed)
    return ladder.rows()


def _nothing() -> dict[str, Any]:
    return {"parameters": 0, "epochs": 0, "updates": 0, "seconds": 0.0}


def _write(place: Path, told: Any) -> None:
    """Whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_suffix(".new")
    beside.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, place)
