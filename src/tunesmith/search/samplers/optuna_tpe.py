"""optuna_tpe: Optuna's TPESampler, multivariate, by groups of parameters that occur together.

Use: to compare with `tpe`, or to go on as a study in Optuna would.
Limits: needs the extra `optuna`; the study is rebuilt for every proposal, which takes about a millisecond a trial.
Source: Akiba et al., Optuna, arXiv:1907.10902; optuna.samplers.TPESampler.
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


@SAMPLERS.add("optuna_tpe")
def optuna_tpe(
    space: Mapping[str, Domain], trials: Sequence[Trial], rng: np.random.Generator, *, prior: Prior | None = None
) -> Config:
    """What Optuna's sampler proposes. Raises `MissingExtra` without Optuna, `Exhausted` where a finite space holds no new one."""

    def make(optuna: ModuleType, seed: int, known: list[Any]) -> Any:
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    return proposed(as_space(space), trials, rng, prior, "optuna_tpe", make)
