"""`tune`: the autopilot, from data to a tuned, judged and explained model."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import DataError, Recipe, RunError, Source, revise
from tunesmith.verbs.search_budget import Amount, amount_of

if TYPE_CHECKING:
    from tunesmith.autopilot.decision import Decision
    from tunesmith.autopilot.flight import Hands
    from tunesmith.autopilot.pilot import Asked
    from tunesmith.autopilot.program.pilot import AskedOfProgram
    from tunesmith.records import Program
    from tunesmith.search.study import Study
    from tunesmith.training.predicting import Predictions

WHY = Source("revised", "tune")
MEASURES = {"run.watch": False, "eval.bootstrap": 0}  # trials are measured by the autopilot


class Tuned:
    """What a tuning gave: of a folder, while it goes on or long after.

    `model` predicts from raw data, `recipe` is that of the best net, `decisions` tell what was done and why, `scores` are those on rows
    that nothing was chosen on, by metric. Raises `RunError` for a folder that holds no tuning.
    """

    def __init__(self, folder: str | Path, *, model: Any = None) -> None:
        from tunesmith.autopilot.opening import settings_of

        self.folder = Path(folder)
        self.settings = settings_of(self.folder)
        self._own = model

    @property
    def decisions(self) -> "list[Decision]":
        """In the order they were made."""
        from tunesmith.autopilot.ledger import read_decisions

        return read_decisions(self.folder)

    @property
    def judged(self) -> dict[str, Any]:
        """The last judgement: metric, part, and scores with intervals of what was handed over and of its rivals; empty before it."""
        from tunesmith.runs.tuning import read_tuning

        return dict(read_tuning(self.folder).judged)

    @property
    def scores(self) -> dict[str, float]:
        """The scores of what was handed over, by metric; empty before the judgement."""
        found: dict[str, float] = self.judged.get("rows", {}).get("handed over", {}).get("scores", {})
        return found

    @property
    def recipe(self) -> Recipe:
        """The recipe of the best net. Raises `RunError` where no net was trained."""
        from tunesmith.records import read_recipe

        if self.of_program:
            raise RunError(f"{self.folder} is the tuning of a program, which has no recipe; .lines says what to change")
        file = self.folder / "recipe.toml"
        if not file.is_file():
            raise RunError(
                f"{self.folder} has no recipe yet: the tuning has not come to its end, or no net could be trained"
            )
        return read_recipe(file)

    @property
    def of_program(self) -> bool:
        """Whether a program was tuned, and no task."""
        return bool(self.settings.get("program"))

    @property
    def lines(self) -> list[str]:
        """What to change in the script of a program, as lines of Python; empty where it is best as it is, and of a task.

        Raises `RunError` before the judgement.
        """
        from tunesmith.autopilot.program.handing import handed

        return list(handed(self.folder)["lines"]) if self.of_program else []

    @property
    def model(self) -> Any:
        """Ready to predict: `.predict(data)`. Of a program its own module, a copy with the best weights."""
        return handed_over(self.folder, self._own)

    def predict(self, data: Any) -> "Predictions":
        """Predictions for new data, as `predict` gives them. Raises `RunError` for a program: its model takes its own inputs."""
        if self.of_program:
            raise RunError(
                f"{self.folder} is the tuning of a program; its model takes the inputs of its loaders: .model(x)"
            )
        found: Predictions = self.model.predict(data)
        return found

    def __repr__(self) -> str:
        metric = self.judged.get("metric")
        said = f"{metric} {self.scores[metric]:.4f}" if metric else "not judged yet"
        return f"<tuned in {self.folder}: {said}, {len(self.decisions)} decisions>"


def handed_over(folder: Path, model: Any, device: str = "cpu") -> Any:
    """What a tuning handed over, ready to predict; of a program its own module, a copy of `model` with the best weights."""
    if Tuned(folder).of_program:
        from tunesmith.autopilot.program.handing import handed_model

        return handed_model(folder, model).to(device)
    from tunesmith.autopilot.handing import Handed

    return Handed(folder, model=model, device=device)


def tune(
    task_or_data: Any,
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    *,
    target: str | Sequence[str] | None = None,
    budget: int | float | str = "10m",
    folder: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    tell: "Callable[[Decision], None]" = lambda decision: None,
    command: Sequence[str] = (),
    **about: Any,
) -> Tuned:
    """From a `Task`, a `Program`, or data with the task's fields as keywords, to a model, inside a budget.

    `budget`: "10m" (or s, h), "300 epochs", "20 trials" or a number of full trainings. Under epochs and trials the result depends on nothing but the
    seed; under a budget in time what the clock chose is written down and kept, so that a killed tuning goes on as it began:
    `resume=True` with its folder. Without a folder everything lies in a temporary one, which is told by `.folder`.

    Stages: look, prove, baselines, plain net, mend, pretrained start, search, regularise, longer, worth, squeeze, judge (`plan` shows them).
    Validation rows choose, test rows judge once. Where gradient boosting or a linear model is better than every net, that is handed over, and said.

    Of a `Program` copies are trained, the live objects are left as they were: it as it is, mended, in searched and regularised
    settings, longer. `.lines` says what to change in the script.

    Raises `TunesmithError`s: bad input and settings (exit code 2), `TrainingFailed` and `StorageError` (3).
    """
    from tunesmith.autopilot.pilot import fly
    from tunesmith.records import Program

    place = Path(tempfile.mkdtemp(prefix="tunesmith-tune-")) if folder is None else Path(folder)
    if isinstance(task_or_data, Program):
        of_program = asked_of_program(task_or_data, recipe, target, budget, seed, command, about)
        return _program_tuned(of_program, place, resume, tell)
    asked = asked_for(task_or_data, recipe, target=target, budget=budget, seed=seed, command=command, about=about)
    flight = fly(asked, place, hands(), resume=resume, tell=tell)
    if flight.net is not None:
        from tunesmith.runs.recipe_text import write_recipe

        assert flight.net.recipe is not None
        write_recipe(place, flight.net.recipe)
    return Tuned(place, model=None if isinstance(asked.task.model, str) else asked.task.model)


def _program_tuned(asked: "AskedOfProgram", place: Path, resume: bool, tell: "Callable[[Decision], None]") -> Tuned:
    from tunesmith.autopilot.program.pilot import fly_program

    flight = fly_program(asked, place, hands(), resume=resume, tell=tell)
    assert flight.net is not None
    return Tuned(place, model=flight.trained(flight.net).twin.model)


def asked_of_program(
    program: "Program",
    recipe: Any,
    target: Any,
    budget: int | float | str,
    seed: int,
    command: Sequence[str],
    about: Mapping[str, Any],
) -> "AskedOfProgram":
    """The program, and the budget in seconds or epochs. Raises as `tune`."""
    from tunesmith.autopilot.program.pilot import AskedOfProgram

    given = {"a recipe": recipe, "a target": target, **about}
    came = [name for name, value in given.items() if value is not None]
    if came:
        raise DataError(
            f"{', '.join(sorted(came))} came with a Program; a program has its own settings and data, so give the program alone"
        )
    unit, total = _budget(amount_of(budget), program.epochs)
    title = f"{type(program.model).__name__}, a program"
    told = {"title": title, "command": list(command), "budget": str(budget), "program": True}
    return AskedOfProgram(program, unit, total, seed, told)


def asked_for(
    task_or_data: Any,
    recipe: Any,
    *,
    target: str | Sequence[str] | None,
    budget: int | float | str,
    seed: int,
    command: Sequence[str],
    about: Mapping[str, Any],
) -> "Asked":
    """The task, read and settled, and the budget in seconds or epochs. Raises as `tune`."""
    from tunesmith.autopilot.pilot import Asked
    from tunesmith.data import prepare
    from tunesmith.data.sources import is_live
    from tunesmith.verbs.fit import as_recipe, as_task, title
    from tunesmith.verbs.search_task import resolved

    amount = amount_of(budget)
    task = as_task(task_or_data, target, about)
    if callable(task.metric):
        raise DataError("tune compares models by a metric of its own catalogue; name one: metric='accuracy'")
    if is_live(task.train):
        raise DataError(
            "tune needs rows it can read more than once and in parts; give arrays, a frame or a data file, and no loader"
        )
    given = as_recipe(recipe)
    if given.source("train.seed").kind == "default":
        given = revise(given, {"train.seed": seed}, WHY)
    settled, context = resolved(task, given)
    settled = revise(settled, {name: value for name, value in MEASURES.items() if settled.get(name) != value}, WHY)
    unit, total = _budget(amount, int(settled.train.epochs))
    told = {"title": title(task), "command": list(command), "budget": str(budget)}
    return Asked(task, settled, context, prepare(task, settled), unit, total, seed, told)


def _budget(amount: Amount, epochs: int) -> tuple[str, float]:
    """Seconds or epochs; a trial is a full training."""
    if amount.seconds is not None:
        return "seconds", float(amount.seconds)
    if amount.units is not None:
        return "epochs", float(amount.units)
    trainings = amount.trainings if amount.trainings is not None else amount.trials
    return "epochs", float(trainings or 1) * epochs


def hands() -> "Hands":
    """What the verbs do for the autopilot."""
    from tunesmith.autopilot.flight import Hands
    from tunesmith.verbs.audit import audit
    from tunesmith.verbs.preflight import preflight
    from tunesmith.verbs.repair import repair

    return Hands(audit=audit, preflight=preflight, repair=repair, search=_search, subject=partial(_subject, {}))


def _search(*given: Any, **about: Any) -> "Study":
    from tunesmith.verbs.search import search

    return search(*given, **about)


def _subject(
    held: dict[str, Any],
    task: Any,
    recipe: Recipe,
    share: float,
    targets: Any = None,
    split_seed: int | None = None,
) -> Any:
    from tunesmith.verbs.search import asked_of_search
    from tunesmith.verbs.search_task import TaskSubject

    asked = asked_of_search(recipe, int(recipe.train.epochs))
    return TaskSubject(task, asked, share=share, targets=targets, split_seed=split_seed, held=held)


def plan(
    task_or_data: Any,
    recipe: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    budget: int | float | str = "10m",
    seed: int = 0,
    **about: Any,
) -> dict[str, Any]:
    """What `tune` would do: the task as it was understood, the budget, and the stages in their order. Trains nothing; raises as `tune`."""
    from tunesmith.records import Program

    if isinstance(task_or_data, Program):
        return _plan_of_program(asked_of_program(task_or_data, recipe, target, budget, seed, (), about))
    from tunesmith.autopilot.pilot import STAGES, scorer_of
    from tunesmith.training.plan import model_name, row_count

    asked = asked_for(task_or_data, recipe, target=target, budget=budget, seed=seed, command=(), about=about)
    return {
        "unit": asked.unit,
        "total": asked.total,
        "kind": asked.prepared.kind,
        "rows": row_count(asked.prepared.train),
        "metric": scorer_of(asked.prepared, asked.recipe).name,
        "model": model_name(asked.task, asked.recipe, asked.prepared) or "your own",
        "epochs": int(asked.recipe.train.epochs),
        "stages": [{"stage": name, "does": does} for name, (_, does) in STAGES.items()],
    }


def _plan_of_program(asked: "AskedOfProgram") -> dict[str, Any]:
    from tunesmith.autopilot.program.pilot import STAGES, look_at

    bench, reading = look_at(asked)
    return {
        "unit": asked.unit,
        "total": asked.total,
        "kind": bench.kind,
        "rows": len(bench.train),
        "metric": reading.scorer.name,
        "model": type(bench.program.model).__name__,
        "epochs": bench.program.epochs,
        "stages": [{"stage": name, "does": does} for name, (_, does) in STAGES.items()],
    }
