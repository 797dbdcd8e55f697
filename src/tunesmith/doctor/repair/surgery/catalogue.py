"""The catalogue of surgeries: each is one kind of change that may mend a program."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.doctor.causes.catalogue import EXPERIMENTS
from tunesmith.doctor.causes.change import Change
from tunesmith.records import Program
from tunesmith.records.catalog import Catalog

Propose = Callable[[Any], Iterable[Change]]  # of a `Case`, or of a `Crashed` program
Lines = Callable[
    [Program, Program, Mapping[str, Any]], list[str]
]  # of the program before and after, and the change's values


@dataclass(frozen=True, slots=True)
class Surgery:
    """One member. `propose` yields changes of a copy, the likeliest first; none where there is nothing to do.

    An *invariant* is wrong whatever the score: its change is kept where it is not worse. After a change of weights or net the
    training begins anew (`anew`); after others it may go on from a checkpoint.
    """

    name: str
    faults: tuple[str, ...]  # that it may mend
    propose: Propose
    lines: Lines = field(default=lambda before, after, values: [])  # the same change in Python
    invariant: bool = False
    crashed: bool = False  # may make a program run that raises
    anew: bool = True

    @property
    def title(self) -> str:
        """The id of the words for it."""
        return f"surgery.{self.name}"


SURGERIES: Catalog[Surgery] = Catalog("surgery")


def surgery(
    name: str,
    *,
    faults: tuple[str, ...],
    lines: Lines,
    invariant: bool = False,
    crashed: bool = False,
    anew: bool = True,
) -> Callable[[Propose], Propose]:
    """Decorator: puts what proposes changes into the catalogue."""

    def put(propose: Propose) -> Propose:
        SURGERIES.add(name)(Surgery(name, faults, propose, lines, invariant, crashed, anew))
        return propose

    return put


def of_experiment(
    name: str,
    *experiments: str,
    lines: Lines,
    also: tuple[str, ...] = (),
    only: Callable[[Change], bool] = lambda change: True,
    invariant: bool = False,
    crashed: bool = False,
    anew: bool = True,
) -> None:
    """Puts the changes that experiments make into the catalogue; `also` are faults that they mend besides those they undo."""

    def propose(case: Any) -> Iterator[Change]:
        for each in experiments:
            yield from filter(only, EXPERIMENTS[each].propose(case))

    faults = tuple(dict.fromkeys([fault for each in experiments for fault in EXPERIMENTS[each].faults] + list(also)))
    SURGERIES.add(name)(Surgery(name, faults, propose, lines, invariant, crashed, anew))
