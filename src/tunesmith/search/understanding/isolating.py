"""Isolation: what each value of one parameter can do when all others are chosen well.

The values are put into buckets, and of each bucket the best trial counts, over all other parameters (Godbole et al., Deep Learning
Tuning Playbook, 2023). A bucket with more trials has had more chances; so beside its best stands the best that as many trials as in the
smallest bucket are expected to give, and the number of trials itself.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.records import DataError, Trial, UnknownName, did_you_mean
from tunesmith.search.domains import Choice, Domain, Ordinal
from tunesmith.search.history import as_history
from tunesmith.search.space import Space, as_space

Floats = npt.NDArray[np.float64]
BUCKETS = 8  # of a range; assumption: as many as 50 trials can fill
FEW = 3  # trials in a bucket below which nothing is said of it


@dataclass(frozen=True)
class Bucket:
    """Trials whose value lies in one part of the range. `trial`, `best`: the id and score of the best; `fair`: the expected best of as
    many trials as the smallest bucket with 3 or more has (NaN for one with fewer)."""

    low: Any
    high: Any  # the same as low for a choice
    count: int
    trial: int
    best: float
    fair: float

    @property
    def label(self) -> str:
        if self.low == self.high:
            return str(self.low)
        return f"{self.low:.3g} … {self.high:.3g}"


def isolation(
    space: Space | Mapping[str, Domain], trials: Sequence[Trial], name: str, buckets: int = BUCKETS
) -> list[Bucket]:
    """Buckets of the values of `name`, in the order of the range, empty ones left out; failed trials are left out too.

    Raises `UnknownName` for a parameter that the space has not, `DataError` for fewer than 2 buckets.

    >>> from tunesmith.search import Choice
    >>> trials = [Trial(id=i, change={"a": a}, records=({"score": s},), state="done") for i, (a, s) in enumerate([("x", 3), ("y", 2), ("x", 1)])]
    >>> [(bucket.label, bucket.count, bucket.best) for bucket in isolation({"a": Choice(["x", "y"])}, trials, "a")]
    [('x', 2, 1.0), ('y', 1, 2.0)]
    """
    whole = as_space(space)
    if name not in whole:
        raise UnknownName(f"no parameter called {name!r} in the space{did_you_mean(name, whole)}")
    if buckets < 2:
        raise DataError(f"buckets is {buckets}; expected 2 or more")
    domain = whole[name]
    history = as_history(trials)
    kept = [
        trial
        for trial in history
        if name in trial.change and trial.state != "failed" and math.isfinite(history.value(trial.id))
    ]
    if not kept:
        return []
    values = np.array([history.value(trial.id) for trial in kept])
    units = np.array([domain.to_unit(trial.change[name]) for trial in kept])
    count = int(min(domain.size, buckets)) if not isinstance(domain, Choice | Ordinal) else len(domain.choices)
    place = np.minimum(count - 1, np.maximum(0, (units * count).astype(int)))
    sizes = np.bincount(place, minlength=count)
    enough = sizes[sizes >= FEW]
    fair = int(enough.min()) if len(enough) else 0
    found = []
    for number in np.flatnonzero(sizes):
        mine = np.flatnonzero(place == number)
        best = mine[np.argmin(values[mine])]
        expected = expected_best(values[mine], fair) if fair and len(mine) >= fair else math.nan
        low, high = _ends(domain, int(number), count, [kept[row].change[name] for row in mine])
        found.append(Bucket(low, high, len(mine), kept[best].id, float(values[best]), expected))
    return found


def _ends(domain: Domain, number: int, count: int, values: list[Any]) -> tuple[Any, Any]:
    if isinstance(domain, Choice | Ordinal):
        return domain.choices[number], domain.choices[number]
    if domain.size <= count:
        return values[0], values[0]
    return domain.from_unit(number / count), domain.from_unit((number + 1) / count)


def expected_best(scores: Floats, draws: int) -> float:
    """The lowest of `draws` of the scores, drawn without putting back, on average: sum of s_(i) C(n - i, m - 1) / C(n, m).

    >>> round(expected_best(np.array([1.0, 2.0, 3.0]), 2), 9)
    1.333333333
    """
    ordered, n = np.sort(scores), len(scores)
    if not 1 <= draws <= n:
        raise DataError(f"{draws} draws of {n} scores; expected 1 to {n}")
    logs = np.array([_log_choose(n - i, draws - 1) - _log_choose(n, draws) for i in range(1, n - draws + 2)])
    return float(np.exp(logs) @ ordered[: len(logs)])


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
