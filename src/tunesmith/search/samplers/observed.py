"""What a sampler sees of a history: the places of the configurations in [0, 1] and one value of each, all at one budget.

Trials that were trained for different lengths are compared at the largest budget that enough of them have reached (Falkner et al., BOHB,
arXiv:1807.01774, section 3.2): a score after 3 units against a score after 27 says nothing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.records import Trial
from tunesmith.search.distributed import Distributed
from tunesmith.search.domains import Choice, Domain, Int, Real
from tunesmith.search.history import Floats, History, as_history, with_earlier
from tunesmith.search.proposal import Exhausted
from tunesmith.search.space import Config, Space, values_of

Mask = npt.NDArray[np.bool_]
DRAWS = 50  # assumption: draws of something new before a finite space is gone through one by one
LISTED = 10_000  # assumption: spaces up to this size are gone through; larger ones are never exhausted in practice


@dataclass(frozen=True)
class Observed:
    """Trials as arrays, finished and stopped ones first in the order they were begun.

    `names`: the searched parameters, d of them. `units`: (n, d) places in [0, 1], NaN where not in force. `values`: (n,) the best score up
    to `budget` units, infinite for failed trials; smaller is better. `ranks`: (n,) 0 for the best: failed trials last, those stopped before
    `budget` after those that reached it. `running`: (m, d) places of what runs now and has no value yet.
    """

    names: tuple[str, ...]
    budget: int
    units: Floats
    values: Floats
    ranks: npt.NDArray[np.int64]
    running: Floats

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """(n,) the trials from best to worst."""
        return np.argsort(self.ranks, kind="stable")


def observe(space: Space, trials: Sequence[Trial], enough: int = 1, *, earlier: bool = True) -> Observed:
    """What there is to learn from `trials` at the largest budget that `enough` of them have reached.

    With fewer than `enough` at every budget, that with most trials counts. Failed trials count at every budget; stopped ones too, since
    they were stopped for being bad; paused ones only where they have reached it. Trials of earlier studies count as well, with `earlier`.
    """
    history = with_earlier(trials) if earlier else as_history(trials)
    names = tuple(space.searched)
    states = np.array([trial.state for trial in history], dtype=object)
    lengths = np.array([len(history.scores(id)) for id in range(len(history))], dtype=np.int64)
    failed = (states == "failed") | _without_score(history, lengths)
    budget = common_budget(lengths[~failed], enough)
    reached = (lengths >= budget) & (lengths > 0) & ~failed
    stopped = (states == "stopped") & ~reached & ~failed
    seen = reached | stopped | failed
    values = np.where(failed, math.inf, _best_upto(history, lengths, budget))[seen]
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.lexsort((values, stopped[seen], failed[seen]))] = np.arange(len(values))
    units = encode(space, [trial.change for trial in history], names)
    return Observed(names, budget, units[seen], values, ranks, units[(states == "running") & ~seen])


def common_budget(lengths: npt.NDArray[np.int64], enough: int) -> int:
    """The largest length that `enough` of `lengths` reach; the one most of them reach where there is none; 1 of nothing.

    >>> common_budget(np.array([1, 1, 1, 3, 3, 9]), 2), common_budget(np.array([1, 1, 1, 3, 3, 9]), 5)
    (3, 1)
    """
    longest_first = np.sort(lengths[lengths > 0])[::-1]
    if not len(longest_first):
        return 1
    return int(longest_first[min(max(enough, 1), len(longest_first)) - 1])


def _without_score(history: History, lengths: npt.NDArray[np.int64]) -> Mask:
    """Trials that are over, or have reported, without one finite score."""
    best = _best_upto(history, lengths, int(lengths.max(initial=0)))
    over = np.array([trial.state in ("done", "stopped") for trial in history], dtype=bool)
    return ~np.isfinite(best) & (over | (lengths > 0))


def _best_upto(history: History, lengths: npt.NDArray[np.int64], budget: int) -> Floats:
    """(n,) the best finite score of each trial in its first `budget` units."""
    best = np.full(len(lengths), math.inf)
    some = np.flatnonzero(lengths)
    if not len(some):
        return best
    flat = np.concatenate([history.scores(int(id)) for id in some])
    starts = np.concatenate([[0], np.cumsum(lengths[some])[:-1]])
    unit = np.arange(len(flat)) - np.repeat(starts, lengths[some])
    best[some] = np.minimum.reduceat(np.where(np.isfinite(flat) & (unit < budget), flat, math.inf), starts)
    return best


def encode(space: Space, configs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Floats:
    """(n, d) places in [0, 1] of the configurations; NaN where a parameter is not in force."""
    units = np.full((len(configs), len(names)), math.nan)
    for column, name in enumerate(names):
        values = [config[name] for config in configs if name in config]
        if len(values) == len(configs):
            units[:, column] = _places(space[name], values)
        elif values:
            units[[name in config for config in configs], column] = _places(space[name], values)
    return units


def _places(domain: Domain, values: list[Any]) -> Floats:
    """Many values at once by what `to_unit` does one by one."""
    match domain:
        case Real(step=None, log=True):
            return np.asarray(
                np.log(np.array(values, dtype=np.float64) / domain.low) / math.log(domain.high / domain.low)
            )
        case Real(step=None):
            return np.asarray((np.array(values, dtype=np.float64) - domain.low) / (domain.high - domain.low))
        case Real(step=float() | int()) | Int():
            cells = domain.cells
            assert cells is not None
            low, high = cells.edges()
            numbers = np.array(values, dtype=np.float64)
            return np.asarray(((np.log(numbers) if domain.log else numbers) - low) / (high - low))
        case Distributed():
            return domain.to_units(np.array(values, dtype=np.float64))
        case _:
            return _looked_up(domain, values)


def _looked_up(domain: Domain, values: list[Any]) -> Floats:
    """By a table where values can be keys: there are far fewer choices than trials."""
    table: dict[Any, float] = {}
    places = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            key = (type(value), value)
            if key not in table:
                table[key] = domain.to_unit(value)
            places[row] = table[key]
        except TypeError:  # cannot be a key
            places[row] = domain.to_unit(value)
    return places


def decode(space: Space, names: Sequence[str], units: Floats) -> Config:
    """The configuration at one row of places; NaN and what has no name stand in the middle."""
    places = dict.fromkeys(space, 0.5)
    places.update({name: float(unit) for name, unit in zip(names, units, strict=True) if not math.isnan(unit)})
    return space.from_units(places)


def is_unordered(domain: Domain) -> bool:
    """Whether neighbours in [0, 1] have nothing to do with each other."""
    return isinstance(domain, Choice)


class Tried:
    """The configurations of a history, to ask whether one is new.

    >>> from tunesmith.search import Ordinal
    >>> space = Space({"x": Ordinal([1, 2, 3])})
    >>> tried = Tried(space, [Trial(id=0, change={"x": 2})])
    >>> {"x": 2} in tried, {"x": 3} in tried, [config["x"] for config in tried.untried()]
    (True, False, [1, 3])
    """

    def __init__(self, space: Space, trials: Sequence[Trial]) -> None:
        self.space = space
        self._names = tuple(space.searched)
        self._keys = set(self._keyed([trial.change for trial in trials]))

    def _keyed(self, configs: Sequence[Mapping[str, Any]]) -> Iterable[bytes]:
        rows = np.nan_to_num(np.round(encode(self.space, configs, self._names), 9), nan=-1.0) + 0.0
        return (row.tobytes() for row in rows)

    def __contains__(self, config: object) -> bool:
        return isinstance(config, Mapping) and next(iter(self._keyed([config]))) in self._keys

    def among(self, configs: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Which of many have been tried."""
        return [key in self._keys for key in self._keyed(configs)]

    def untried(self) -> Iterable[Config]:
        """All configurations of a finite space, allowed and not yet tried, in order."""
        values = {name: values_of(domain) for name, domain in self.space.items()}
        return (config for config in every(self.space, values) if self.space.allows(config) and config not in self)


