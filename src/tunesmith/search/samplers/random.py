"""random: each parameter drawn evenly over its domain. Bergstra & Bengio, JMLR 13 (2012): against a grid, n values of each parameter."""

from collections.abc import Mapping, Sequence

import numpy as np

from tunesmith.records import Trial
from tunesmith.search.domains import Domain
from tunesmith.search.prior import Prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.space import Config, as_space


@SAMPLERS.add("random")
def random(
    space: Mapping[str, Domain], trials: Sequence[Trial], rng: np.random.Generator, *, prior: Prior | None = None
) -> Config:
    """A configuration drawn evenly from those the constraints allow; the history is not looked at."""
    return as_space(space).sample(rng)
