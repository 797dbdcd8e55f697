"""Three numbers that together see how embeddings collapse. Each alone misses a way that another sees."""

from dataclasses import dataclass
from typing import Any

from tunesmith.generative.measures import MEASURES
from tunesmith.generative.measures.effective_rank import effective_rank
from tunesmith.generative.measures.spread import normalised_spread, raw_spread
from tunesmith.generative.points import points


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingHealth:
    """`isotropic` = 1/√D is what the normalised spread is compared with, `largest_rank` = min(N, D) what bounds the rank."""

    raw_spread: float
    normalised_spread: float
    effective_rank: float | None
    rows: int
    dimensions: int

    @property
    def isotropic(self) -> float:
        return float(self.dimensions**-0.5)

    @property
    def largest_rank(self) -> int:
        return min(self.rows, self.dimensions)


@MEASURES.add("embedding_health")
def embedding_health(embeddings: Any) -> EmbeddingHealth:
    """Raw spread, normalised spread and effective rank of embeddings (N, D).

    all to one point, scale kept         the normalised spread falls far below 1/√D
    to few dimensions, under batch norm  the effective rank falls, the spreads stay
    all shrink together                  the raw spread falls, the others stay

    What falling means is seen beside the start of the training, or beside a run that works: a healthy rank may be half of D.

    Raises `DataError` for rows that do not fit.
    Use: at each evaluation of a training without labels.
    Source: those of the three; that each is needed: measured in tests/generative/test_embeddings.py.

    >>> found = embedding_health([[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0], [0.0, -3.0]])
    >>> round(found.normalised_spread, 4), round(found.isotropic, 4), round(found.effective_rank, 3), found.largest_rank
    (0.7071, 0.7071, 2.0, 2)
    """
    rows = points(embeddings, "embeddings")
    return EmbeddingHealth(
        raw_spread=raw_spread(rows),
        normalised_spread=normalised_spread(rows),
        effective_rank=effective_rank(rows),
        rows=len(rows),
        dimensions=rows.shape[1],
    )
