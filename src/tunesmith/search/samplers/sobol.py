"""sobol: points of a scrambled Sobol' sequence, which fill the space more evenly than chance.

Use: a first look at up to a few dozen parameters; the start of a model-based search; trials that all run at once.
Limits: learns nothing from the trials; evenness is best at powers of two; conditional parameters see a part of the sequence only.
Source: Joe & Kuo, SIAM J. Sci. Comput. 30 (2008) for the directions, Owen (1998) for the scrambling, both as in scipy.stats.qmc.Sobol.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tunesmith.records import Trial
from tunesmith.search.domains import Domain
from tunesmith.search.prior import Prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.quasi import next_point
from tunesmith.search.space import Config, as_space


@SAMPLERS.add("sobol")
def sobol(
    space: Mapping[str, Domain], trials: Sequence[Trial], rng: np.random.Generator, *, prior: Prior | None = None
) -> Config:
    """The point whose number is that of the trials so far. Raises `Exhausted` where a finite space holds no new one."""
    from scipy.stats import qmc

    return next_point(as_space(space), trials, rng, lambda dims, seed: qmc.Sobol(dims, scramble=True, rng=seed))
