"""What the budgets share: their options, checked, and the ladder of units on which trials are compared."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.records import DataError, did_you_mean
from tunesmith.search.budgets import Setting
from tunesmith.search.history import Floats, History
from tunesmith.search.proposal import Exhausted, Proposal

Whole = npt.NDArray[np.int64]
ETA = 3.0  # the share of trials that goes on is 1 / eta: "eta = 3 or 4", Li et al., JMLR 18 (2018), section 3.6


def options_of(setting: Setting, budget: str, **defaults: Any) -> dict[str, Any]:
    """The options given, over the defaults. Raises `DataError` for one that the budget has not."""
    for name in setting.options:
        if name not in defaults:
            known = did_you_mean(name, defaults) if defaults else "; it has none"
            raise DataError(f"the budget {budget} has no option {name!r}{known}")
    return defaults | dict(setting.options)


def whole_option(budget: str, name: str, value: Any, least: int = 1) -> int:
    """An option that is a whole number of `least` or more. Raises `DataError` for others."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not float(value).is_integer() or value < least:
        raise DataError(f"the budget {budget} came with {name} = {value!r}; expected a whole number, {least} or more")
    return int(value)


def refuse_sampler(setting: Setting, budget: str, instead: str) -> None:
    """Raises `DataError` where a sampler is named for a budget that brings its own."""
    if setting.sampler is not None:
        raise DataError(
            f"the budget {budget} proposes by a model of its own; leave out the sampler, or take budget={instead!r} with it"
        )


def checked_eta(budget: str, eta: Any) -> Fraction:
    """`eta` exactly. Raises `DataError` unless it is a number above 1."""
    if isinstance(eta, bool) or not isinstance(eta, int | float) or not 1 < eta < math.inf:
        raise DataError(f"the budget {budget} came with eta = {eta!r}; expected a number above 1, such as 3")
    return Fraction(eta).limit_denominator(1000)


def most_halvings(max_budget: int, eta: Fraction, least: int = 1) -> int:
    """The largest s with least · eta^s <= max_budget, in exact arithmetic: int(log(243) / log(3)) is 4.

    >>> most_halvings(243, Fraction(3)), most_halvings(1000, Fraction(10)), most_halvings(2, Fraction(3))
    (5, 3, 0)
    """
    found = 0
    while least * eta ** (found + 1) <= max_budget:
        found += 1
    return found


def ladder(max_budget: int, eta: Fraction, least: int = 1) -> tuple[int, ...]:
    """Units at which trials are compared, each eta times the one before, the last a full training; whole and rising.

    >>> ladder(27, Fraction(3)), ladder(10, Fraction(3)), ladder(1, Fraction(3))
    ((1, 3, 9, 27), (1, 3, 10), (1,))
    """
    steps = most_halvings(max_budget, eta, least)
    units = [max(least, round(max_budget / eta**step)) for step in range(steps, -1, -1)]
    return tuple(sorted(set(units)))


def rungs_of(setting: Setting, budget: str, given: Any, eta: Fraction) -> tuple[int, ...]:
    """The rungs given, or the ladder of `eta`. Raises `DataError` unless they rise to `max_budget` or below."""
    if given is None:
        return ladder(setting.max_budget, eta)
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise DataError(f"the budget {budget} came with rungs = {given!r}; expected units such as (1, 3, 9)")
    rungs = tuple(whole_option(budget, "rungs", rung) for rung in given)
    if list(rungs) != sorted(set(rungs)) or rungs[-1] > setting.max_budget:
        raise DataError(f"the budget {budget} came with rungs = {rungs}; expected them to rise to {setting.max_budget}")
    return rungs if rungs[-1] == setting.max_budget else (*rungs, setting.max_budget)


def best_within(trials: History, id: int, units: int) -> float:
    """The best finite score of a trial in its first `units` units; infinite where there is none."""
    scores = trials.scores(id)
    if len(scores) <= units:
        return trials.value(id)
    finite = scores[:units][~(abs(scores[:units]) == math.inf) & (scores[:units] == scores[:units])]
    return float(finite.min()) if len(finite) else math.inf


def best_by(trials: History, rungs: Sequence[int]) -> tuple[Whole, Floats]:
    """(n,) the units of every trial, and (n, rungs) its best score within each rung; infinite beyond its end, and from a broken score on."""
    lengths = np.array([len(trials.scores(id)) for id in range(len(trials))], dtype=np.int64)
    best = np.full((len(trials), len(rungs)), math.inf)
    some = np.flatnonzero(lengths)
    if not len(some):
        return lengths, best
    flat = np.concatenate([trials.scores(int(id)) for id in some])
    starts = np.concatenate([[0], np.cumsum(lengths[some])[:-1]])
    unit = np.arange(len(flat)) - np.repeat(starts, lengths[some])
    for column, rung in enumerate(rungs):
        within = unit < rung
        broken = np.add.reduceat(~np.isfinite(flat) & within, starts) > 0
        least = np.minimum.reduceat(np.where(within, flat, math.inf), starts)
        best[some, column] = np.where(broken | (lengths[some] < rung), math.inf, least)
    return lengths, best


def goes_on(trials: History, id: int, upto: int, because: str) -> Proposal:
    """A paused trial goes on up to `upto` units."""
    return Proposal(trial=id, config=trials[id].change, start=len(trials.scores(id)), upto=upto, because=because)


def begins(trials: History, config: Mapping[str, Any], upto: int, because: str = "a new configuration") -> Proposal:
    """A new trial, up to `upto` units."""
    return Proposal(trial=len(trials), config=config, upto=upto, because=because)


def left_over(trials: History, rungs: Sequence[int], reason: Exhausted) -> Proposal:
    """Where a finite space holds nothing new: the best of the paused trials goes on to its next rung. Raises `reason` where none is."""
    waiting = [trial.id for trial in trials if trial.state == "paused" and len(trials.scores(trial.id)) < rungs[-1]]
    if not waiting:
        raise reason
    best = min(waiting, key=lambda id: (trials.value(id), id))
    upto = next(rung for rung in rungs if rung > len(trials.scores(best)))
    return goes_on(trials, best, upto, "nothing new is left to try: the best of the paused trials goes on")
