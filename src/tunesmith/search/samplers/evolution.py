"""evolution: regularized (ageing) evolution. Of a few of the youngest trials, the best has a child that differs in one parameter.

Use: many cheap trials, many workers, large conditional spaces where a model fits badly.
Limits: slow with few trials; one parameter changes at a time.
Source: Real et al., Regularized Evolution for Image Classifier Architecture Search, arXiv:1802.01548, algorithm 1. The population is the
youngest `population` trials with a score, so the oldest die, however good; a parent is the best of `tournament` drawn from it.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tunesmith.records import DataError, Trial
from tunesmith.search.domains import Domain
from tunesmith.search.prior import Prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.believed import draw, expert_first
from tunesmith.search.samplers.observed import Tried, decode, drawn, is_unordered, observe
from tunesmith.search.space import Config, Space, as_space

POPULATION, TOURNAMENT = (
    20,
    5,
)  # a fifth of the paper's P = 100 and S = 25: searches of dozens of trials, not of 20,000 (assumption)
REACH = 0.15  # assumption: standard deviation of a change of a number, in shares of its range
ROUNDS = 100  # assumption: mutations until one is allowed and new, before one is drawn evenly


@SAMPLERS.add("evolution")
def evolution(
    space: Mapping[str, Domain],
    trials: Sequence[Trial],
    rng: np.random.Generator,
    *,
    prior: Prior | None = None,
    population: int = POPULATION,
    tournament: int = TOURNAMENT,
) -> Config:
    """A child of the best of a few young trials; drawn evenly, or half of the time from the prior, until there are `population`."""
    if not 1 <= tournament <= population:
        raise DataError(f"tournament = {tournament}, population = {population}; expected 1 <= tournament <= population")
    whole = as_space(space)
    first = expert_first(whole, prior, len(trials))
    if first is not None:
        return first
    seen = observe(whole, trials, population)
    if len(seen) < population or not np.isfinite(seen.values).any():
        return draw(whole, prior, rng) if prior is not None and rng.uniform() < 0.5 else drawn(whole, trials, rng)
    young = np.arange(len(seen) - population, len(seen))
    rivals = rng.choice(young, size=tournament, replace=False)
    parent = decode(whole, seen.names, seen.units[rivals[np.argmin(seen.ranks[rivals])]])
    tried = Tried(whole, trials)
    for _ in range(ROUNDS):
        child = mutated(whole, parent, rng)
        if whole.allows(child) and child not in tried:
            return child
    return drawn(whole, trials, rng)


def mutated(space: Space, parent: Mapping[str, object], rng: np.random.Generator, reach: float = REACH) -> Config:
    """`parent` with one parameter changed; what comes in force by that is drawn evenly.

    A number moves by a normal of `reach` of its range, at least to the next value; a choice becomes another one.
    """
    searched = [name for name in parent if space[name].size > 1]
    name = searched[int(rng.integers(len(searched)))]
    places = dict(zip(space, rng.uniform(size=len(space)).tolist(), strict=True)) | space.to_units(parent)
    places[name] = moved(space[name], places[name], rng, reach)
    return space.from_units(places)


def moved(domain: Domain, place: float, rng: np.random.Generator, reach: float) -> float:
    """Another place, of another value of the domain."""
    if is_unordered(domain):
        count = int(domain.size)
        step = 1 + int(rng.integers(count - 1))
        return ((int(place * count) + step) % count + 0.5) / count
    before = domain.from_unit(place)
    while True:
        there = place + reach * rng.normal()
        there = 1 - abs(1 - abs(there))  # thrown back at the ends
        if 0 <= there <= 1 and domain.from_unit(there) != before:
            return float(there)
        reach = min(2 * reach, 0.5) if math.isfinite(domain.size) else reach
