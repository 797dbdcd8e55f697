"""pbt: population-based training. All train at once; now and then the worst take over the weights of the best, and parameters near theirs.

Use: parameters that should change on the way (learning rate, regularisation), where weights can be copied; as many workers as members.
Limits: parameters that change the shape of the net must stay out (`changes`); a population spends full trainings of all its members.
Options: `population` = 8 members; `every` units, a tenth of a training; `share` = 0.25 of them replaced, and replaced by; `resample` =
0.25, the chance that a parameter is drawn anew; `changes`: the names that may change, all of them where None.
Source: Jaderberg et al., Population Based Training, arXiv:1711.09846, algorithm 1 and section 4.1.1: truncation selection (the bottom
20 % copy one of the top 20 %), perturbation by 0.8 or 1.2. Members are compared by their latest score, at equal units. A failed or
stopped member takes over another's weights too. While a population waits for its last member the next one begins.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from tunesmith.records import DataError, did_you_mean
from tunesmith.search.budgets import BUDGETS, Next, Setting
from tunesmith.search.budgets.options import begins, goes_on, left_over, options_of, whole_option
from tunesmith.search.domains import Choice, Domain, Int, Real
from tunesmith.search.history import History
from tunesmith.search.proposal import Exhausted, Proposal
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.evolution import moved
from tunesmith.search.space import Config, Space

MEMBERS, SHARE, RESAMPLE = 8, 0.25, 0.25  # assumption; the paper has 10 to 80 members; Ray's resample_probability
INTERVALS = 10  # assumption: rounds of a full training
FACTORS = (0.8, 1.2)  # section 4.1.1
TRIES = 100  # assumption: changes until the constraints are met, before the parameters stay as they are


@BUDGETS.add("pbt")
def pbt(setting: Setting) -> Next:
    """Population after population. Raises `DataError` for options that cannot be."""
    every = max(1, round(setting.max_budget / INTERVALS))
    options = options_of(setting, "pbt", population=MEMBERS, every=every, share=SHARE, resample=RESAMPLE, changes=None)
    size, every = (
        whole_option("pbt", "population", options["population"], 2),
        whole_option("pbt", "every", options["every"]),
    )
    for name, most in (("share", 0.5), ("resample", 1.0)):
        if (
            isinstance(options[name], bool)
            or not isinstance(options[name], int | float)
            or not 0 <= options[name] <= most
        ):
            raise DataError(f"the budget pbt came with {name} = {options[name]!r}; expected a share in [0, {most:g}]")
    changes = tuple(setting.space) if options["changes"] is None else tuple(options["changes"])
    for name in changes:
        if name not in setting.space:
            raise DataError(
                f"the budget pbt is to change {name!r}, which the space has not{did_you_mean(name, setting.space)}"
            )
    sampler = setting.sampler or SAMPLERS["random"]
    rounds = (*range(every, setting.max_budget, every), setting.max_budget)

    def proposed(trials: History, rng: np.random.Generator) -> Proposal:
        for first in count(0, size):
            members = range(first, first + size)
            if first + size > len(trials):
                try:
                    return begins(trials, sampler(setting.space, trials, rng, prior=setting.prior), rounds[0])
                except Exhausted as reason:
                    return left_over(trials, rounds, reason)
            found = _turn(trials, members, rounds, options["share"])
            if found is not None:
                id, upto, winners = found
                if not winners:
                    return goes_on(trials, id, upto, f"holds its place in the population at {upto} units")
                winner = winners[int(rng.integers(len(winners)))]
                config = explored(setting.space, trials[winner].change, changes, options["resample"], rng)
                return Proposal(
                    trial=id,
                    config=config,
                    start=len(trials.scores(id)),
                    upto=upto,
                    copy_from=winner,
                    because=f"among the worst of its population: takes over from trial {winner}",
                )
        raise AssertionError  # count never ends

    return proposed


def _turn(
    trials: History, members: Sequence[int], rounds: Sequence[int], share: float
) -> tuple[int, int, list[int]] | None:
    """A member, the units it trains up to next, and whom it may take over from (nobody: it goes on as it is).

    None where all members run, wait for one that does, or are over.
    """
    for boundary, target in zip((0, *rounds), rounds, strict=False):
        if any(_is_on_the_way(trials, id, boundary) for id in members):
            return None
        worst, winners = _ranked(trials, members, boundary, share)
        for id in sorted(members, key=lambda id: (id not in worst, id)):  # the worst first, before the best go on
            if len(trials.scores(id)) >= target or trials[id].state == "running":
                continue
            if id in worst and winners:
                return id, target, winners
            if trials[id].state == "paused":
                return id, target, []
    return None


def _is_on_the_way(trials: History, id: int, boundary: int) -> bool:
    """Whether a member runs towards the boundary, and no further."""
    return (
        trials[id].state == "running"
        and len(trials.scores(id)) < boundary
        and trials.promised.get(id, boundary) <= boundary
    )


def _ranked(trials: History, members: Sequence[int], boundary: int, share: float) -> tuple[set[int], list[int]]:
    """Those who are to take over another's weights at the boundary, and those whose weights are taken.

    A member that broke takes over too, but once: where it breaks again it is given up.
    """
    if not boundary:
        return set(), []
    alive = [
        id for id in members if trials[id].state not in ("failed", "stopped") and len(trials.scores(id)) >= boundary
    ]
    alive.sort(key=lambda id: (latest(trials, id, boundary), id))
    most = min(int(share * len(members)), len(alive) // 2)
    broken = {id for id in members if trials[id].state in ("failed", "stopped") and trials[id].parent is None}
    return {*alive[len(alive) - most :], *broken}, alive[: max(1, most)]


def latest(trials: History, id: int, units: int) -> float:
    """The last finite score up to `units`: that of the weights a member has, not of better ones it had."""
    scores = trials.scores(id)[:units]
    finite = scores[np.isfinite(scores)]
    return float(finite[-1]) if len(finite) else math.inf


def explored(
    space: Space, config: Mapping[str, Any], changes: Sequence[str], resample: float, rng: np.random.Generator
) -> Config:
    """The configuration of a winner, perturbed; as it is where the constraints refuse all changes.

    Numbers are multiplied by 0.8 or 1.2, ordered choices move to a neighbour, unordered ones stay; with chance `resample` each is drawn anew.
    """
    names = [name for name in config if name in changes and space[name].size > 1]
    for _ in range(TRIES if names else 0):
        places = dict(zip(space, rng.uniform(size=len(space)).tolist(), strict=True)) | space.to_units(config)
        for name in names:
            if rng.uniform() < resample:
                places[name] = float(rng.uniform())
            else:
                places[name] = perturbed(space[name], config[name], rng)
        found = space.from_units(places)
        if space.allows(found):
            return found
    return dict(config)


def perturbed(domain: Domain, value: Any, rng: np.random.Generator) -> float:
    """The place of a value a little beside `value`."""
    place = domain.to_unit(value)
    if isinstance(domain, Real | Int):
        scaled = min(domain.high, max(domain.low, value * FACTORS[int(rng.integers(2))]))
        there = domain.to_unit(scaled) if scaled > 0 or not domain.log else place
        if domain.from_unit(there) != value:
            return there
    if isinstance(domain, Choice):
        return place
    small = (
        0.1 if math.isinf(domain.size) else 1 / domain.size
    )  # a value at its end, at 0, or too small to change by a fifth
    return moved(domain, place, rng, small)
