"""An expert's prior as a density over the unit interval, and draws from it.

A range has a normal of standard deviation 2^(-4c) at confidence c, cut at its ends: 1/2, 1/4 and 1/8 of the range for low, medium and
high, as in NePS (Mallik et al., PriorBand, arXiv:2306.12370, appendix E). A choice has its value with probability c, the rest evenly.
"""

import math
from typing import Any

import numpy as np

from tunesmith.search.history import Floats
from tunesmith.search.prior import Prior
from tunesmith.search.samplers.observed import is_unordered
from tunesmith.search.space import Config, Space

TRIES = 100  # assumption: draws until the constraints are met, before one is drawn evenly


def width(confidence: float) -> float:
    """The standard deviation, in shares of the range, at a confidence in (0, 1).

    >>> [width(confidence) for confidence in (0.25, 0.5, 0.75)]
    [0.5, 0.25, 0.125]
    """
    return float(2.0 ** (-4 * confidence))


def cut_normal(middle: Any, deviation: Any, rng: np.random.Generator) -> Floats:
    """Draws of normals cut at 0 and 1, one for each of `middle` and `deviation`."""
    from scipy.special import ndtr, ndtri

    below, above = ndtr((0 - np.asarray(middle)) / deviation), ndtr((1 - np.asarray(middle)) / deviation)
    share = below + rng.uniform(size=np.shape(middle)) * (above - below)
    return np.asarray(np.clip(middle + deviation * ndtri(share), 0.0, 1.0))


def log_cut_normal(at: Any, middle: Any, deviation: Any) -> Floats:
    """The log density of those normals."""
    from scipy.special import ndtr

    mass = ndtr((1 - np.asarray(middle)) / deviation) - ndtr((0 - np.asarray(middle)) / deviation)
    return np.asarray(-0.5 * ((at - middle) / deviation) ** 2 - np.log(deviation * mass) - 0.5 * math.log(2 * math.pi))


def draw(space: Space, prior: Prior, rng: np.random.Generator) -> Config:
    """A configuration as the expert believes it; parameters nobody said anything of are drawn evenly."""
    for _ in range(TRIES):
        config = space.from_units({name: _place(space, name, prior, rng) for name in space})
        if space.allows(config):
            return config
    return space.sample(rng)


def _place(space: Space, name: str, prior: Prior, rng: np.random.Generator) -> float:
    confidence = prior.confidence.get(name)
    if confidence is None or name not in prior.config:
        return float(rng.uniform())
    middle = space[name].to_unit(prior.config[name])
    if is_unordered(space[name]):
        return middle if rng.uniform() < confidence else float(rng.uniform())
    return float(cut_normal(middle, width(confidence), rng))


def log_density(space: Space, names: tuple[str, ...], prior: Prior, units: Floats) -> Floats:
    """(n,) the log density of the expert's belief at places (n, d), relative to an even one; what is not in force counts nothing."""
    total = np.zeros(len(units))
    for column, name in enumerate(names):
        confidence = prior.confidence.get(name)
        if confidence is None or name not in prior.config:
            continue
        middle, places = space[name].to_unit(prior.config[name]), units[:, column]
        if is_unordered(space[name]):
            choices = space[name].size
            same = np.floor(places * choices) == math.floor(middle * choices)
            density = np.log(np.where(same, confidence * choices + 1 - confidence, 1 - confidence))
        else:
            density = log_cut_normal(places, middle, width(confidence))
        total += np.where(np.isnan(places), 0.0, density)
    return total


def expert_first(space: Space, prior: Prior | None, count: int) -> Config | None:
    """The expert's own configuration where nothing has been tried yet, and it may be tried."""
    if prior is None or count or not space.allows(prior.config) or not space.holds(prior.config):
        return None
    return dict(prior.config)
