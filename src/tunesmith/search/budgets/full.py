"""full: every trial is trained to the end, one after the other.

Use: trainings whose early scores say nothing, or that report but one; with `gp` or `tpe` where each is dear.
Limits: bad configurations cost as much as good ones.
Source: every search before arXiv:1502.07943; the baseline of all others.
"""

import numpy as np

from tunesmith.search.budgets import BUDGETS, Next, Setting
from tunesmith.search.budgets.options import begins, goes_on, options_of
from tunesmith.search.history import History
from tunesmith.search.proposal import Proposal
from tunesmith.search.samplers import SAMPLERS


@BUDGETS.add("full")
def full(setting: Setting) -> Next:
    """New configurations alone, each up to `max_budget`; trials that were cut off go on first."""
    options_of(setting, "full")
    sampler = setting.sampler or SAMPLERS["random"]

    def proposed(trials: History, rng: np.random.Generator) -> Proposal:
        for trial in trials:
            if trial.state == "paused":
                return goes_on(trials, trial.id, setting.max_budget, "was cut off before its end")
        return begins(trials, sampler(setting.space, trials, rng, prior=setting.prior), setting.max_budget)

    return proposed
