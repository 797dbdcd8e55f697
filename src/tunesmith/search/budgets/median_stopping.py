"""median_stopping: a trial goes on unit by unit while its best score is no worse than the median of the others' averages up to there.

Use: long trainings of which most can be seen to be bad soon; with any sampler.
Limits: half of the trials pass by their nature; curves that cross are misjudged; nothing is stopped before `startup` trials are known.
Options: `every` = 1 unit between looks; `grace` = units before the first look, a tenth of a training; `startup` = 5 trials.
Source: Golovin et al., Google Vizier, KDD 2017, section 3.2.2: stop at step s where the best value so far is strictly worse than the
median of the running averages up to s. Compared with all trials that came so far, not only those trained to the end.
"""

import math

import numpy as np

from tunesmith.search.budgets import BUDGETS, Next, Setting
from tunesmith.search.budgets.options import begins, goes_on, left_over, options_of, whole_option
from tunesmith.search.history import Floats, History
from tunesmith.search.proposal import Exhausted, Proposal
from tunesmith.search.samplers import SAMPLERS

STARTUP = 5  # Optuna's MedianPruner: n_startup_trials
GRACE = 0.1  # assumption: share of a training before the first look


@BUDGETS.add("median_stopping")
def median_stopping(setting: Setting) -> Next:
    """Trials that pass go on, the earliest first; else a new one. Raises `DataError` for options that cannot be."""
    name = "median_stopping"
    grace = max(1, round(GRACE * setting.max_budget))
    options = options_of(setting, name, every=1, grace=grace, startup=STARTUP)
    every, grace, startup = (whole_option(name, option, options[option]) for option in ("every", "grace", "startup"))
    sampler = setting.sampler or SAMPLERS["random"]
    looks = (*range(min(grace, setting.max_budget), setting.max_budget, every), setting.max_budget)

    def proposed(trials: History, rng: np.random.Generator) -> Proposal:
        averages = running_averages(trials, setting.max_budget)
        for trial in trials:
            units = len(trials.scores(trial.id))
            if trial.state == "paused" and (units < looks[0] or passes(trials, trial.id, averages, startup)):
                upto = next(look for look in looks if look > units)
                return goes_on(trials, trial.id, upto, f"no worse than the median at {units} units")
        try:
            return begins(trials, sampler(setting.space, trials, rng, prior=setting.prior), looks[0])
        except Exhausted as reason:
            return left_over(trials, looks, reason)

    return proposed


def running_averages(trials: History, max_budget: int) -> Floats:
    """(n, max_budget) the mean of the first u scores of each trial in column u - 1; NaN beyond its end, infinite from a broken one on."""
    averages = np.full((len(trials), max_budget), math.nan)
    for id in range(len(trials)):
        scores = trials.scores(id)[:max_budget]
        if len(scores):
            held = np.where(np.isfinite(scores), scores, math.inf)
            averages[id, : len(scores)] = np.cumsum(held) / np.arange(1, len(scores) + 1)
    return averages


def passes(trials: History, id: int, averages: Floats, startup: int) -> bool:
    """Whether a trial is no worse than the median of the others at its units, or there are fewer than `startup` of them."""
    units = len(trials.scores(id))
    others = np.delete(averages[:, units - 1], id)
    others = others[~np.isnan(others)]
    return len(others) < startup or trials.value(id) <= float(np.median(others))
