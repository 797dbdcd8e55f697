"""The catalogue of remedies of a game: each proposes changes of it as it stands on its board."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from tunesmith.generative.gan.task import Gan
from tunesmith.generative.mending.offer import Propose, Remedy, put_into
from tunesmith.records import Catalog, Recipe


@dataclass(frozen=True, slots=True)
class Board:
    """A game ready to be looked at: the task, its recipe without "auto", a discriminator of its own, and real rows (packed) for it."""

    gan: Gan
    recipe: Recipe
    judge: nn.Module
    samples: Tensor  # as the judge's own net is given them
    rows: int  # to train on

    @property
    def batch(self) -> int:
        return int(self.recipe.train.batch_size)


REMEDIES: Catalog[Remedy] = Catalog("remedy")


def remedy(name: str, *, likely: float, cost: float) -> Callable[[Propose], Propose]:
    """Decorator: puts what proposes changes of a board into the catalogue."""
    return put_into(REMEDIES, name, likely, cost)
