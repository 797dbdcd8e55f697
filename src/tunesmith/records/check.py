"""A check: a function from its subject to findings, and how many of them are carried out inside a budget."""

import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tunesmith.records.catalog import Catalog
from tunesmith.records.clock import Clock, OutOfTime, limited
from tunesmith.records.finding import Finding

Subject = TypeVar("Subject")
Look = Callable[[Subject], Iterable[Finding]]

GRACE = 0.2  # of the budget, by which a check that has begun may overrun it; assumption
CHEAP, PASS, DEAR = 1, 2, 3
"""What a check costs: no pass over the data or one batch; a pass over the data or some steps; a training."""


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """One member of a catalogue of checks."""

    name: str
    faults: tuple[str, ...]  # ids of the fault list that it may yield
    cost: int  # CHEAP, PASS or DEAR: the cheap ones are carried out first
    look: Look[Subject]

    @property
    def page(self) -> str:
        """Its manual page: the docstring of its module."""
        import sys

        return (sys.modules[self.look.__module__].__doc__ or "").strip()


class Inapplicable(Exception):
    """A check has nothing to look at in this subject; the text says why."""


def check_of(
    catalogue: Catalog[Check[Subject]], name: str, *, faults: tuple[str, ...], cost: int
) -> Callable[[Look[Subject]], Look[Subject]]:
    """Decorator: puts a function into a catalogue of checks and leaves it as it is."""

    def put(look: Look[Subject]) -> Look[Subject]:
        catalogue.add(name)(Check(name, faults, cost, look))
        return look

    return put


@dataclass(slots=True)
class Findings:
    """What checks found, most likely cause first, and what they did not get to. A sequence of `Finding`s."""

    found: list[Finding] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)  # checks for which the budget did not last
    skipped: dict[str, str] = field(default_factory=dict)  # checks that had nothing to look at, and why
    failed: dict[str, str] = field(default_factory=dict)  # checks that broke, and their traceback: a defect of ours
    seconds: dict[str, float] = field(default_factory=dict)  # by check
    measured: dict[str, Any] = field(default_factory=dict)  # numbers by name, whether or not they are a finding

    def __iter__(self) -> Any:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, place: int) -> Finding:
        return self.found[place]

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(
            self.found + other.found,
            [*self.notices, *(notice for notice in other.notices if notice not in self.notices)],
            self.unreached + other.unreached,
            self.skipped | other.skipped,
            self.failed | other.failed,
            self.seconds | other.seconds,
            self.measured | other.measured,
        )


def examine(
    checks: Mapping[str, Check[Subject]],
    subject: Subject,
    clock: Clock,
    only: Iterable[str] | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> Findings:
    """Carries out checks, the cheap ones first, by name among equals. `only` names those wanted; `step` hears of each.

    A check that breaks does not end the others: what it raised stands in `failed`. One that overruns the budget by more than a
    fifth is cut off, and counts as not reached.
    """
    wanted = set(checks if only is None else only)
    told = Findings()
    for check in sorted((checks[name] for name in checks if name in wanted), key=lambda one: (one.cost, one.name)):
        if clock.spent_up:
            told.unreached.append(check.name)
            continue
        step(check.name)
        before = clock.spent()
        try:
            with limited(clock.left() + GRACE * clock.seconds):
                told.found.extend(check.look(subject))
        except Inapplicable as reason:
            told.skipped[check.name] = str(reason)
        except OutOfTime:
            told.unreached.append(check.name)
        except Exception:
            told.failed[check.name] = traceback.format_exc()
        told.seconds[check.name] = clock.spent() - before
    return told
