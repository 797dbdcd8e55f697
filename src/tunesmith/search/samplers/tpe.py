"""tpe: tree-structured Parzen estimator. Densities of the good trials, l, and of the others, g; of some draws from l, that of largest l / g.

Use: tens to thousands of trials, conditional spaces, many workers; cheap at any length of the history.
Limits: with few trials on smooth problems of few parameters `gp` needs fewer; without interactions in l it is a product of kernels.
Source: Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011, section 4; multivariate kernels and their widths as in
Watanabe, arXiv:2304.11127, section 3 and Optuna's defaults; running trials count as bad (constant liar, Ginsbourger 2010).

Parameters in force together are modelled together: first those at the root, then, of the values chosen, their children, each from the
trials that had them. An expert's prior is one more kernel of l, and its configuration the first trial.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tunesmith.records import DataError, Trial
from tunesmith.search.domains import Domain
from tunesmith.search.history import Floats
from tunesmith.search.prior import Prior
from tunesmith.search.samplers import SAMPLERS
from tunesmith.search.samplers.believed import cut_normal, draw, expert_first, log_cut_normal, width
from tunesmith.search.samplers.observed import Observed, Tried, drawn, encode, is_unordered, observe
from tunesmith.search.space import Config, Space, as_space

STARTUP = 10  # trials drawn evenly before there is a model: Optuna's n_startup_trials
CANDIDATES = 24  # draws from l: Bergstra 2011, and the default of Hyperopt and Optuna
SPREAD = 0.2  # width of a kernel, times n^(-1 / (d + 4)) (Scott's rule): Optuna's multivariate estimator
NARROWEST = 100  # kernels are at least 1 / min(n + 1, 100) wide: "magic clip", Bergstra 2011
ROUNDS = (
    20  # assumption: draws of new candidates where the constraints or repeats refuse them, before one is drawn evenly
)


@dataclass(frozen=True)
class Good:
    """How many of n trials are good: a `share` of them, at least `least`, at most `most`; Optuna's default gamma."""

    share: float = 0.1
    least: int = 1
    most: float = 25

    def count(self, trials: int) -> int:
        """Never more than there are.

        >>> [Good().count(n) for n in (0, 5, 100, 1000)]
        [0, 1, 10, 25]
        """
        return int(min(trials, max(self.least, min(math.ceil(self.share * trials), self.most))))


@SAMPLERS.add("tpe")
def tpe(
    space: Mapping[str, Domain],
    trials: Sequence[Trial],
    rng: np.random.Generator,
    *,
    prior: Prior | None = None,
    startup: int = STARTUP,
    candidates: int = CANDIDATES,
) -> Config:
    """The draw from the good trials' density that is likeliest good. Raises `Exhausted` where a finite space holds no new one.

    `startup`: trials drawn evenly (half of them from the prior, where there is one) before the model is asked.
    """
    if startup < 1 or candidates < 1:
        raise DataError(f"startup = {startup}, candidates = {candidates}; expected 1 or more of each")
    whole = as_space(space)
    first = expert_first(whole, prior, len(trials))
    if first is not None:
        return first
    seen = observe(whole, trials, startup)
    if len(seen) < startup or not np.isfinite(seen.values).any():
        return draw(whole, prior, rng) if prior is not None and rng.uniform() < 0.5 else drawn(whole, trials, rng)
    return fresh(whole, trials, seen, rng, prior, candidates)


def fresh(
    space: Space,
    trials: Sequence[Trial],
    seen: Observed,
    rng: np.random.Generator,
    prior: Prior | None = None,
    candidates: int = CANDIDATES,
    gamma: Good = Good(),
) -> Config:
    """What the model of `seen` proposes, that the constraints allow and, in a finite space, that has not been tried."""
    tried = Tried(space, trials) if math.isfinite(space.size) else None
    for _ in range(ROUNDS):
        config = modelled(space, seen, rng, prior, candidates, gamma)
        if config is not None and (tried is None or config not in tried):
            return config
    return drawn(space, trials, rng)


def modelled(
    space: Space, seen: Observed, rng: np.random.Generator, prior: Prior | None, candidates: int, gamma: Good
) -> Config | None:
    """One walk from the root of the space to its leaves; None where the constraints refuse all candidates of a group."""
    config: Config = {}
    while names := _next_group(space, config):
        good, bad = _split(space, seen, names, prior, gamma)
        drawn_units = _snapped(space, names, good.sample(candidates, rng))
        for row in np.argsort(bad.log_density(drawn_units) - good.log_density(drawn_units), kind="stable"):
            chosen = {name: space[name].from_unit(unit) for name, unit in zip(names, drawn_units[row], strict=True)}
            if space.allows(config | chosen):
                break
        else:
            return None
        config |= chosen
    whole = space.active(config)
    return whole if space.allows(whole) else None


