"""`repair`: a program or recipe is diagnosed and mended, and each change is proved on twins."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.records import DataError, Findings, Program, Recipe

if TYPE_CHECKING:
    from tunesmith.doctor.preflight import Bench
    from tunesmith.doctor.repair import Patient, Repair

LOOK = 60.0  # seconds that one look may take, where no other budget was given; as `diagnose`
PART = 0.4  # of the seconds asked for, that one look may take; assumption: a repair looks twice at least


def repair(
    task_or_program: Any,
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    *,
    epochs: float | None = None,
    seconds: float | None = None,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> "Repair":
    """Diagnoses, tries remedies on twins, and returns a mended copy with every change, its evidence and what was tried in vain.

    Takes a `Program`, or a `Task` (or data with the task's fields as keywords) with a `recipe`. Twins train `epochs` passes over the
    training rows at most, three times those of the program where nothing is said; the looking is apart from that. `seconds` bounds
    all together. What was brought is left as it was; calling this is consent to changes that alter the result. A sound program comes
    back without changes, and one that is worse on a fresh seed never.

    Raises `DataError` for budgets that are no positive numbers, and what `preflight` raises.
    """
    from tunesmith.doctor.repair import mended
    from tunesmith.verbs.fit import as_recipe, as_task

    for name, value in (("epochs", epochs), ("seconds", seconds)):
        if value is not None and not value > 0:
            raise DataError(f"{name} is {value!r}; expected a positive number, or nothing for the usual budget")
    if isinstance(task_or_program, Program):
        if recipe is not None or about:
            came = "a recipe" if recipe is not None else ", ".join(sorted(about))
            raise DataError(f"{came} came with a Program; a program has its own settings, so give the program alone")
        return mended(task_or_program, None, _look(seconds, step), epochs=epochs, seconds=seconds, step=step)
    task = as_task(task_or_program, None, about)
    return mended(task, as_recipe(recipe), _look(seconds, step), epochs=epochs, seconds=seconds, step=step)


def _look(seconds: float | None, step: Callable[[str], None]) -> "Callable[[Patient], tuple[Findings, Bench | None]]":
    from tunesmith.verbs.diagnose import looked_into

    each = LOOK if seconds is None else PART * seconds

    def look(patient: "Patient") -> "tuple[Findings, Bench | None]":
        subject = patient.task if patient.program is None else patient.program
        return looked_into(subject, patient.recipe, seconds=each, try_out=False, step=step)

    return look
