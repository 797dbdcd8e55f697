"""One thing changed on a copy of a program, and how a copy with it is trained."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.courses import Variation
from tunesmith.records import Program

Mend = Callable[[Bench, Twin], bool]
Rewrite = Callable[[Bench, Program], Program]


@dataclass(frozen=True, slots=True)
class Change:
    """What is changed. `likely` is the probability, before anything is tried, that this fault is there and is what holds the program back.

    A change is a `variation` of the short training, a `mend` of the copied objects (False: nothing there to mend), a `rewrite` of
    the program (its rows, their order, its modes), or several of them.
    """

    name: str  # in words
    likely: float
    variation: Variation = field(default_factory=Variation)
    mend: Mend | None = None
    rewrite: Rewrite | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)  # the same change for a recipe
    values: Mapping[str, Any] = field(default_factory=dict)  # for the sentence that tells of it
    fault: str = ""  # that it undoes, where an experiment undoes more than one
    control: "Change | None" = None  # what it must beat beside the unchanged program: as it is but for the fault
    sure: bool = True  # False where it exchanges more than the fault, so that a cure is no proof

    @property
    def cost(self) -> float:
        """In trainings of the unchanged program."""
        return max(1.0, self.variation.epochs) + (0.0 if self.control is None else self.control.cost)


def together(changes: Iterable[Change]) -> Change:
    """Several changes at once; without their controls, which belong to each alone."""
    given = list(changes)
    variation = Variation(" + ".join(one.name for one in given))
    for one in given:
        told = {
            each.name: getattr(one.variation, each.name)
            for each in fields(Variation)
            if each.name != "name" and getattr(one.variation, each.name) != each.default
        }
        variation = replace(variation, **told)
    mends = [one.mend for one in given if one.mend is not None]
    rewrites = [one.rewrite for one in given if one.rewrite is not None]

    def mend(bench: Bench, twin: Twin) -> bool:
        return all(each(bench, twin) for each in mends)

    def rewrite(bench: Bench, program: Program) -> Program:
        for each in rewrites:
            program = each(bench, program)
        return program

    return Change(
        variation.name,
        min(one.likely for one in given),
        variation,
        mend if mends else None,
        rewrite if rewrites else None,
        {path: value for one in given for path, value in one.recipe.items()},
    )