def _next_group(space: Space, config: Config) -> list[str]:
    """The searched parameters whose parents are chosen and who are not; those of one value are chosen on the way."""
    names = []
    for name, domain in space.items():
        if name in config or not space.in_force(domain, config):
            continue
        if domain.size > 1:
            names.append(name)
        else:
            config[name] = domain.from_unit(0.5)
    return names


def _split(space: Space, seen: Observed, names: list[str], prior: Prior | None, gamma: Good) -> "tuple[Parzen, Parzen]":
    """The densities of the good and of the other trials, of those that have all of `names`."""
    columns = [seen.names.index(name) for name in names]
    units = seen.units[seen.order][:, columns]
    units = units[~np.isnan(units).any(axis=1)]
    running = seen.running[:, columns]
    running = running[~np.isnan(running).any(axis=1)]
    count = gamma.count(len(units))
    good = parzen(space, names, units[:count], prior)
    return good, parzen(space, names, np.concatenate([units[count:], running]), None)


def _snapped(space: Space, names: list[str], units: Floats) -> Floats:
    """Places of values that there are: whole numbers and choices in the middle of their cells."""
    for column, name in enumerate(names):
        domain = space[name]
        if math.isfinite(domain.size):
            values = [{name: domain.from_unit(unit)} for unit in units[:, column]]
            units[:, column] = encode(space, values, [name])[:, 0]
    return units


@dataclass(frozen=True)
class Parzen:
    """A mixture of k equal kernels over d parameters.

    `middles`, `widths`: (k, d) of the cut normals, for parameters in order. `chances[j]`: (k, choices) for an unordered one.
    """

    middles: Floats
    widths: Floats
    chances: Mapping[int, Floats]

    def sample(self, count: int, rng: np.random.Generator) -> Floats:
        """(count, d) places drawn from the mixture."""
        kernel = rng.integers(len(self.middles), size=count)
        units = np.empty((count, self.middles.shape[1]))
        for column in range(units.shape[1]):
            if column in self.chances:
                chances = self.chances[column][kernel]
                picked = (chances.cumsum(axis=1) < rng.uniform(size=(count, 1))).sum(axis=1)
                units[:, column] = (np.minimum(picked, chances.shape[1] - 1) + 0.5) / chances.shape[1]
            else:
                units[:, column] = cut_normal(self.middles[kernel, column], self.widths[kernel, column], rng)
        return units

    def log_density(self, units: Floats) -> Floats:
        """(n,) at places (n, d)."""
        total = np.zeros((len(units), len(self.middles)))
        alike = np.zeros(len(self.middles))  # what is the same at all places
        for column in range(units.shape[1]):
            places = units[:, column]
            if column in self.chances:
                choices = self.chances[column].shape[1]
                total += np.log(self.chances[column].T)[np.minimum((places * choices).astype(int), choices - 1)]
            else:
                middle, scale = self.middles[:, column], 1 / self.widths[:, column]
                squared = places[:, None] * scale - middle * scale
                squared *= squared
                squared *= 0.5
                total -= squared
                alike += log_cut_normal(middle, middle, self.widths[:, column])
        total += alike
        top = total.max(axis=1)
        return np.asarray(top + np.log(np.exp(total - top[:, None]).mean(axis=1)))


def parzen(space: Space, names: Sequence[str], units: Floats, prior: Prior | None) -> Parzen:
    """A kernel at each of `units` (n, d), an even one, and one at the prior where there is one."""
    count, dims = units.shape
    kernels = count + 1 + (prior is not None)
    spread = max(SPREAD * max(count, 1) ** (-1 / (dims + 4)), 1 / min(NARROWEST, count + 1))
    middles, widths = np.full((kernels, dims), 0.5), np.full((kernels, dims), spread)
    middles[:count], widths[count:] = units, 1.0  # the even kernel: a normal as wide as the range
    chances: dict[int, Floats] = {}
    for column, name in enumerate(names):
        sure = _belief(space, name, prior)
        if is_unordered(space[name]):
            chances[column] = _chances(units[:, column], int(space[name].size), kernels, sure)
        elif sure is not None:
            middles[-1, column], widths[-1, column] = sure[0], width(sure[1])
    return Parzen(middles, widths, chances)


def _belief(space: Space, name: str, prior: Prior | None) -> tuple[float, float] | None:
    """The place and the confidence of an expert's value."""
    if prior is None or name not in prior.config or name not in prior.confidence:
        return None
    return space[name].to_unit(prior.config[name]), prior.confidence[name]


def _chances(places: Floats, choices: int, kernels: int, sure: tuple[float, float] | None) -> Floats:
    """(kernels, choices): each kernel its own choice, and 1 / kernels of a count for every other, as Optuna's weights."""
    chances: npt.NDArray[np.float64] = np.full((kernels, choices), 1 / kernels)
    chances[np.arange(len(places)), np.minimum((places * choices).astype(int), choices - 1)] += 1
    if sure is not None:
        chances[-1] = 1 - sure[1]
        chances[-1, min(int(sure[0] * choices), choices - 1)] += sure[1] * choices
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))
