"""What the quasi-random samplers share: the point of a sequence that comes next."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np

from tunesmith.records import Trial
from tunesmith.search.samplers.observed import LISTED, Tried, decode, drawn, gone_through
from tunesmith.search.space import Config, Space

SKIPS = 5_000  # assumption: points passed over, as not allowed or tried already, before one is drawn instead


def next_point(space: Space, trials: Sequence[Trial], rng: np.random.Generator, make: Any) -> Config:
    """The configuration at the point of the sequence whose number is that of the trials, or the first after it that is new and allowed.

    `make(d, seed)` gives a scrambled engine of SciPy. It is scrambled by the seed in the first trial, so that all calls of one search
    walk one sequence; before there is a trial there is no seed, and the point is drawn evenly, which is what a scrambled first point is.
    """
    if not len(trials):
        return drawn(space, trials, rng)
    names = tuple(space.searched)
    if not names:
        return drawn(space, trials, rng)
    engine = make(len(names), np.random.default_rng(trials[0].seed))
    engine.fast_forward(len(trials))
    tried = Tried(space, trials)
    for passed in count():
        config = decode(space, names, engine.random(1)[0])
        if space.allows(config) and config not in tried:
            return config
        if passed > SKIPS or (passed > 50 * space.size and space.size <= LISTED):
            break
    left = list(tried.untried()) if space.size <= LISTED else []
    if space.size <= LISTED and not left:
        raise gone_through(space)
    return left[0] if left else drawn(space, trials, rng)
