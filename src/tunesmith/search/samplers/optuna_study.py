"""An Optuna study rebuilt from a history, so that Optuna's samplers propose without keeping anything."""

import importlib
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from tunesmith.records import MissingExtra, Trial
from tunesmith.search.domains import Choice, Domain, Int, Ordinal, Real
from tunesmith.search.history import as_history
from tunesmith.search.prior import Prior
from tunesmith.search.samplers.believed import expert_first
from tunesmith.search.samplers.observed import Tried, common_budget, drawn
from tunesmith.search.space import Config, Space

ROUNDS = 20  # assumption: proposals until one is allowed and new, before one is drawn evenly
ENOUGH = 10  # trials that have to have reached a budget before it is compared at: Optuna's n_startup_trials


def imported(module: str, sampler: str) -> ModuleType:
    """A module of Optuna or one that it needs. Raises `MissingExtra` where it is absent."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        needed = module.partition(".")[0]
        raise MissingExtra(
            f"the sampler {sampler} needs {needed}, which is not here ({error}); pip install 'tunesmith[optuna]'"
        ) from None


def proposed(
    space: Space,
    trials: Sequence[Trial],
    rng: np.random.Generator,
    prior: Prior | None,
    name: str,
    make: Callable[[ModuleType, int, list[Any]], Any],
) -> Config:
    """What Optuna's sampler `make(optuna, seed, known)` proposes, `known` being the trials as Optuna has them; the prior's configuration first.

    Optuna knows no constraints before the trial and no exhausted space: what they refuse is asked again with another seed.
    """
    optuna = imported("optuna", name)
    first = expert_first(space, prior, len(trials))
    if first is not None:
        return first
    tried = Tried(space, trials) if math.isfinite(space.size) else None
    known = list(_known(optuna, space, trials))
    for _ in range(ROUNDS):
        with _quietly(optuna):
            study = optuna.create_study(sampler=make(optuna, int(rng.integers(2**31)), known))
            study.add_trials(known)
            config = _suggested(optuna, space, study.ask())
        if space.allows(config) and (tried is None or config not in tried):
            return config
    return drawn(space, trials, rng)


@contextmanager
def _quietly(optuna: ModuleType) -> Iterator[None]:
    """Without the messages, and the warnings of what is experimental there."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _known(optuna: ModuleType, space: Space, trials: Sequence[Trial]) -> Iterator[Any]:
    """The trials as Optuna has them: those that failed with the worst score of all, those that run as running."""
    history = as_history(trials)
    lengths = np.array([len(history.scores(trial.id)) for trial in history], dtype=np.int64)
    budget = common_budget(lengths[[trial.state != "failed" for trial in history]], ENOUGH) if len(history) else 1
    values = [_best(history.scores(trial.id)[:budget]) for trial in history]
    worst = max((value for value in values if math.isfinite(value)), default=0.0)
    for trial, value, units in zip(history, values, lengths, strict=True):
        params, distributions = _params(optuna, space, trial.change)
        if trial.state == "failed" or (units and not math.isfinite(value)):
            state, score = optuna.trial.TrialState.COMPLETE, worst
        elif units >= budget or trial.state == "stopped":
            state, score = optuna.trial.TrialState.COMPLETE, value
        elif trial.state == "running":
            state, score = optuna.trial.TrialState.RUNNING, None
        else:
            continue
        yield optuna.trial.create_trial(state=state, params=params, distributions=distributions, value=score)


def _best(scores: Any) -> float:
    finite = scores[np.isfinite(scores)]
    return float(finite.min()) if len(finite) else math.inf


def _params(optuna: ModuleType, space: Space, config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    names = [name for name in space.searched if name in config]
    return (
        {name: _inward(space[name], config[name]) for name in names},
        {name: _distribution(optuna, space[name]) for name in names},
    )


def _is_native(domain: Domain) -> bool:
    """Whether Optuna has the domain itself; it has no steps on a log scale."""
    return isinstance(domain, Int | Real) and not (domain.log and domain.step not in (None, 1))


def _distribution(optuna: ModuleType, domain: Domain) -> Any:
    made = optuna.distributions
    if isinstance(domain, Choice):
        return made.CategoricalDistribution(tuple(range(len(domain.choices))))
    if isinstance(domain, Ordinal):
        return made.IntDistribution(0, len(domain.choices) - 1)
    if isinstance(domain, Int) and _is_native(domain):
        return made.IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Real) and _is_native(domain):
        return made.FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    return made.FloatDistribution(0.0, 1.0)


def _inward(domain: Domain, value: Any) -> Any:
    """The value as Optuna has it: the number of a choice, a place in [0, 1] of what Optuna has no distribution for."""
    if isinstance(domain, Choice | Ordinal):
        return domain.index(value)
    return value if _is_native(domain) else domain.to_unit(value)


def _outward(domain: Domain, value: Any) -> Any:
    if isinstance(domain, Choice | Ordinal):
        return domain.choices[value]
    return value if _is_native(domain) else domain.from_unit(value)


def _suggested(optuna: ModuleType, space: Space, trial: Any) -> Config:
    """A whole configuration, parameter by parameter; children only where they are in force."""
    config: Config = {}
    for name, domain in space.items():
        if not space.in_force(domain, config):
            continue
        if domain.size == 1:
            config[name] = domain.from_unit(0.5)
        else:
            config[name] = _outward(domain, trial._suggest(name, _distribution(optuna, domain)))
    return config
