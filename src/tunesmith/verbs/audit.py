"""`audit`: what is wrong with the data, before anything is trained."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunesmith.records import Clock, DataError, Findings, Recipe, UnknownName, did_you_mean
from tunesmith.records.check import examine
from tunesmith.verbs.fit import as_recipe, as_task

if TYPE_CHECKING:
    from tunesmith.doctor.audits import Material, View
    from tunesmith.records import Task


def audit(
    data: Any,
    *,
    target: str | Sequence[str] | None = None,
    recipe: Any = None,
    seconds: float | None = None,
    only: Iterable[str] | None = None,
    lineage: Any = None,
    older: Any = None,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> Findings:
    """Findings about data, the most likely cause of trouble first.

    `data` is whatever a task's `train` may be, or a `Task`; the task's other fields are keywords (`test=`, `val=`, `group=`,
    `time=` …). Where no validation or test data are given, those that `fit` would set aside are looked at. `seconds` is a
    budget: cheap audits come first, and those not reached stand in `unreached`. `only` names the audits wanted.

    `lineage` says which training rows a model made: a column (real or generated, yes or no, or generations from 0 on; it is then no
    input), `"column=value"`, a mark that stands in generated texts, or one value a row. `older` is a sample from before. With either, the
    audit `generated` says how much is generated, and whether it repeats itself more and reaches less far.

    Raises `DataError` for what cannot be read at all, and for a lineage that nothing answers to.
    """
    from tunesmith.doctor.audits import AUDITS, material_of
    from tunesmith.doctor.audits.lineage import lineage_of, without_column
    from tunesmith.doctor.audits.threads import one_thread
    from tunesmith.doctor.diagnosis import ranked

    clock = Clock(seconds)
    settled: Recipe = as_recipe(recipe)
    chosen = known(only, AUDITS)
    task = as_task(data, target, about)
    material = material_of(task, settled, clock=clock)
    if lineage is not None:
        material.lineage = lineage_of(material, lineage)
        if material.lineage.column is not None:
            without_column(material, material.lineage.column)
    if older is not None:
        material.older = _older(task, older, settled)
    with one_thread():
        found = examine(AUDITS, material, clock, chosen, step)
    found.found = ranked(found.found)
    close(found, material)
    return found


def _older(task: "Task", older: Any, recipe: Recipe) -> "View":
    """The older sample, its columns read as those of the training rows. Raises `DataError`."""
    from tunesmith.doctor.audits import material_of

    try:
        read = material_of(replace(task, val=None, test=older), recipe)
    except DataError as error:
        raise DataError(f"the older sample cannot be held against the training rows: {error}") from error
    view = read.parts["test"]
    if not set(view.table) & set(read.train.table):
        raise DataError(
            f"the older sample has none of the columns {', '.join(list(read.train.table)[:5])}; give rows with the same columns"
        )
    return view


def close(found: Findings, material: "Material") -> None:
    """What the reading of the data told, and the numbers that were taken."""
    found.found.extend(finding for finding in material.measured.pop("reading", ()) if finding not in found.found)
    found.notices.extend(notice for notice in material.notices if notice not in found.notices)
    found.measured |= material.measured


def known(only: Iterable[str] | None, *catalogues: Iterable[str]) -> list[str] | None:
    """The names asked for. Raises `UnknownName` for one that no catalogue has."""
    if only is None:
        return None
    names = [name for catalogue in catalogues for name in catalogue]
    for name in only:
        if name not in names:
            raise UnknownName(f"no audit or check called {name!r}{did_you_mean(name, names)}")
    return list(only)
