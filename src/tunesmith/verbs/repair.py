"""`repair`: a program, a recipe, a game of two players or a training of embeddings is mended, and each change is proved on twins."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from tunesmith.records import DataError, Findings, Program, Recipe
from tunesmith.runs import Run

if TYPE_CHECKING:
    from tunesmith.doctor.preflight import Bench
    from tunesmith.doctor.repair import Patient, Repair
    from tunesmith.generative.embedding.task import Embedding
    from tunesmith.generative.gan.task import Gan
    from tunesmith.generative.mending.outcome import Mended

LOOK = 60.0  # seconds that one look may take, where no other budget was given; as `diagnose`
PART = 0.4  # of the seconds asked for, that one look may take; assumption: a repair looks twice at least


@overload
def repair(
    task_or_program: "Gan | Embedding",
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    *,
    epochs: float | None = None,
    seconds: float | None = None,
    step: Callable[[str], None] = ...,
    updates: int | None = None,
    run: Any = None,
    labelled: tuple[Any, Any] | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
) -> "Mended": ...


@overload
def repair(
    task_or_program: Any,
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    *,
    epochs: float | None = None,
    seconds: float | None = None,
    step: Callable[[str], None] = ...,
    **about: Any,
) -> "Repair": ...


def repair(
    task_or_program: Any,
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    *,
    epochs: float | None = None,
    seconds: float | None = None,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> "Repair | Mended":
    """Diagnoses, tries remedies on twins, and returns a mended copy with every change, its evidence and what was tried in vain.

    Takes a `Program`, or a `Task` (or data with the task's fields as keywords) with a `recipe`. Twins train `epochs` passes over the
    training rows at most, three times those of the program where nothing is said; the looking is apart from that. `seconds` bounds
    all together. What was brought is left as it was; calling this is consent to changes that alter the result. A sound program comes
    back without changes, and one that is worse on a fresh seed never.

    A `Gan` or an `Embedding` comes back as `Mended`: changed where a short training of it tells `collapse.mode` or `collapse.representation`
    and twins prove a remedy. Each twin trains `updates` (a fifth of the training, 400 at least, where nothing is said); `epochs` and
    `seconds` bound all together. `run`, a run of `train_gan` or `train_embedding` or its folder, brings the recipe, and the update at
    which the collapse was told as the length. `labelled`, rows with labels, lets a linear probe on embeddings watch that no remedy makes
    them less useful. `folder` keeps every twin, and `resume` goes on there.

    Raises `DataError` for budgets that are no positive numbers, and what `preflight` (else the training itself) raises.
    """
    from tunesmith.doctor.repair import mended
    from tunesmith.verbs.fit import as_recipe, as_task

    for name, value in (("epochs", epochs), ("seconds", seconds)):
        if value is not None and not value > 0:
            raise DataError(f"{name} is {value!r}; expected a positive number, or nothing for the usual budget")
    if collapses(task_or_program):
        return _collapse(task_or_program, recipe, epochs=epochs, seconds=seconds, step=step, **about)
    if isinstance(task_or_program, Program):
        if recipe is not None or about:
            came = "a recipe" if recipe is not None else ", ".join(sorted(about))
            raise DataError(f"{came} came with a Program; a program has its own settings, so give the program alone")
        return mended(task_or_program, None, _look(seconds, step), epochs=epochs, seconds=seconds, step=step)
    task = as_task(task_or_program, None, about)
    return mended(task, as_recipe(recipe), _look(seconds, step), epochs=epochs, seconds=seconds, step=step)


def collapses(task: Any) -> bool:
    """Whether something is a game of two players or a training of embeddings; asked without torch."""
    kinds = [(f"tunesmith.generative.{room}.task", name) for room, name in (("gan", "Gan"), ("embedding", "Embedding"))]
    return any(module in sys.modules and isinstance(task, getattr(sys.modules[module], name)) for module, name in kinds)


def _collapse(
    task: "Gan | Embedding",
    recipe: Recipe | Mapping[str, Any] | str | Path | None,
    *,
    updates: int | None = None,
    run: Any = None,
    labelled: tuple[Any, Any] | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    **budget: Any,
) -> "Mended":
    """The repair of two players, or of embeddings."""
    from tunesmith.generative.embedding.task import Embedding
    from tunesmith.generative.mending.encoders import Encoders, Sitting
    from tunesmith.generative.mending.mending import mended
    from tunesmith.generative.mending.players import Games, Match
    from tunesmith.verbs.fit import as_recipe

    if updates is not None and not updates > 0:
        raise DataError(f"updates is {updates!r}; expected a positive number, or nothing for a fifth of the training")
    fault = Encoders.fault if isinstance(task, Embedding) else Games.fault
    told = None if run is None else Run(run) if isinstance(run, str | Path) else run
    if told is not None:
        recipe = told.recipe if recipe is None else recipe
        updates = _told_at(told, fault) if updates is None else updates
    kept: dict[str, Any] = {"folder": None if folder is None else Path(folder), "resume": resume} | budget
    if isinstance(task, Embedding):
        sitting = Sitting(task, as_recipe(recipe))
        return mended(sitting, Encoders(sitting, updates, labelled), **kept)
    if labelled is not None:
        raise DataError("labelled rows came with a Gan; they are for an Embedding, whose linear probe they tell")
    match = Match(task, as_recipe(recipe))
    return mended(match, Games(match, updates), **kept)


def _told_at(run: Any, fault: str) -> int:
    """The update at which a run told the collapse that stands. Raises `DataError` where none does."""
    told = [one for one in run.findings if one.fault == fault]
    if not told or told[-1].status == "refuted":
        raise DataError(f"the run tells no {fault} that stands; repair the task itself, or give a run that collapsed")
    return int(told[-1].subject["steps"][-1])


def _look(seconds: float | None, step: Callable[[str], None]) -> "Callable[[Patient], tuple[Findings, Bench | None]]":
    from tunesmith.verbs.diagnose import looked_into

    each = LOOK if seconds is None else PART * seconds

    def look(patient: "Patient") -> "tuple[Findings, Bench | None]":
        subject = patient.task if patient.program is None else patient.program
        return looked_into(subject, patient.recipe, seconds=each, try_out=False, step=step)

    return look
