"""Whether one sample reaches less far out than another: exact tests, whatever the law of the column.

Both samples are pooled, and of the pooled rows those that lie outermost are marked: numbers by rank (ties in random order), categories
by how rare they are. Where both come from one law, every choice of rows is as likely to be the newer sample, so the marked ones
among it follow the hypergeometric law: Fisher, The Design of Experiments, 1935, section 11 (permutation); the chance of as few or
fewer is the test. Several columns: Holm, Scandinavian Journal of Statistics 6 (1979).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tunesmith.blocks.metrics.slices import holm
from tunesmith.data.spec import Array

OUTER = 0.1  # share of the pooled rows that is the tail, of both sides together; assumption
ALONE = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff"  # Thai, Japanese and Chinese letters
WORD = re.compile(rf"[{ALONE}]|[^\W{ALONE}]+")
FEWEST = 50  # rows of each sample; assumption


@dataclass(frozen=True, slots=True)
class Reach:
    """One comparison. `ratio` is the newer sample's share of outer rows over the older one's: 1 of equal laws."""

    name: str
    newer: float
    older: float
    chance: float

    @property
    def ratio(self) -> float:
        return self.newer / self.older if self.older else 1.0


def of_numbers(name: str, newer: Array, older: Array, rng: np.random.Generator) -> Reach | None:
    """Of numbers (N,) and (M,), gaps left out; None where there are too few.

    >>> import numpy as np
    >>> draw = np.random.default_rng(0)
    >>> found = of_numbers("x", 0.6 * draw.normal(size=500), draw.normal(size=500), draw)
    >>> found.ratio < 0.3, found.chance < 1e-6
    (True, True)
    """
    newer, older = (one[np.isfinite(one)] for one in (newer, older))
    pooled = np.concatenate([newer, older])
    side = int(OUTER / 2 * len(pooled))
    order = np.lexsort((rng.random(len(pooled)), pooled))
    marked = np.zeros(len(pooled), bool)
    marked[order[:side]] = marked[order[len(pooled) - side :]] = True
    return _reach(name, marked, len(newer))


def of_words(name: str, newer: Sequence[str], older: Sequence[str], rng: np.random.Generator) -> Reach | None:
    """Of categories: the rarest that together hold a tenth of the pooled rows are the tail; None where no category is as rare."""
    pooled = [*newer, *older]
    counted = Counter(pooled)
    levels = sorted(counted)
    order = np.lexsort((rng.random(len(levels)), np.array([counted[level] for level in levels])))
    rare: set[str] = set()
    held = 0
    for place in order.tolist():
        held += counted[levels[place]]
        if held > OUTER * len(pooled):
            break
        rare.add(levels[place])
    return _reach(name, np.fromiter((word in rare for word in pooled), bool, len(pooled)), len(newer))


def of_texts(name: str, newer: Sequence[str], older: Sequence[str], rng: np.random.Generator) -> Reach | None:
    """Of texts: rows with a word that no other row holds; where they are not a tenth, the tenth with the rarest words."""
    held = [set(words(text)) for text in (*newer, *older)]
    counted = Counter(word for row in held for word in row)
    rarest = np.array([min((counted[word] for word in row), default=len(held)) for row in held])
    marked = rarest == 1
    if marked.mean() < OUTER:
        marked = np.zeros(len(held), bool)
        marked[np.lexsort((rng.random(len(held)), rarest))[: int(OUTER * len(held))]] = True
    return _reach(name, marked, len(newer))


def words(text: str) -> list[str]:
    """Words in small letters; where words are written without spaces, letters.

    >>> words("A bell, 很好吃")
    ['a', 'bell', '很', '好', '吃']
    """
    return WORD.findall(text.casefold())


def significant(found: Sequence[Reach], level: float) -> list[Reach]:
    """Those that stand after Holm's correction: the chance that any of them is wrong is at most `level`. Thinnest first."""
    corrected = holm([one.chance for one in found])
    kept = [one for one, chance in zip(found, corrected, strict=True) if chance <= level]
    return sorted(kept, key=lambda each: (each.ratio, each.name))


def _reach(name: str, marked: Array, newer: int) -> Reach | None:
    older, total = len(marked) - newer, int(marked.sum())
    if min(newer, older) < FEWEST or not total or total == len(marked):
        return None
    mine = int(marked[:newer].sum())
    chance = float(stats.hypergeom.cdf(mine, len(marked), total, newer))
    return Reach(name, mine / newer, (total - mine) / older, chance)
