"""The catalogue of remedies: each proposes changes of a game as it stands on its board."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from tunesmith.generative.gan.task import Gan
from tunesmith.records import Catalog, Recipe


@dataclass(frozen=True, slots=True)
class Board:
    """A game ready to be looked at: the task, its recipe without "auto", its discriminator as made, and real rows (packed) for it."""

    gan: Gan
    recipe: Recipe
    judge: nn.Module  # a copy; look at it, keep it as it is
    samples: Tensor  # as the judge's own net is given them
    rows: int  # to train on

    @property
    def batch(self) -> int:
        return int(self.recipe.train.batch_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A change: in words, fields of the task, paths of the recipe, and lines of Python beside these."""

    change: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


Propose = Callable[[Board], Iterator[Offer]]  # raises `Inapplicable`, which says why not


@dataclass(frozen=True, slots=True)
class Remedy:
    """One member. `likely` and `cost` (of an update, beside the unchanged one) set the order in which remedies are tried."""

    propose: Propose
    likely: float
    cost: float

    @property
    def worth(self) -> float:
        return self.likely / self.cost


REMEDIES: Catalog[Remedy] = Catalog("remedy")


def remedy(name: str, *, likely: float, cost: float) -> Callable[[Propose], Propose]:
    """Decorator: puts what proposes changes into the catalogue."""

    def put(propose: Propose) -> Propose:
        REMEDIES.add(name)(Remedy(propose, likely, cost))
        return propose

    return put
