"""On which groups of rows a model is worse than on the rest, beyond what the choice of the rows explains.

n rows, m of them in a group. Under the null hypothesis a group is any m of the rows, so that its score less that of the rest has the
standard error s·√n·√(1/m + 1/(n - m)), with s the standard error of the metric on all rows. Groups that this calls apart are measured by
their own bootstrap too, and the larger error counts: a group with few rows of a class scatters more than the whole.
The chances are one-sided and corrected for the number of groups by Holm (Scandinavian Journal of Statistics 6 (1979), 65-70), which
holds for groups that overlap.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tunesmith.blocks.metrics.bootstrap import RESAMPLES_FOR_NOISE, intervals, noise
from tunesmith.blocks.metrics.definition import metric
from tunesmith.blocks.metrics.judged import Array, Judged

LEAST = 30  # rows of a group, and of the rest; assumption: below it the normal distribution of a score is no good guess
SURE = 0.05  # corrected chance below which a group is called worse; assumption
LEVEL = 0.95
TOLD = 20  # groups with an interval, which takes longer than all the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some of the rows, and why they belong together."""

    by: str  # a column, or a property such as "length"
    name: str  # which values of it
    rows: Array  # bool (N,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """How a model does on a group. `difference` is above 0 where it is worse there than on the rest, whatever way the metric counts."""

    by: str
    name: str
    metric: str
    count: int
    score: float
    interval: tuple[float, float] | None  # 95 %, over the choice of the rows of the group; of the first ones alone
    rest: float
    difference: float
    chance: float  # that groups at random look at least as bad, corrected for their number
    worse: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"interval": None if self.interval is None else list(self.interval)}


def slices(
    kind: str,
    target: Array,
    prediction: Array,
    groups: Iterable[Group],
    *,
    name: str,
    classes: Sequence[Any] | None = None,
    positive: int | None = None,
    weight: Array | None = None,
    threshold: float | None = None,
    seed: int = 0,
) -> list[Slice]:
    """Each group with enough rows on either side and a score, the surest first; arguments as `scores` has them.

    >>> rng = np.random.default_rng(0)
    >>> sure = np.where(np.arange(400) < 100, 0.4, 0.9)  # right in 40 % of the first hundred rows, in 90 % of the others
    >>> said = np.where(rng.random(400) < sure, 0.8, 0.2)
    >>> first = Group(by="row", name="first hundred", rows=np.arange(400) < 100)
    >>> odd = Group(by="row", name="odd", rows=np.arange(400) % 2 == 1)
    >>> found = slices("binary", np.ones(400, int), said, [first, odd], name="accuracy")
    >>> [(one.name, one.worse) for one in found]
    [('first hundred', True), ('odd', False)]
    """
    about = _About(kind, name, classes, positive, threshold, seed)
    each = np.ones(len(target)) if weight is None else np.asarray(weight, np.float64)
    spread = about.noise(target, prediction, each) * math.sqrt(len(target))
    seen: set[bytes] = set()
    known: list[tuple[bytes, Slice]] = []
    for group in groups:
        rows = np.packbits(group.rows).tobytes()  # an eighth of the memory
        if rows in seen:  # the first of the same rows counts
            continue
        seen.add(rows)
        found = _measured(about, group, target, prediction, each, spread)
        known += [] if found is None else [(rows, found)]
    corrected = holm([found.chance for _, found in known])
    told = [
        (rows, replace(found, chance=chance, worse=chance < SURE and found.difference > 0))
        for (rows, found), chance in zip(known, corrected, strict=True)
    ]
    told.sort(key=lambda one: (one[1].chance, -one[1].difference))
    shown = []
    for packed, found in told[:TOLD]:
        inside = np.unpackbits(np.frombuffer(packed, np.uint8), count=len(target)).astype(bool)
        shown.append(replace(found, interval=about.interval(target[inside], prediction[inside], each[inside])))
    return shown + [found for _, found in told[TOLD:]]


def holm(chances: Sequence[float]) -> list[float]:
    """Chances corrected for their number: the k-th smallest of m times m - k + 1, never below one before it.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    found, highest = [1.0] * len(chances), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, chances[place] * (len(order) - rank)))
        found[place] = highest
    return found


@dataclass(frozen=True, slots=True)
class _About:
    """What a score needs beside the rows."""

    kind: str
    name: str
    classes: Sequence[Any] | None
    positive: int | None
    threshold: float | None
    seed: int

    @property
    def sign(self) -> float:
        return 1.0 if metric(self.name, kind=self.kind, classes=self.classes).better == "min" else -1.0

    def score(self, target: Array, prediction: Array, weight: Array) -> float:
        judged = Judged(self.kind, target, prediction, 1 if self.positive is None else self.positive, self.threshold)
        return metric(self.name, kind=self.kind, classes=self.classes)(judged, weight)

    def noise(self, target: Array, prediction: Array, weight: Array) -> float:
        more: dict[str, Any] = {"classes": self.classes, "positive": self.positive, "threshold": self.threshold}
        return noise(self.name, self.kind, target, prediction, weight=weight, seed=self.seed, **more)

    def interval(self, target: Array, prediction: Array, weight: Array) -> tuple[float, float]:
        more: dict[str, Any] = {"classes": self.classes, "positive": self.positive, "threshold": self.threshold}
        more |= {"names": (self.name,), "count": RESAMPLES_FOR_NOISE, "level": LEVEL, "seed": self.seed}
        return intervals(self.kind, target, prediction, weight=weight, **more)[self.name]


def _measured(
    about: _About, group: Group, target: Array, prediction: Array, weight: Array, spread: float
) -> Slice | None:
    """A group with its own chance, before the correction; None where it cannot be held against the rest."""
    inside = np.asarray(group.rows, bool)
    many, n = int(inside.sum()), len(inside)
    if min(many, n - many) < LEAST or not (weight[inside].sum() > 0 and weight[~inside].sum() > 0):
        return None
    sides = [(target[part], prediction[part], weight[part]) for part in (inside, ~inside)]
    score, rest = (about.score(*side) for side in sides)
    difference = about.sign * (score - rest)
    if not math.isfinite(difference):
        return None
    error = spread * math.sqrt(1 / many + 1 / (n - many))
    chance = _chance(difference, error)
    if chance < SURE:
        own = math.hypot(*(about.noise(*side) for side in sides))
        chance = _chance(difference, max(error, own)) if math.isfinite(own) else 1.0
    return Slice(
        by=group.by,
        name=group.name,
        metric=about.name,
        count=many,
        score=score,
        interval=None,
        rest=rest,
        difference=difference,
        chance=chance,
        worse=False,
    )


def _chance(difference: float, error: float) -> float:
    """One-sided, of a normal distribution."""
    if not error > 0:
        return 1.0 if difference <= 0 else 0.0
    return 0.5 * math.erfc(difference / error / math.sqrt(2))
