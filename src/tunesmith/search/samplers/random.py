"""random: each parameter drawn evenly over its domain, in finite spaces without repeats.

Use: the baseline; a first look at a space; many workers and cheap trainings. Against a grid, n trials see n values of each parameter.
Limits: learns nothing from the trials before it.
Source: Bergstra & Bengio, Random Search for Hyper-Parameter Optimization, JMLR 13 (2012), section 2.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tunesmith.records import Trial
from tunesmith.search.domains import Domain
from tunesmith.search.prior import Prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.observed import drawn
from tunesmith.search.space import Config, as_space


@SAMPLERS.add("random")
def random(
    space: Mapping[str, Domain], trials: Sequence[Trial], rng: np.random.Generator, *, prior: Prior | None = None
) -> Config:
    """A configuration drawn evenly from those the constraints allow. Raises `Exhausted` where a finite space holds no new one."""
    return drawn(as_space(space), trials, rng)
