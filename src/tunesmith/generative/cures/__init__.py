"""Cures of collapse, each alone in anybody's loop: games (losses of both players), penalties, steps, layers, further terms; losses
of two views of each sample, with what they need beside.

A discriminator gives scores without a sigmoid, (N,) or (N, 1); a critic is one whose scores are no log odds. Everything is a mean
over samples. Embeddings are matrices (N, D), row i of both views from sample i.
"""

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from tunesmith.records import Catalog


class Game(Protocol):
    """What the two players minimise, of the discriminator's scores of real and of made samples."""

    def discriminator(self, real: Tensor, made: Tensor) -> Tensor: ...

    def generator(self, made: Tensor) -> Tensor: ...


CURES: Catalog[Callable[..., Any]] = Catalog("cure")
CURES.load(__path__, __name__)
