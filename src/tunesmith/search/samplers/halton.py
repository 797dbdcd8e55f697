"""halton: points of a scrambled Halton sequence, which fill the space more evenly than chance.

Use: as sobol, for numbers of trials that are no power of two; up to a few dozen parameters.
Limits: learns nothing from the trials; beyond some twenty parameters the late ones of a plain sequence run together, which scrambling mends.
Source: Halton, Numer. Math. 2 (1960); Owen, arXiv:1706.02808 for the scrambling, both as in scipy.stats.qmc.Halton.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tunesmith.records import Trial
from tunesmith.search.domains import Domain
from tunesmith.search.prior import Prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.quasi import next_point
from tunesmith.search.space import Config, as_space


@SAMPLERS.add("halton")
def halton(
    space: Mapping[str, Domain], trials: Sequence[Trial], rng: np.random.Generator, *, prior: Prior | None = None
) -> Config:
    """The point whose number is that of the trials so far. Raises `Exhausted` where a finite space holds no new one."""
    from scipy.stats import qmc

    return next_point(as_space(space), trials, rng, lambda dims, seed: qmc.Halton(dims, scramble=True, rng=seed))
