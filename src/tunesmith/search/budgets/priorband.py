"""priorband: Hyperband's brackets, filled from an expert's prior, from around the best so far, and by chance; the shares follow what pays.

Use: few trainings and a good guess of the parameters; a misleading guess is left behind.
Limits: no model of the space; with hundreds of trials `bohb` and `gp` overtake it.
Options: `eta` = 3; `table` = "jmlr" or "blog".
Source: Mallik et al., PriorBand, arXiv:2306.12370, section 5 and appendix E: by chance with 1 / (1 + eta^r) on rung r, else from the
prior; once a bracket's worth has been spent and a trial fully trained, that is shared with the surroundings of the best by how likely
either made the best 1 / eta of the highest rung with eta trials. Around the best: half of the parameters move, by a normal of 1/4.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tunesmith.records import DataError
from tunesmith.search.budgets import BUDGETS, Next, Setting
from tunesmith.search.budgets.brackets import halving
from tunesmith.search.budgets.hyperband import BANDS, banded
from tunesmith.search.budgets.options import checked_eta, ladder, options_of, refuse_sampler
from tunesmith.search.history import History
from tunesmith.search.prior import Prior
from tunesmith.search.samplers.believed import draw, expert_first, log_density
from tunesmith.search.samplers.evolution import moved
from tunesmith.search.samplers.observed import Observed, Tried, drawn, observe
from tunesmith.search.space import Config, Space

RATE, REACH = 0.5, 0.25  # appendix E.2: the chance that a parameter moves, and the deviation of the move
MEDIUM = 0.5  # confidence around the best of a parameter that the expert said nothing of: NePS's medium
TRIES = 100  # assumption: draws until one is new, before one is drawn evenly


@BUDGETS.add("priorband")
def priorband(setting: Setting) -> Next:
    """Brackets over and over. Raises `DataError` for options that cannot be, for a sampler, and without a prior."""
    refuse_sampler(setting, "priorband", "hyperband")
    if setting.prior is None or not setting.prior.confidence:
        raise DataError(
            "the budget priorband came without a prior; expected prior={name: value}, or budget='hyperband'"
        )
    options = options_of(setting, "priorband", **BANDS)
    eta, prior = checked_eta("priorband", options["eta"]), setting.prior

    def propose(trials: History, rng: np.random.Generator, rung: int) -> Config:
        return from_ensemble(setting.space, trials, rng, prior, ladder(setting.max_budget, eta), eta, rung)

    return banded(setting, "priorband", options, propose)


def from_ensemble(
    space: Space,
    trials: History,
    rng: np.random.Generator,
    prior: Prior,
    rungs: Sequence[int],
    eta: Fraction,
    rung: int,
) -> Config:
    """A configuration by chance, from the prior or from around the best; the prior's own configuration first."""
    first = expert_first(space, prior, len(trials))
    if first is not None:
        return first
    by_chance, from_prior, _ = shares(space, trials, prior, rungs, eta, rung)
    tried = Tried(space, trials)
    lot = rng.uniform()
    best = trials.best()
    for _ in range(TRIES if lot >= by_chance else 0):
        if lot < by_chance + from_prior or best is None:
            config = draw(space, prior, rng)
        else:
            config = around(space, best.change, rng)
        if space.allows(config) and config not in tried:
            return config
    return drawn(space, trials, rng)


def shares(
    space: Space, trials: History, prior: Prior, rungs: Sequence[int], eta: Fraction, rung: int
) -> tuple[float, float, float]:
    """How often by chance, from the prior and from around the best, for a trial that begins on `rung`.

    >>> from tunesmith.search.domains import Real
    >>> prior = Prior({"x": 0.3}, {"x": 0.5})
    >>> shares(Space({"x": Real(0, 1)}), History(), prior, (1, 3, 9), Fraction(3), 1)
    (0.25, 0.75, 0.0)
    """
    by_chance = 1 / (1 + float(eta) ** rung)
    best = trials.best()
    if best is None or not _is_open(trials, rungs, eta):
        return by_chance, 1 - by_chance, 0.0
    seen = observe(space, trials, max(2, round(float(eta))))
    top = seen.order[: max(1, int(len(seen) / eta))]
    centred = Prior(dict(best.change), {name: prior.confidence.get(name, MEDIUM) for name in best.change})
    by_prior, by_best = (_likely(space, seen, top, one) for one in (prior, centred))
    share = by_prior / (by_prior + by_best)
    return by_chance, (1 - by_chance) * share, (1 - by_chance) * (1 - share)


def _is_open(trials: History, rungs: Sequence[int], eta: Fraction) -> bool:
    """Whether one trial was fully trained, a bracket's worth of units spent, and a rung has eta trials."""
    lengths = [len(trials.scores(id)) for id in range(len(trials))]
    bracket = halving(round(eta ** (len(rungs) - 1)), rungs, eta)
    steps = [units - below for units, below in zip(rungs, (0, *rungs[:-1]), strict=True)]
    worth = sum(size * step for size, step in zip(bracket.sizes, steps, strict=True))
    return max(lengths) >= rungs[-1] and trials.spent >= worth and len(lengths) >= eta


def _likely(space: Space, seen: Observed, top: np.ndarray[tuple[int], np.dtype[np.int64]], prior: Prior) -> float:
    """How likely a prior made the best trials, the better ones weighing more: their ranks from the last, eq. in section 5.2."""
    weights = np.arange(len(top), 0, -1)
    density = np.exp(
        np.minimum(log_density(space, seen.names, prior, seen.units[top]), 700.0)
    )  # e^709 is the last float
    return float((weights * density).sum()) + 1e-300


def around(space: Space, config: Mapping[str, Any], rng: np.random.Generator) -> Config:
    """`config` with each parameter moved with probability one half, one at least; what comes in force is drawn evenly."""
    searched = [name for name in config if space[name].size > 1]
    places = dict(zip(space, rng.uniform(size=len(space)).tolist(), strict=True)) | space.to_units(config)
    moves = [name for name in searched if rng.uniform() < RATE]
    for name in moves or [searched[int(rng.integers(len(searched)))]]:
        places[name] = moved(space[name], places[name], rng, REACH)
    return space.from_units(places)
