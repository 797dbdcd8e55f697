"""Samplers: history in, configuration out, nothing kept.

A member is `propose(space, trials, rng, *, prior=None) -> config`. `trials` holds finished, running and failed ones; scores are
minimised. It raises `Exhausted` where a finite space has been gone through (grid).

>>> import numpy as np
>>> from tunesmith.search import Choice
>>> SAMPLERS["random"]({"optim.name": Choice(["sgd"])}, (), np.random.default_rng(0))
{'optim.name': 'sgd'}
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from tunesmith.records import Catalog, Trial
from tunesmith.search.domains import Domain
from tunesmith.search.prior import Prior
from tunesmith.search.space import Config


class Sampler(Protocol):
    """One proposal of a configuration."""

    def __call__(
        self,
        space: Mapping[str, Domain],
        trials: Sequence[Trial],
        rng: np.random.Generator,
        *,
        prior: Prior | None = None,
    ) -> Config: ...


SAMPLERS: Catalog[Sampler] = Catalog("sampler")
SAMPLERS.load(__path__, __name__)
