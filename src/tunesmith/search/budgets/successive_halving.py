"""successive_halving: many configurations for a few units; the best 1 / eta of them go on for eta times as many, and so on to the end.

Use: where early scores say something of late ones, and one length of the first rung is known to be good.
Limits: a rung waits for its last trial (`asha` does not); how long the first rung should be is for you to know (`hyperband` tries all).
Options: `eta` = 3; `rungs`, or a ladder down to one unit; `count` configurations in a bracket, or eta to the number of halvings.
Source: Jamieson & Talwalkar, arXiv:1502.07943, algorithm 1; survivors floor(n / eta^i) as in Li et al., JMLR 18 (2018), algorithm 1.
"""

import numpy as np

from tunesmith.search.budgets import BUDGETS, Next, Setting
from tunesmith.search.budgets.brackets import halving, in_brackets
from tunesmith.search.budgets.options import ETA, checked_eta, options_of, rungs_of, whole_option
from tunesmith.search.history import History
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.space import Config


@BUDGETS.add("successive_halving")
def successive_halving(setting: Setting) -> Next:
    """Bracket after bracket, all alike. Raises `DataError` for options that cannot be."""
    name = "successive_halving"
    options = options_of(setting, name, eta=ETA, rungs=None, count=None)
    eta = checked_eta(name, options["eta"])
    rungs = rungs_of(setting, name, options["rungs"], eta)
    count = options["count"]
    count = round(eta ** (len(rungs) - 1)) if count is None else whole_option(name, "count", count)
    sampler = setting.sampler or SAMPLERS["random"]

    def propose(trials: History, rng: np.random.Generator, rung: int) -> Config:
        return sampler(setting.space, trials, rng, prior=setting.prior)

    return in_brackets([halving(count, rungs, eta)], rungs, propose)
