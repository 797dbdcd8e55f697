"""The catalogue of remedies of embeddings: each proposes changes of a training as it lies on its desk."""

from collections.abc import Callable
from dataclasses import dataclass

from tunesmith.generative.embedding.task import Embedding
from tunesmith.generative.mending.offer import Propose, Remedy, put_into
from tunesmith.records import Catalog, Recipe


@dataclass(frozen=True, slots=True)
class Desk:
    """The task, its recipe without "auto", and how many rows it trains on."""

    task: Embedding
    recipe: Recipe
    rows: int

    @property
    def batch(self) -> int:
        return int(self.recipe.train.batch_size)


EMBEDDING_REMEDIES: Catalog[Remedy] = Catalog("embedding remedy")


def embedding_remedy(name: str, *, likely: float, cost: float) -> Callable[[Propose], Propose]:
    """Decorator: puts what proposes changes of a training of embeddings into the catalogue."""
    return put_into(EMBEDDING_REMEDIES, name, likely, cost)
