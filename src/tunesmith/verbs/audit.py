"""`audit`: what is wrong with the data, before anything is trained."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tunesmith.records import Clock, Findings, Recipe, UnknownName, did_you_mean
from tunesmith.records.check import examine
from tunesmith.verbs.fit import as_recipe, as_task

if TYPE_CHECKING:
    from tunesmith.doctor.audits import Material


def audit(
    data: Any,
    *,
    target: str | Sequence[str] | None = None,
    recipe: Any = None,
    seconds: float | None = None,
    only: Iterable[str] | None = None,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> Findings:
    """Findings about data, the most likely cause of trouble first.

    `data` is whatever a task's `train` may be, or a `Task`; the task's other fields are keywords (`test=`, `val=`, `group=`,
    `time=` …). Where no validation or test data are given, those that `fit` would set aside are looked at. `seconds` is a
    budget: cheap audits come first, and those not reached stand in `unreached`. `only` names the audits wanted.

    Raises `DataError` for what cannot be read at all.
    """
    from tunesmith.doctor.audits import AUDITS, material_of
    from tunesmith.doctor.audits.threads import one_thread
    from tunesmith.doctor.diagnosis import ranked

    clock = Clock(seconds)
    settled: Recipe = as_recipe(recipe)
    chosen = known(only, AUDITS)
    material = material_of(as_task(data, target, about), settled, clock=clock)
    with one_thread():
        found = examine(AUDITS, material, clock, chosen, step)
    found.found = ranked(found.found)
    close(found, material)
    return found


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
