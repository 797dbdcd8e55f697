"""Cross-validation on less than everything: on part of the rows, or with a small value of a parameter such as `n_estimators`.

A search looks at many configurations at the smaller levels, and at few at the last, the whole. Levels rise by a factor of three, as in
successive halving (Jamieson & Talwalkar, arXiv:1502.07943) and Hyperband (Li et al., arXiv:1603.06560).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.records import DataError, did_you_mean

ROWS = "n_samples"
FACTOR = 3  # Li et al., section 2.6: 3 or 4
LEVELS = 3  # assumption: below a ninth of the data ranks say little; a smaller min_resource allows more


class Constant:
    """A splitter whose splits are made once: shuffled ones would differ from configuration to configuration."""

    def __init__(self, splitter: Any) -> None:
        self._splitter = splitter
        self._splits: list[tuple[Any, Any]] | None = None

    def split(self, X: Any, y: Any = None, **asked: Any) -> list[tuple[Any, Any]]:
        """Train and test rows of each fold."""
        if self._splits is None:
            self._splits = list(self._splitter.split(X, y, **asked))
        return self._splits


@dataclass(frozen=True)
class Part:
    """The folds of a splitter with only some of their training rows; those of a smaller share are among those of a larger one.

    Of classes, each keeps its share, and a row at least where there are enough. Test rows stay whole, so that scores are as exact as
    those of all rows.
    """

    splitter: Constant
    rows: int  # of all data; a fold has its share of them
    seed: int
    by_class: bool

    def split(self, X: Any, y: Any = None, **asked: Any) -> Iterator[tuple[Any, Any]]:
        """Train and test rows of each fold."""
        for train, test in self.splitter.split(X, y, **asked):
            kept = max(1, round(len(train) * self.rows / _length(X)))
            order = spread_order(np.asarray(y)[train] if self.by_class else None, len(train), self.seed)
            yield np.asarray(train)[np.sort(order[:kept])], test


def spread_order(labels: Any, count: int, seed: int) -> npt.NDArray[np.int64]:
    """An order of `count` rows each of whose beginnings has the classes in about their shares; any order without labels.

    >>> spread_order(np.array([0] * 6 + [1] * 3), 9, 0)[:3].tolist().__len__()
    3
    >>> sorted(np.array([0] * 6 + [1] * 3)[spread_order(np.array([0] * 6 + [1] * 3), 9, 0)[:3]].tolist())
    [0, 0, 1]
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(count)
    if labels is None:
        return np.asarray(shuffled, dtype=np.int64)
    _, numbers, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    numbers = numbers.reshape(-1)
    place = np.empty(count)
    for number, size in enumerate(sizes):
        mine = shuffled[numbers[shuffled] == number]
        place[mine] = (np.arange(size) + 0.5) / size
    return np.asarray(np.argsort(place, kind="stable"), dtype=np.int64)


@dataclass(frozen=True)
class Resource:
    """What is made smaller: `name` is `n_samples` or a parameter of the estimator; `sizes` rise to the whole."""

    name: str
    sizes: tuple[int, ...]

    @property
    def whole(self) -> int:
        return self.sizes[-1]

    def share(self, size: int) -> float:
        """The work of a cross-validation at `size`, where one at the whole is 1; taken to grow in proportion."""
        return size / self.whole


def levels(name: str, whole: int, least: int) -> Resource:
    """Sizes that rise by a factor of three to `whole`, none below `least`.

    >>> levels("n_samples", 900, 50).sizes
    (100, 300, 900)
    """
    if not 1 <= least <= whole:
        raise DataError(
            f"min_resource is {least} of {name} and the whole is {whole}; expected 1 <= min_resource <= whole"
        )
    sizes = [whole]
    while (smaller := round(whole / FACTOR ** len(sizes))) >= least:
        sizes.insert(0, smaller)
    return Resource(name, tuple(dict.fromkeys(sizes)))


def resource_of(
    name: str, estimator: Any, space: Any, *, rows: int, smallest: int, least: int | None, whole: int | None
) -> Resource:
    """The resource called `name`. `rows`: of the data; `smallest`: rows below which folds cannot be trained on.

    Raises `DataError` for a name the estimator has not, one that is searched itself, and sizes out of range.
    """
    if name == ROWS:
        whole = rows if whole is None else whole
        if whole > rows:
            raise DataError(f"max_resource is {whole} and there are {rows} rows; expected {rows} at most")
        found = max(min(smallest, whole), _lowest(whole)) if least is None else least
        return levels(name, whole, found)
    known = estimator.get_params()
    if name not in known:
        raise DataError(f"the estimator has no parameter called {name!r} to be a resource{did_you_mean(name, known)}")
    if name in space:
        raise DataError(f"{name} is both searched and the resource; leave one of them out")
    whole = known[name] if whole is None else whole
    if isinstance(whole, bool) or not isinstance(whole, int | np.integer):
        raise DataError(f"the resource {name} is {whole!r}; expected a whole number: pass max_resource")
    return levels(name, int(whole), _lowest(int(whole)) if least is None else least)


def _lowest(whole: int) -> int:
    least: int = max(1, round(whole / FACTOR ** (LEVELS - 1)))
    return least


def _length(X: Any) -> int:
    if hasattr(X, "shape"):
        return int(X.shape[0])
    return len(X)
