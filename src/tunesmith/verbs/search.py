"""`search`: the best configuration of a task, a function or a program."""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tunesmith.records import Clock, DataError, Recipe, Task, revise
from tunesmith.runs.files import write_json
from tunesmith.search.ask import Search
from tunesmith.search.driver import KEEP, drive
from tunesmith.search.executors import EXECUTORS, Executor
from tunesmith.search.space import Space
from tunesmith.search.spaces import space_from
from tunesmith.search.study import CONFIRMED, Study
from tunesmith.search.subject import Subject, TrainsTogether
from tunesmith.search.subjects import Command, Function, subject_of
from tunesmith.verbs.search_budget import amount_of

SEEDS = 3  # fresh seeds of the confirmation of a task; assumption: fewer have no interval worth the name
FEW = 2  # trials that are confirmed; assumption: the second is often the first
SEARCHING = 0.75  # of the seconds, where some are left for a confirmation; assumption


def search(
    subject: Any,
    space: "Mapping[str, Any] | Space | str" = "auto",
    *,
    sampler: Any = "auto",
    budget: int | float | str = 20,
    executor: str | Executor = "local",
    workers: int = 1,
    seed: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    max_budget: int | None = None,
    scheme: Any = "auto",
    prior: Mapping[str, Any] | None = None,
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    timeout: float | None = None,
    keep: int = KEEP,
    confirm: int | None = None,
    show: Callable[[Search], None] = lambda search: None,
    options: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
    warm: Any = None,
    **task: Any,
) -> Study:
    """Searches until the budget is spent, and gives the study.

    `subject`: a function of a configuration that returns or yields scores (lower is better), a `Command`, a `Task`, or data with the task's
    fields as keywords; a configuration of these changes the `recipe`, and one budget unit is an epoch. `space`: domains by name; "auto":
    what is worth searching of a task, with a prior. `budget`: full trainings (20), or "540 epochs", "100 trials", "10m".

    `max_budget`: units of a full training; the epochs of the recipe, 1 for functions. `sampler`, `scheme`: which configurations, and how
    the units are divided among them, by name. With `folder` everything is kept there, and `resume=True` goes on with it. `timeout`: seconds
    that one unit may take. `confirm`: fresh seeds on which the best are trained again beside the default, beyond a budget of trainings and
    inside one of seconds; 3 for a task, 0 for others. `keep`: best trials whose checkpoints stay. `warm`: earlier studies to learn from: a folder,
    a `Study`, an Optuna study, trials, or a list of these, with the same score.

    Raises `TunesmithError`s: wrong input (exit code 2), `TrainingFailed` where the first trials all fail, `StorageError` (3).
    """
    amount = amount_of(budget)
    made, space, prior, units, fresh = _made(subject, space, prior, recipe, task, max_budget)
    if executor == "batched" and not isinstance(made, TrainsTogether):
        raise DataError(
            f"the executor batched trains a BatchedSubject, and here is {_said(made)}; wrap your model in tunesmith.BatchedSubject, or take "
            "executor='pool'"
        )
    if folder is None and executor == "slurm":
        raise DataError("the executor slurm needs a folder that all machines see; pass folder='…'")
    asked = Search(
        space,
        units,
        total=amount.total(units),
        max_trials=amount.trials,
        prior=prior,
        sampler=sampler,
        budget=scheme,
        seed=seed,
        folder=folder,
        resume=resume,
        workers=workers,
        warm=warm,
        about={**(about or {}), "subject": _said(made)},
        **(options or {}),
    )
    seeds = (SEEDS if fresh is not None else 0) if confirm is None else confirm
    clock = Clock(amount.seconds)
    seconds = None if amount.seconds is None else amount.seconds * (SEARCHING if seeds else 1.0)
    with closing(asked):
        study = Study(asked, loader=_load)
        study.ended = drive(asked, made, executor, workers, seconds=seconds, timeout=timeout, keep=keep, show=show)
        if seeds and study.best is not None:
            _confirmed(study, fresh or made, executor, workers, seeds, seed, None if seconds is None else clock.left())
    return study


