"""bohb: Hyperband's brackets, filled by a TPE model of the largest budget with enough trials rather than by chance.

Use: tens to hundreds of configurations, many workers; as `hyperband`, and better the longer it runs.
Limits: no better than Hyperband until the model has its points; early scores have to say something of late ones.
Options: `eta` = 3; `table` = "jmlr" or "blog"; `random_fraction` = 1 / 3 of the configurations drawn evenly; `candidates` = 64.
Source: Falkner et al., BOHB, arXiv:1807.01774, algorithm 2 and section 4 for the settings: N_min = d + 1 points, the best 15 % are good.
The kernels are those of the sampler `tpe`.
"""

import math

import numpy as np

from tunesmith.records import DataError
from tunesmith.search.budgets import BUDGETS, Next, Setting
from tunesmith.search.budgets.hyperband import BANDS, banded
from tunesmith.search.budgets.options import options_of, refuse_sampler, whole_option
from tunesmith.search.history import History
from tunesmith.search.samplers.believed import draw, expert_first
from tunesmith.search.samplers.observed import drawn, observe
from tunesmith.search.samplers.tpe import Good, fresh
from tunesmith.search.space import Config

RANDOM, CANDIDATES, SHARE = 1 / 3, 64, 0.15  # ρ, N_s and q of the paper


@BUDGETS.add("bohb")
def bohb(setting: Setting) -> Next:
    """Brackets over and over. Raises `DataError` for options that cannot be, and for a sampler: it brings its own."""
    refuse_sampler(setting, "bohb", "hyperband")
    options = options_of(setting, "bohb", **BANDS, random_fraction=RANDOM, candidates=CANDIDATES)
    fraction, candidates = options["random_fraction"], whole_option("bohb", "candidates", options["candidates"])
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
        raise DataError(f"the budget bohb came with random_fraction = {fraction!r}; expected a share in [0, 1]")

    def propose(trials: History, rng: np.random.Generator, rung: int) -> Config:
        return from_model(setting, trials, rng, float(fraction), candidates)

    return banded(setting, "bohb", options, propose)


def from_model(setting: Setting, trials: History, rng: np.random.Generator, fraction: float, candidates: int) -> Config:
    """A configuration by the model of the largest budget that N_min + 2 trials have reached; drawn evenly a `fraction` of the time."""
    space, prior = setting.space, setting.prior
    first = expert_first(space, prior, len(trials))
    if first is not None:
        return first
    least = len(space.searched) + 1
    by_chance = rng.uniform() < fraction
    seen = observe(space, trials, least + 2)
    if not by_chance and len(seen) >= least + 2 and np.isfinite(seen.values).any():
        return fresh(space, trials, seen, rng, prior, candidates, Good(share=SHARE, least=least, most=math.inf))
    return draw(space, prior, rng) if prior is not None and not by_chance else drawn(space, trials, rng)
