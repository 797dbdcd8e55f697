"""gp: a Gaussian process over the configurations, and of all places that of the largest expected improvement.

Use: up to a few hundred trials, each dear; some twenty parameters; the fewest trials on smooth problems.
Limits: a fraction of a second a proposal; only the best and evenly chosen others of a longer history are looked at.
Source: expected improvement as its logarithm, Ament et al., arXiv:2310.20708, eq. 9; Matérn 5/2 kernel, Snoek et al., arXiv:1206.2944;
running trials as if they had come out as the model expects (Ginsbourger 2010, "kriging believer"); an expert's prior as a factor that
fades, Hvarfner et al., πBO, arXiv:2204.11051, eq. 6.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tunesmith.records import DataError, Trial
from tunesmith.search.domains import Domain
from tunesmith.search.history import Floats
from tunesmith.search.prior import Prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.believed import draw, expert_first, log_density
from tunesmith.search.samplers.evolution import mutated
from tunesmith.search.samplers.observed import Observed, Tried, decode, drawn, encode, observe
from tunesmith.search.samplers.process import features, fitted
from tunesmith.search.samplers.quasi import next_point
from tunesmith.search.space import Config, Space, as_space

STARTUP = 6  # assumption: trials before there is a model; Optuna's ten cost a good prior its lead
MOST = 200  # assumption: trials the process is fitted to; its cost grows with the cube
SPREAD_OUT, NEAR = 256, 12  # assumption: places drawn evenly, and around each of the best ones
REACHES = (0.2, 0.1, 0.05, 0.02)  # assumption: how far from the best ones, round by round
CLIP = 3.0  # assumption: values worse than the median by more than this times (median - best) say only "bad"
FADE = 10.0  # πBO's β: the prior's weight is β / n


@SAMPLERS.add("gp")
def gp(
    space: Mapping[str, Domain],
    trials: Sequence[Trial],
    rng: np.random.Generator,
    *,
    prior: Prior | None = None,
    startup: int = STARTUP,
) -> Config:
    """The configuration of the largest expected improvement. Raises `Exhausted` where a finite space holds no new one.

    `startup`: trials from a Sobol' sequence (half of them from the prior, where there is one) before the model is asked.
    """
    if startup < 2:
        raise DataError(f"startup = {startup}; expected 2 trials or more before a model is fitted")
    whole = as_space(space)
    first = expert_first(whole, prior, len(trials))
    if first is not None:
        return first
    seen = observe(whole, trials, startup)
    if len(seen) < startup or len(np.unique(seen.values[np.isfinite(seen.values)])) < 2 or not seen.names:
        return _start(whole, trials, rng, prior)
    config = _improved(whole, trials, chosen(seen, MOST), rng, prior)
    return drawn(whole, trials, rng) if config is None else config


def _start(space: Space, trials: Sequence[Trial], rng: np.random.Generator, prior: Prior | None) -> Config:
    from scipy.stats import qmc

    if prior is not None and rng.uniform() < 0.5:
        return draw(space, prior, rng)
    return next_point(space, trials, rng, lambda dims, seed: qmc.Sobol(dims, scramble=True, rng=seed))


def chosen(seen: Observed, most: int) -> Observed:
    """At most `most` trials: the better half of them the best, the others evenly over the rest by rank."""
    if len(seen) <= most:
        return seen
    best = most // 2
    rest = np.linspace(best, len(seen) - 1, most - best).round().astype(int)
    rows = np.sort(seen.order[np.concatenate([np.arange(best), rest])])
    ranks = np.argsort(np.argsort(seen.ranks[rows]))
    return Observed(seen.names, seen.budget, seen.units[rows], seen.values[rows], ranks, seen.running)


def targets(values: Floats) -> Floats:
    """(n,) values with mean 0 and deviation 1; failed ones as the worst, and none far worse than the median."""
    finite = values[np.isfinite(values)]
    best, middle, worst = finite.min(), float(np.median(finite)), finite.max()
    ceiling = min(worst, middle + CLIP * max(middle - best, 1e-12 * max(1.0, abs(middle))))
    held = np.minimum(np.where(np.isfinite(values), values, worst), ceiling)
    deviation = held.std()
    return np.asarray((held - held.mean()) / (deviation if deviation > 0 else 1.0))


def _improved(
    space: Space, trials: Sequence[Trial], seen: Observed, rng: np.random.Generator, prior: Prior | None
) -> Config | None:
    """The best place found by drawing evenly, then ever closer around the best; None where nothing new was among them."""
    process = fitted(features(space, seen.names, seen.units), targets(seen.values))
    if len(seen.running):
        process = process.believing(features(space, seen.names, seen.running))
    best = float(process.values.min())
    tried = Tried(space, trials)
    fade = FADE / len(seen)

    def worth(configs: Sequence[Config]) -> Floats:
        units = encode(space, configs, seen.names)
        mean, deviation = process.predict(features(space, seen.names, units))
        gain = log_expected_improvement(mean, deviation, best)
        return gain if prior is None else gain + fade * log_density(space, seen.names, prior, units)

    pool = _unlike([space.sample(rng) for _ in range(SPREAD_OUT)], tried)
    for row in seen.order[:5]:
        parent = decode(space, seen.names, seen.units[row])
        pool += _around(space, parent, rng, NEAR, REACHES[0], tried)
    value = worth(pool) if pool else np.empty(0)
    for reach in REACHES if pool else ():
        leading = [pool[place] for place in np.argsort(-value, kind="stable")[:4]]
        more = [one for parent in leading for one in _around(space, parent, rng, NEAR, reach, tried)]
        if more:
            pool, value = [*leading, *more], worth([*leading, *more])
    return pool[int(np.argmax(value))] if pool else None


def _around(
    space: Space, parent: Config, rng: np.random.Generator, count: int, reach: float, tried: Tried
) -> list[Config]:
    """New neighbours of a configuration: some differ in one parameter, others in two or three."""
    found = []
    for number in range(count):
        child = mutated(space, parent, rng, reach)
        for _ in range(number % 3):
            child = mutated(space, child, rng, reach)
        found.append(child)
    return _unlike([child for child in found if space.allows(child)], tried)


def _unlike(configs: list[Config], tried: Tried) -> list[Config]:
    return [config for config, known in zip(configs, tried.among(configs), strict=True) if not known]


def log_expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """log E[max(best - y, 0)] for y normal, exact far below what a float can hold (eq. 9).

    >>> np.round(log_expected_improvement(np.array([0.0, 60.0]), np.array([1.0, 1.0]), 0.0), 3).tolist()
    [-0.919, -1809.108]
    """
    from scipy.special import erfcx, log_ndtr

    z = (best - mean) / deviation
    log_phi = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        near = np.log(np.exp(log_phi) + z * np.exp(log_ndtr(z)))
        ratio = math.sqrt(math.pi / 2) * erfcx(-z / math.sqrt(2)) * -z  # -z Phi(z) / phi(z), in (0, 1) for z < 0
        middle = log_phi + np.log1p(-ratio)
    far = log_phi - 2 * np.log(np.abs(z) + (z == 0))  # 1 - ratio is 1 / z^2 to first order
    return np.asarray(np.where(z > -1, near, np.where(z > -1e4, middle, far)) + np.log(deviation))
