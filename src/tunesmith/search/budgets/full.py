"""full: every trial is trained to the end, one after the other."""

import numpy as np

from tunesmith.search.budgets import BUDGETS, Next, Setting
from tunesmith.search.history import History
from tunesmith.search.proposal import Proposal
from tunesmith.search.samplers import SAMPLERS


@BUDGETS.add("full")
def full(setting: Setting) -> Next:
    """New configurations alone, each up to `max_budget`; trials that were cut off go on first."""
    sampler = setting.sampler or SAMPLERS["random"]

    def proposed(trials: History, rng: np.random.Generator) -> Proposal:
        for trial in trials:
            if trial.state == "paused":
                units = len(trials.scores(trial.id))
                return Proposal(trial=trial.id, config=trial.change, start=units, upto=setting.max_budget)
        config = sampler(setting.space, trials, rng, prior=setting.prior)
        return Proposal(trial=len(trials), config=config, upto=setting.max_budget)

    return proposed
