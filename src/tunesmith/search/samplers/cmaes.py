"""cmaes: covariance matrix adaptation, by Optuna's CmaEsSampler.

Use: up to a few dozen real numbers, hundreds of cheap trials, a smooth and twisted valley.
Limits: needs the extra `optuna`, with the package `cmaes`. Unordered choices and conditional parameters are drawn evenly. Nothing is
kept between proposals, so each is drawn from the distribution that the best tenth of the trials promises, without an evolution path.
Source: Hansen & Ostermeier, Evolutionary Computation 9 (2001); Nomura et al., Warm Starting CMA-ES, arXiv:2012.06932;
optuna.samplers.CmaEsSampler(source_trials=…).
"""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tunesmith.records import Trial
from tunesmith.search.domains import Domain
from tunesmith.search.prior import Prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.optuna_study import imported, proposed
from tunesmith.search.space import Config, as_space

STARTUP = 10  # assumption: trials before there is a best tenth


@SAMPLERS.add("cmaes")
def cmaes(
    space: Mapping[str, Domain], trials: Sequence[Trial], rng: np.random.Generator, *, prior: Prior | None = None
) -> Config:
    """What Optuna's sampler proposes. Raises `MissingExtra` without Optuna, `Exhausted` where a finite space holds no new one."""

    def make(optuna: ModuleType, seed: int, known: list[Any]) -> Any:
        imported("cmaes", "cmaes")
        complete = [trial for trial in known if trial.state == optuna.trial.TrialState.COMPLETE]
        source = _numbers_alone(optuna, complete)
        if len(complete) < STARTUP or len(source[0].params) < 2:  # of one number there is no covariance
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.CmaEsSampler(seed=seed, source_trials=source, warn_independent_sampling=False)

    return proposed(as_space(space), trials, rng, prior, "cmaes", make)


def _numbers_alone(optuna: ModuleType, trials: list[Any]) -> list[Any]:
    """The trials with only the ordered parameters that all of them have: CMA-ES knows no others."""
    shared = set.intersection(*(set(trial.params) for trial in trials)) if trials else set()
    unordered = optuna.distributions.CategoricalDistribution
    names = sorted(name for name in shared if not isinstance(trials[0].distributions[name], unordered))
    return [
        optuna.trial.create_trial(
            params={name: trial.params[name] for name in names},
            distributions={name: trial.distributions[name] for name in names},
            value=trial.value,
        )
        for trial in trials
    ]
