"""grid: every combination of the values, one after the other; of ranges a few points each, ends included.

Use: one or two parameters of few values, where the table itself is wanted.
Limits: the number of trials grows with the power of the number of parameters, and n trials see few values of each (Bergstra & Bengio 2012).
Source: the Cartesian product, the last parameter changing fastest, as scikit-learn's ParameterGrid; conditional parameters only where in force.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.records import DataError, Trial
from tunesmith.search.domains import Domain
from tunesmith.search.prior import Prior
from tunesmith.search.proposal import Exhausted
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.observed import Tried, every
from tunesmith.search.space import Config, as_space, values_of

STEPS = 5  # assumption: points of a range


@SAMPLERS.add("grid")
def grid(
    space: Mapping[str, Domain],
    trials: Sequence[Trial],
    rng: np.random.Generator,
    *,
    prior: Prior | None = None,
    steps: int = STEPS,
) -> Config:
    """The first combination that has not been tried; of a range `steps` values, evenly apart on its scale.

    Raises `Exhausted` at the end of the grid, `DataError` for `steps` below 1.
    """
    if steps < 1:
        raise DataError(f"steps = {steps}; expected 1 point of a range or more")
    whole = as_space(space)
    values = {name: points(domain, steps) for name, domain in whole.items()}
    tried = Tried(whole, trials)
    for config in every(whole, values):
        if whole.allows(config) and config not in tried:
            return config
    raise Exhausted(f"all combinations of the grid have been tried ({len(trials)} trials); set more steps or widen it")


def points(domain: Domain, steps: int) -> tuple[Any, ...]:
    """All values of a listed domain; at most `steps` of any other, evenly apart on its scale.

    >>> from tunesmith.search import Int, Real
    >>> points(Real(1e-4, 1, log=True), 3), points(Int(1, 3), 5), points(Int(1, 100), 3)
    ((0.0001, 0.01, 1.0), (1, 2, 3), (1, 51, 100))
    """
    if domain.size <= steps or _is_listed(domain):
        return values_of(domain)
    units = np.linspace(0, 1, steps) if steps > 1 else np.array([0.5])
    return tuple(dict.fromkeys(domain.from_unit(float(unit)) for unit in units))


def _is_listed(domain: Domain) -> bool:
    return math.isfinite(domain.size) and hasattr(domain, "choices")
