"""asha: asynchronous successive halving. Whoever asks gets a trial that is among the best 1 / eta of its rung, or else a new one.

Use: many workers, many cheap configurations; nobody waits for the last trial of a rung.
Limits: early, a trial may go on for being the best of few; how long the first rung is, is for you to know.
Options: `eta` = 3; `rungs`, or a ladder down to one unit.
Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, arXiv:1810.05934, algorithm 2. Trials that go on do so from
where they stopped. Failed and stopped trials count on the rung that they were on the way to, as its worst.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tunesmith.search.budgets import BUDGETS, Next, Setting
from tunesmith.search.budgets.options import (
    ETA,
    begins,
    best_by,
    checked_eta,
    goes_on,
    left_over,
    options_of,
    rungs_of,
)
from tunesmith.search.history import History
from tunesmith.search.proposal import Exhausted, Proposal
from tunesmith.search.samplers import SAMPLERS


@BUDGETS.add("asha")
def asha(setting: Setting) -> Next:
    """Promotions from the highest rung down, else a new configuration. Raises `DataError` for options that cannot be."""
    options = options_of(setting, "asha", eta=ETA, rungs=None)
    eta = checked_eta("asha", options["eta"])
    rungs = rungs_of(setting, "asha", options["rungs"], eta)
    sampler = setting.sampler or SAMPLERS["random"]

    def proposed(trials: History, rng: np.random.Generator) -> Proposal:
        found = between(trials, rungs) or promotable(trials, rungs, eta)
        if found is not None:
            return goes_on(trials, *found)
        try:
            return begins(trials, sampler(setting.space, trials, rng, prior=setting.prior), rungs[0])
        except Exhausted as reason:
            return left_over(trials, rungs, reason)

    return proposed


def between(trials: History, rungs: Sequence[int]) -> tuple[int, int, str] | None:
    """A trial that was cut off on its way to a rung."""
    for trial in trials:
        if trial.state != "paused":
            continue
        units = len(trials.scores(trial.id))
        if units < rungs[-1] and units not in rungs:
            upto = next(rung for rung in rungs if rung > units)
            return trial.id, upto, f"was cut off after {units} units, on its way to {upto}"
    return None


def promotable(trials: History, rungs: Sequence[int], eta: Fraction) -> tuple[int, int, str] | None:
    """The trial to go on, the rung it goes on to and why; from the highest rung that has one."""
    lengths, best = best_by(trials, rungs)
    failed, stopped, paused = (
        np.array([trial.state == one for trial in trials], dtype=bool) for one in ("failed", "stopped", "paused")
    )
    for level in range(len(rungs) - 2, -1, -1):
        here, onward = rungs[level], rungs[level + 1]
        below = rungs[level - 1] if level else 0
        was_well = lengths >= below if not level else np.isfinite(best[:, level - 1])
        on_the_way = was_well & (lengths < here) & (failed | (stopped & ((lengths > below) | (not below))))
        ids = np.flatnonzero((lengths >= here) | on_the_way)
        ranked = ids[np.lexsort((ids, best[ids, level]))]
        top = ranked[: int(len(ids) / eta)]
        able = top[paused[top] & (lengths[top] < onward) & np.isfinite(best[top, level])]
        if len(able):
            return int(able[0]), onward, f"among the best {len(top)} of {len(ids)} at {here} units"
    return None
