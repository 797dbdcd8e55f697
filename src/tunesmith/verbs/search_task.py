"""The subject of a `Task`: a configuration changes the recipe, a budget unit is an epoch, a trial is a run folder of its own.

All trials have the same split and the same seed, so that they differ by their configuration alone; the schedule spans the whole
training however early a trial pauses. Scores come from the validation rows; the test rows are not looked at.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import DataError, Recipe, RecipeError, Source, Task, revise
from tunesmith.reports import QuietDisplay
from tunesmith.runs import Run
from tunesmith.search.study import RUN

if TYPE_CHECKING:
    from tunesmith.data.spec import Prepared
    from tunesmith.training.plan import Made

FATAL = ("loss.nonfinite", "loss.diverging", "lr.too_high", "grad.exploding")  # what no further epoch mends
SEARCHED = Source("revised", "search")
OWN_STILL = ("optim.lr", "optim.weight_decay")  # settings that a state of the optimizer would bring along
OF_DATA = ("data.", "loss.", "model.name", "train.seed", "run.language")  # what the data are made ready by


class TaskSubject:
    """Trains a task by epochs. `recipe` has a number of epochs, which is the length of a full training; a `share` of the training rows is seen.

    `targets` (N, …) are learnt in the place of those that the training rows have. `split_seed` divides the rows, where the training's own
    seed, which does it otherwise, is to differ between trainings on the same rows. `held` keeps the data ready, by what they are made ready by, for
    all subjects that share it.
    """

    copies = True
    wants_folder = True

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        *,
        fresh: bool = False,
        share: float = 1.0,
        targets: Any = None,
        split_seed: int | None = None,
        held: "dict[str, tuple[Task, Prepared]] | None" = None,
    ) -> None:
        self.task, self.recipe, self.fresh, self.share = task, recipe, fresh, share
        self.targets, self.split_seed = targets, split_seed
        self.held: dict[str, tuple[Task, Prepared]] = {} if held is None else held
        self._ready: tuple[str, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_ready": None, "held": {}}

    def on_fresh_seeds(self) -> "TaskSubject":
        """The same, with the seed of each training that which it is given: new split, new weights, new order."""
        return TaskSubject(self.task, self.recipe, fresh=True, share=self.share, targets=self.targets)

    @property
    def title(self) -> str:
        """What the task is about, in a few words."""
        from tunesmith.verbs.fit import title

        return title(self.task)

    def recipe_of(self, config: Mapping[str, Any], seed: int) -> Recipe:
        """The recipe of a trial."""
        return revise(self.recipe, {**config, "train.seed": seed} if self.fresh else config, SEARCHED)

    def train(
        self,
        config: Mapping[str, Any],
        *,
        start: int,
        upto: int,
        folder: Path | None,
        seed: int,
        copy_from: Path | None,
    ) -> Iterator[Mapping[str, Any] | None]:
        from tunesmith.records.state import random_state, set_random_state
        from tunesmith.training.plan import make
        from tunesmith.training.session import seeded

        assert folder is not None
        recipe = self.recipe_of(config, seed)
        prepared = self._prepared(recipe)
        with ExitStack() as stack:
            stack.enter_context(seeded(recipe.train.seed, deterministic=recipe.train.deterministic))
            made = make(self.task, recipe, prepared)
            trial = _Trial(folder / RUN, made, prepared, self.task)
            stack.enter_context(trial.writing(copy_from, start))
            for unit in range(1, upto + 1):
                record = trial.epoch(unit, last=unit == upto)
                own = random_state()  # others train while this one waits
                yield record if unit > start else None
                set_random_state(own)

    def _prepared(self, recipe: Recipe) -> "Prepared":
        from tunesmith.data import prepare

        key = made_ready_by(self._splitting(recipe))
        if self._ready is None or self._ready[0] != key:
            task, ready = self.held.get(key, (None, None))
            if ready is None or task is not self.task:
                ready = prepare(self.task, self._splitting(recipe))
                self.held.clear()  # one at a time
                self.held[key] = (self.task, ready)
            if self.targets is not None:
                ready = replace(ready, train=replace(ready.train, target=self.targets))
            self._ready = (key, some_rows(ready, self.share, recipe.train.seed))
        found: Prepared = self._ready[1]
        return found

    def _splitting(self, recipe: Recipe) -> Recipe:
        return recipe if self.split_seed is None else revise(recipe, {"train.seed": self.split_seed}, SEARCHED)

    def discard(self, folder: Path) -> None:
        """The log of the run stays; its weights go."""
        checkpoints = folder / RUN / "checkpoints"
        if checkpoints.is_dir():
            shutil.rmtree(checkpoints)


def made_ready_by(recipe: Recipe) -> str:
    """The settings that the data are made ready by."""
    return json.dumps({path: value for path, value in recipe.flat().items() if path.startswith(OF_DATA)}, default=str)


def some_rows(prepared: "Prepared", share: float, seed: int) -> "Prepared":
    """The same with a share of the training rows, drawn by the seed; scaling and vocabulary stay those of all of them."""
    if share >= 1:
        return prepared
    import numpy as np

    part = prepared.train
    count = max(2, round(share * len(part)))
    kept = np.sort(np.random.default_rng([seed, count]).permutation(len(part))[:count])
    fewer = part.take(kept)
    counts = None if prepared.counts is None else np.bincount(fewer.target.reshape(-1), minlength=len(prepared.counts))
    return replace(prepared, train=fewer, counts=counts)


def resolved(task: Task, recipe: Recipe) -> tuple[Recipe, dict[str, Any]]:
    """The recipe with all that a run settles, and what is known of the training. Raises `RecipeError` where steps are its length."""
    from tunesmith.blocks import experience
    from tunesmith.data import prepare
    from tunesmith.training.plan import make, row_count
    from tunesmith.training.pretrained.beginning import is_pretrained
    from tunesmith.training.session import seeded

    if recipe.train.steps is not None:
        raise RecipeError(
            f"train.steps = {recipe.train.steps}; a search counts epochs: leave train.steps out and set train.epochs"
        )
    with seeded(recipe.train.seed, deterministic=recipe.train.deterministic):
        prepared = prepare(task, recipe)
        made = make(task, recipe, prepared)
    known = experience.kind_of(made.model_name if made.built_in else "own")
    about = {"pretrained": True} if is_pretrained(made.plan.recipe) else {}
    return made.plan.recipe, {"model": known, "rows": row_count(prepared.train), **about}


class _Hearing(QuietDisplay):
    """Keeps the last evaluation."""

    row: Mapping[str, Any] | None = None

    def evaluation(self, row: Mapping[str, Any]) -> None:
        self.row = row


class _Trial:
    """The run folder of a trial and the training in it."""

    def __init__(self, place: Path, made: "Made", prepared: "Prepared", task: Task) -> None:
        self.place, self.made, self.prepared, self.task = place, made, prepared, task
        self.screen = _Hearing()
        self.known: dict[int, Mapping[str, Any]] = {}  # evaluations by epoch, of earlier stretches

    @contextmanager
    def writing(self, copy_from: Path | None, start: int) -> Iterator[None]:
        """Opens the folder and puts the state where the training goes on; inside, epochs can be trained."""
        from tunesmith.blocks.optim import without_compiler
        from tunesmith.verbs.fit import keeping, opened, starting_point, write_down

        plan = self.made.plan
        if copy_from is not None:
            shutil.rmtree(self.place, ignore_errors=True)
        if not (self.place / "run.json").is_file():
            opened(self.place, self.made, self.prepared, self.task)
        if copy_from is not None:
            taken_over(copy_from / RUN, self.place)
        self.run = Run(self.place)
        self.keep = keeping(self.run, plan.recipe)
        found = starting_point(self.keep, (self.place / "checkpoints").is_dir(), self.screen)
        with self.run.writer() as self.writer:
            if found is None:
                self.writer.begin_attempt(0, 0)
                write_down(self.writer, self.made, self.prepared)
            else:
                snapshot, mark = found
                with without_compiler():
                    plan.state.restore(snapshot)
                self.writer.begin_attempt(snapshot["step"], mark if copy_from is None else 0)
            if copy_from is not None:  # the other may be further, and its optimizer brings its own settings
                plan.state.epoch = start
                plan.state.progress["changes"] = {path: plan.recipe.get(path) for path in OWN_STILL}
            self.known = {int(row["epoch"]): row for row in self.run.evaluations if row["epoch"] == int(row["epoch"])}
            yield
            self.writer.set_status("finished" if plan.state.epoch >= plan.epochs else "paused")

    def epoch(self, unit: int, *, last: bool) -> Mapping[str, Any] | None:
        """Trains one epoch, unless it was trained already; its record."""
        from tunesmith.records.until import Until
        from tunesmith.training.loop import Interrupt, Loop

        plan = self.made.plan
        if unit > plan.state.epoch:
            until = Until(epochs=unit)
            Loop(plan, self.writer, self.screen, self.keep, interrupt=Interrupt(), until=until).run()
            row = self.screen.row
        else:
            row = self.known.get(unit)
        if row is None:
            return None
        record = record_of_row(row, getattr(plan.judge, "better", "min"))
        cause = self.cause() if last else ""
        return record | {"cause": cause} if cause else record

    def cause(self) -> str:
        """The fault that no further epoch mends, if the rules find one in what was logged; "" for none."""
        from tunesmith.doctor.diagnosis import diagnosed
        from tunesmith.runs.readers.own import history_of

        self.writer.flush()
        for finding in diagnosed(history_of(self.run)):
            if finding.severity == "error" and finding.status != "refuted" and finding.fault in FATAL:
                return str(finding.fault)
        return ""


def record_of_row(row: Mapping[str, Any], better: str) -> dict[str, Any]:
    """An evaluation as a record of a search: the score is minimised, so a metric of which more is better has its sign turned.

    >>> record_of_row({"metric": "accuracy", "score": 0.9, "train_loss": 0.3, "val_loss": 0.4, "seconds": 1.5}, "max")
    {'score': -0.9, 'metric': 'accuracy', 'value': 0.9, 'train_loss': 0.3, 'val_loss': 0.4, 'seconds': 1.5}
    """
    if row.get("score") is None:
        raise DataError("there are no validation rows to score a trial by; give some (val=…, or data.val above 0)")
    record = {
        "score": -row["score"] if better == "max" else row["score"],
        "metric": row["metric"],
        "value": row["score"],
    }
    return record | {name: row[name] for name in ("train_loss", "val_loss", "seconds") if row.get(name) is not None}


def taken_over(source: Path, place: Path) -> None:
    """Copies the checkpoints of another trial's run. Raises `DataError` where they are gone."""
    if not (source / "checkpoints").is_dir():
        raise DataError(f"the weights in {source} are gone, so that no other trial can take them over")
    shutil.copytree(source / "checkpoints", place / "checkpoints", dirs_exist_ok=True)
