"""What a remedy offers: a change of a task and its recipe; and the catalogues that remedies are in."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.generative.looking import seeded
from tunesmith.records import Catalog, ModelError, RecipeError
from tunesmith.records.check import Inapplicable


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A change: in words, fields of the task, paths of the recipe, and lines of Python beside these."""

    change: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


Propose = Callable[[Any], Iterator[Offer]]  # of a task on its board; raises `Inapplicable`, which says why not


@dataclass(frozen=True, slots=True)
class Remedy:
    """One member. `likely` and `cost` (of an update, beside the unchanged one) set the order in which remedies are tried."""

    propose: Propose
    likely: float
    cost: float

    @property
    def worth(self) -> float:
        return self.likely / self.cost


def put_into(catalogue: Catalog[Remedy], name: str, likely: float, cost: float) -> Callable[[Propose], Propose]:
    """Decorator: puts what proposes changes into a catalogue, and leaves it as it is."""

    def put(propose: Propose) -> Propose:
        catalogue.add(name)(Remedy(propose, likely, cost))
        return propose

    return put


def offered(
    catalogue: Catalog[Remedy], board: Callable[[], Any], begins: Callable[[Offer], Any]
) -> tuple[list[tuple[str, Offer]], dict[str, str]]:
    """Changes by the remedy that offers them, the one worth most first; and why the others have none.

    Each remedy gets a `board` of its own; a change with which a training cannot begin is no offer.
    """
    found, unfit = list[tuple[str, Offer]](), dict[str, str]()
    for name in sorted(catalogue, key=lambda one: (-catalogue[one].worth, one)):
        try:
            some = [(name, one) for one in catalogue[name].propose(board())]
            for _, one in some:
                with seeded(0):
                    begins(one)
            found += some
        except (Inapplicable, ModelError, RecipeError) as reason:
            unfit[name] = str(reason)
    return found, unfit