def every(space: Space, values: Mapping[str, Sequence[Any]]) -> Iterable[Config]:
    """All configurations of the listed values, the last parameter changing fastest; constraints not looked at."""
    names = list(space)

    def onward(place: int, config: Config) -> Iterable[Config]:
        if place == len(names):
            yield dict(config)
            return
        name = names[place]
        if not space.in_force(space[name], config):
            yield from onward(place + 1, config)
            return
        for value in values[name]:
            yield from onward(place + 1, config | {name: value})

    return onward(0, {})


def drawn(space: Space, trials: Sequence[Trial], rng: np.random.Generator) -> Config:
    """A configuration drawn evenly; in a finite space one not yet tried. Raises `Exhausted` where there is none left."""
    if math.isinf(space.size):
        return space.sample(rng)
    tried = Tried(space, trials)
    if space.size > LISTED:
        config = space.sample(rng)
        return config if config not in tried else space.sample(rng)
    for _ in range(DRAWS):
        config = space.from_units(dict(zip(space, rng.uniform(size=len(space)).tolist(), strict=True)))
        if space.allows(config) and config not in tried:
            return config
    left = list(tried.untried())
    if not left and not len(trials):
        return space.sample(rng)  # says that no configuration meets the constraints
    if not left:
        raise gone_through(space)
    return left[int(rng.integers(len(left)))]


def gone_through(space: Space) -> Exhausted:
    """The error of a finite space with nothing left to try."""
    return Exhausted(
        f"all configurations of the space have been tried ({space.size:.0f} without constraints); widen it"
    )
