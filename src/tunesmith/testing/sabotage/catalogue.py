"""The catalogue of sabotages."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from tunesmith.records import Program
from tunesmith.records.catalog import Catalog
from tunesmith.testing.training import seeded

MECHANISMS = (
    "data",
    "labels",
    "split",
    "output",
    "loss",
    "model",
    "init",
    "activation",
    "optimizer",
    "loop",
    "schedule",
    "regularisation",
    "normalisation",
    "sequence",
    "indices",
    "numerics",
)
STRENGTHS = (1, 2, 3)
Suite = Literal["preflight", "diagnosis"]
Change = Callable[[Program, int], Program]
Fits = Callable[[Program], bool]


@dataclass(frozen=True, slots=True)
class Sabotage:
    """One way to plant one fault.

    `faults` are the ids that name it rightly, the root first. `visible`: whether it can be seen before a run at all.
    `invariant`: a run with it is wrong whatever its score. `judged`: the part whose score shows the harm; on "val" a score that is too
    good is harm too. `suite`: for whose measurement it was written; those of diagnosis are faults that mostly show in a run alone.
    """

    name: str
    faults: tuple[str, ...]
    mechanism: str
    visible: bool
    invariant: bool
    judged: Literal["test", "val"]
    fits: Fits
    change: Change
    suite: Suite = "preflight"

    def applies(self, program: Program) -> bool:
        """Whether the program is of a kind that can carry the fault."""
        return self.fits(program)

    def plant(self, program: Program, strength: int, seed: int) -> Program:
        """The program with the fault in it; the one given is used up. The global generators are as they were."""
        if strength not in STRENGTHS:
            raise ValueError(f"strength {strength!r}; expected 1, 2 or 3")
        with seeded(seed):
            return self.change(replace(program), strength)


SABOTAGES: Catalog[Sabotage] = Catalog("sabotage")


def sabotage(
    name: str,
    *faults: str,
    mechanism: str,
    fits: Fits,
    visible: bool = True,
    invariant: bool = False,
    judged: Literal["test", "val"] = "test",
    suite: Suite = "preflight",
) -> Callable[[Change], Change]:
    """Decorator: puts `change(program, strength) -> Program` into the catalogue."""
    if mechanism not in MECHANISMS:
        raise ValueError(f"no mechanism called {mechanism!r}; there are {', '.join(MECHANISMS)}")

    def put(change: Change) -> Change:
        SABOTAGES.add(name)(Sabotage(name, faults, mechanism, visible, invariant, judged, fits, change, suite))
        return change

    return put


def late_sabotage(
    name: str,
    *faults: str,
    mechanism: str,
    fits: Fits,
    invariant: bool = False,
    judged: Literal["test", "val"] = "test",
) -> Callable[[Change], Change]:
    """Decorator: like `sabotage`, for a fault that shows while the program trains, or in how its run ends."""
    return sabotage(
        name,
        *faults,
        mechanism=mechanism,
        fits=fits,
        visible=False,
        invariant=invariant,
        judged=judged,
        suite="diagnosis",
    )


def as_written(name: str) -> Callable[[Any], Any]:
    """Decorator: gives a function or class the name it would have in a user's own file."""

    def put(thing: Any) -> Any:
        thing.__name__ = thing.__qualname__ = name
        return thing

    return put
