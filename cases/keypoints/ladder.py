"""Carries out the ladder in a folder: what is finished is not done again, and what was stopped goes on.

settings.json                   data, size and budget: the same for all rows of the folder
rows.jsonl                      a line for each rung and seed that is finished
plans/RUNG.json                 the epochs that fit the budget: found once, for all seeds and for nets that cost the same
RUNG/seed-N/run/                the run folder of Tunesmith; of the specialists RUNG/seed-N/GROUP/run/
RUNG/seed-N/predictions.npz     points of validation and test persons, in pixels of 96
tune/seed-N/tuned/              the folder of `tunesmith tune` on the same parts
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

import tunesmith as ts
from cases.keypoints.judging import by_person, error
from cases.keypoints.points import COLUMNS, GROUPS, SIDE, columns_of
from cases.keypoints.reading import BadFaces
from cases.keypoints.rungs import BESIDE, MEMBERS, NAMES, Rung, rung
from cases.keypoints.splitting import Parts
from cases.keypoints.training import Training, inputs, targets, write

Array = np.ndarray[Any, Any]
Say = Callable[[str], None]
EVERY = list(range(len(COLUMNS)))
LARGEST = 24  # predictions averaged at most


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
        write(place, settings)

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
        made |= self._tuned(seed) if name in BESIDE else self._carried_out(rung(name), seed)
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
            trained = self.training(step, seed, place)
            predictions, measured = trained.finish(), trained.measured()
        return _nothing() | measured | self._judged(predictions, place)

    def _tuned(self, seed: int) -> dict[str, Any]:
        """`tunesmith tune`, unaided: the parts, the metric and the minutes are all that it is told."""
        place = self.place("tune", seed)
        told = (self.parts.train, self.parts.val, self.parts.test)
        train, val, test = ((inputs(part), targets(part)) for part in told)
        task = ts.Task(train=train, val=val, test=test, kind="multi_regression", metric="rmse")
        budget = f"{60 * self.budget.minutes:g}s" if self.budget.epochs is None else f"{self.budget.epochs} epochs"
        folder = place / "tuned"
        begun = (folder / "tune.json").exists()
        tuned = ts.tune(task, budget=budget, folder=folder, resume=begun, seed=seed)
        said = {part: np.asarray(tuned.predict(pair[0]).values) for part, pair in (("val", val), ("test", test))}
        points = {part: (values + 1) * (SIDE / 2) for part, values in said.items()}
        steps = [json.loads(line) for line in (folder / "steps.jsonl").read_text("utf-8").splitlines()]
        done = [one for one in steps if "step" in one]
        members = [one["name"] for one in json.loads((folder / "handed.json").read_text("utf-8"))["members"]]
        took = {
            "epochs": sum(one["epochs"] for one in done),
            "seconds": round(sum(one["seconds"] for one in done), 1),
            "handed": members,
            "decisions": [one.title for one in tuned.decisions],
        }
        return _nothing() | took | self._judged(points, place)

    def training(
        self,
        step: Rung,
        seed: int,
        place: Path,
        columns: Sequence[int] = EVERY,
        source: nn.Module | None = None,
        group: str = "",
    ) -> Training:
        """A training of a rung, or of one of its groups of points, which then share the budget."""
        plan = f"{step.pace or step.name}-{group}" if group else step.pace or step.name
        return Training(
            self.parts,
            step,
            seed=seed,
            place=place,
            plan=self.folder / "plans" / f"{plan}.json",
            columns=list(columns),
            seconds=60 * self.budget.minutes * step.times / (len(GROUPS) if group else 1),
            epochs=None if self.budget.epochs is None else max(1, round(self.budget.epochs * step.times)),
            source=source,
        )

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
            training = self.training(step, seed, place / group, columns, source, group)
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


def carry_out(ladder: Ladder, names: Sequence[str], seeds: int) -> list[dict[str, Any]]:
    """Rung after rung, each with all seeds; what needs no training once. Gives all rows of the folder."""
    ladder.settle()
    for name in (*NAMES, *BESIDE):
        if name in names:
            for seed in range(seeds if name in BESIDE or rung(name).net is not None else 1):
                ladder.row(name, seed)
    return ladder.rows()


def _nothing() -> dict[str, Any]:
    return {"parameters": 0, "epochs": 0, "updates": 0, "seconds": 0.0}