def _load(folder: Path) -> Any:
    from tunesmith.verbs.predict import load

    return load(folder)


Made = tuple[Subject, Space, Mapping[str, Any] | None, int, Any]


def _made(
    subject: Any,
    space: Any,
    prior: Mapping[str, Any] | None,
    recipe: Any,
    task: Mapping[str, Any],
    max_budget: int | None,
) -> Made:
    """The subject, its space and prior, the units of a full training, and the subject on fresh seeds where it has one."""
    is_task = isinstance(subject, Task | str | Path) or not (callable(subject) or hasattr(subject, "train"))
    if is_task:
        return _of_task(subject, space, prior, recipe, task, max_budget)
    if task or recipe is not None:
        came = ", ".join(sorted(task)) or "a recipe"
        raise DataError(f"{came} came with a function; only searches over a Task or data take that")
    if isinstance(space, str):
        raise DataError(
            f"space = {space!r}; of a function nobody knows what to search: pass space={{'x': Real(-1, 1)}}"
        )
    units = getattr(subject, "epochs", 1) if max_budget is None else max_budget
    return subject_of(subject), space_from(space), prior, units, None


def _of_task(
    subject: Any,
    space: Any,
    prior: Mapping[str, Any] | None,
    recipe: Any,
    about: Mapping[str, Any],
    max_budget: int | None,
) -> Made:
    from tunesmith.search.auto_space import auto_space
    from tunesmith.verbs.fit import as_recipe, as_task
    from tunesmith.verbs.search_task import TaskSubject, resolved

    task, asked = as_task(subject, None, about), as_recipe(recipe)
    if max_budget is not None:
        asked = revise(asked, {"train.epochs": max_budget})
    settled, context = resolved(task, asked)
    epochs = int(settled.train.epochs)
    if isinstance(space, str):
        if space != "auto":
            raise DataError(f"space = {space!r}; expected 'auto', or domains by name")
        whole, believed = auto_space(settled, context)
        prior = believed if prior is None else prior
    else:
        whole = space_from(space)
        revise(asked, {path: domain.from_unit(0.5) for path, domain in whole.items()})  # unknown fields are told now
    made = TaskSubject(task, asked_of_search(asked, epochs))
    return made, whole, prior, epochs, made.on_fresh_seeds()


def asked_of_search(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe of the trials: every epoch is trained and scored, and nothing is kept or measured that only a person looks at."""
    from tunesmith.records import Source

    fixed = {"train.epochs": epochs, "train.patience": None, "run.watch": False, "run.keep": 1, "eval.bootstrap": 0}
    return revise(recipe, fixed, Source("revised", "search"))


def _confirmed(
    study: Study,
    subject: Subject,
    executor: str | Executor,
    workers: int,
    seeds: int,
    seed: int,
    seconds: float | None,
) -> None:
    from tunesmith.search.study_confirm import compared, fresh_scores

    rows = study.best_rows(FEW)
    configs: list[Mapping[str, Any]] = [study.trials[row["trial"]].change for row in rows]
    default: Mapping[str, Any] | None = {} if not isinstance(subject, Function | Command) else None
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="tunesmith-confirm-"))
        carrier = EXECUTORS[executor]() if isinstance(executor, str) else executor
        stack.callback(carrier.stop)
        carrier.start(subject, workers, study.folder)
        every = [*configs, *([] if default is None else [default])]
        scores = fresh_scores(
            carrier,
            every,
            seeds,
            seed=seed,
            max_budget=study.max_budget,
            place=Path(place),
            at_once=workers,
            seconds=seconds,
        )
    last = None if default is None else scores.pop()
    study.confirmation = compared([(row["trial"], row["score"]) for row in rows], scores, last)
    if study.folder is not None:
        write_json(study.folder / CONFIRMED, study.confirmation)


def _said(subject: Subject) -> str:
    """What was searched, as study.json says it."""
    if isinstance(subject, Function):
        return f"function {subject.name}"
    if isinstance(subject, Command):
        return "command " + " ".join(subject.words)
    from tunesmith.verbs.search_task import TaskSubject

    return f"task of {subject.title}" if isinstance(subject, TaskSubject) else type(subject).__name__
