"""The catalogue of experiments: each undoes one suspected fault on a copy of the program."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.change import Change
from tunesmith.records.catalog import Catalog

Propose = Callable[[Case], Iterable[Change]]


@dataclass(frozen=True, slots=True)
class Experiment:
    """One member. `propose` yields the changes that would undo the fault, the likeliest first; none where there is nothing to undo."""

    name: str
    faults: tuple[str, ...]  # ids of the fault list
    remedy: str  # id of the template that says what to do
    propose: Propose

    def undoes(self, change: Change) -> str:
        """The fault that a change of this experiment undoes."""
        return change.fault or self.faults[0]

    def message(self, change: Change) -> str:
        """The id of the sentence that tells of a cure."""
        return f"causes.{self.undoes(change).replace('.', '_')}"


EXPERIMENTS: Catalog[Experiment] = Catalog("experiment")


def experiment(
    name: str, *, faults: tuple[str, ...], remedy: str
) -> Callable[[Callable[[Case], Iterator[Change]]], Callable[[Case], Iterator[Change]]]:
    """Decorator: `@experiment("flat_schedule", faults=("lr.bad_schedule",), remedy="remedy.loop_constant_rate")`."""

    def put(propose: Callable[[Case], Iterator[Change]]) -> Callable[[Case], Iterator[Change]]:
        EXPERIMENTS.add(name)(Experiment(name, faults, remedy, propose))
        return propose

    return put
