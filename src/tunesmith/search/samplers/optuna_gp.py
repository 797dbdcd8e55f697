"""optuna_gp: Optuna's GPSampler, a Gaussian process with expected improvement.

Use: to compare with `gp`. Conditional parameters are drawn evenly by it.
Limits: needs the extra `optuna`; about a second a proposal from a hundred trials on.
Source: Akiba et al., Optuna, arXiv:1907.10902; optuna.samplers.GPSampler.
"""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tunesmith.records import Trial
from tunesmith.search.domains import Domain
from tunesmith.search.prior import Prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.optuna_study import proposed
from tunesmith.search.space import Config, as_space


@SAMPLERS.add("optuna_gp")
def optuna_gp(
    space: Mapping[str, Domain], trials: Sequence[Trial], rng: np.random.Generator, *, prior: Prior | None = None
) -> Config:
    """What Optuna's sampler proposes. Raises `MissingExtra` without Optuna, `Exhausted` where a finite space holds no new one."""

    def make(optuna: ModuleType, seed: int, known: list[Any]) -> Any:
        return optuna.samplers.GPSampler(seed=seed)

    return proposed(as_space(space), trials, rng, prior, "optuna_gp", make)
