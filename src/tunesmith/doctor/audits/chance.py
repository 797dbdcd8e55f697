"""Whether a likeness can be chance: the nearest of a few rows tells how near the nearest of all may come.

The logarithm of the distance to the nearest of m rows follows a Gumbel law where the rows spread over a surface of any
dimension, with the scale the dimension gives (the minimum of distances whose law is a power near 0: Gnedenko, Annals of
Mathematics 44 (1943)); m times as many rows move it by the scale times log m. So law and scale are read off the nearest of
a sample, in which even a row that has a copy seldom finds it, and carried over to all rows. A list is cut where the pairs
that chance explains would be a tenth of it (Benjamini & Hochberg, JRSS B 57 (1995), with the counts in place of p-values).
"""

from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array

FALSE = 0.1  # share of a list that chance may explain; assumption
ROUNDS = 5
# One-sided 95 %: 1.64 times 1.59, the deviation of such a scale times sqrt(n) / scale; measured: 2000 drawn samples.
ERROR = 2.6
START, BULK = (0.1, 0.4), (0.5, 0.9)  # quantiles the law is read off; measured: benchmarks/duplicates.md


@dataclass(frozen=True, slots=True)
class Law:
    """Of the score of the nearest of one row's partners: Gumbel."""

    middle: float
    scale: float

    def beyond(self, scores: Array) -> Array:
        """The chance of a score as high."""
        found: Array = -np.expm1(-np.exp(-np.clip((scores - self.middle) / self.scale, -30, 700)))
        return found

    def of(self, times: float) -> "Law":
        """The law where there are so many times the partners."""
        return Law(self.middle + self.scale * float(np.log(max(times, 1.0))), self.scale)


def gumbel(scores: Array, low: float, high: float) -> Law:
    """The law with those two quantiles of the scores."""
    ends = [-float(np.log(-np.log(share))) for share in (low, high)]
    first, second = np.quantile(scores, [low, high]).tolist()
    scale = max((second - first) / (ends[1] - ends[0]), 1e-3)
    return Law(first - scale * ends[0], scale)


def law_of(scores: Array) -> Law:
    """The law of the bulk: the fit starts from the lower half and lets go of what lies far beyond it.

    The scale is taken at the upper end of its error, so that few rows lead to few pairs.

    >>> import numpy as np
    >>> drawn = np.random.default_rng(0).gumbel(2.0, 0.5, 2000)
    >>> found = law_of(np.concatenate([drawn, np.full(600, 9.0)]))
    >>> abs(found.middle - 2.0) < 0.1, abs(found.scale - 0.5) < 0.1
    (True, True)
    """
    law = gumbel(scores, *START)
    for _ in range(ROUNDS):
        inside = scores[law.beyond(scores) * len(scores) > FALSE]
        if len(inside) < max(20, len(scores) // 4):
            break
        law = gumbel(inside, *BULK)
    return Law(law.middle, law.scale * (1 + ERROR / len(scores) ** 0.5))


def beyond_chance(scores: Array, law: Law, rows: int) -> tuple[Array, float]:
    """Which pairs are kept, and the expected number among them that chance explains; `law` is of the nearest of all rows."""
    order = np.argsort(-scores, kind="stable")
    expected = rows / 2 * law.beyond(scores[order])
    fitting = np.flatnonzero(expected <= FALSE * np.arange(1, len(order) + 1))
    kept = np.zeros(len(scores), bool)
    if not len(fitting):
        return kept, 0.0
    kept[order[: fitting[-1] + 1]] = True
    return kept, float(expected[fitting[-1]])


def straight_line(x: Array, y: Array) -> Array:
    """Slope and offset of y on x, by least absolute deviations (reweighted), so that a few pairs far off do not turn it."""
    weight = np.ones(len(x))
    line = np.array([0.0, float(np.median(y))])
    if np.ptp(x) < 1e-9:
        return line
    for _ in range(20):
        line = np.polyfit(x, y, 1, w=weight)
        weight = 1 / np.sqrt(np.maximum(np.abs(y - np.polyval(line, x)), 1e-3))
    return line
