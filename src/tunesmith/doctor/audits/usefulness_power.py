"""How much of a target inputs tell in rows that were not looked at: alone, and all together. No network.

Power is the share of what is unknown about the target that is known once the input is: for numbers R² (1 - squared error
/ variance), for classes 1 - cross-entropy / entropy of the classes (McFadden's R²), both out of sample, so that an
input that says nothing has power 0 or a little less, and a copy of the target has power 1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.boosting import Boosted
from tunesmith.doctor.audits.threads import one_thread

BINS = 64  # of a column of numbers; assumption
ROWS_A_BIN = 20  # on average, below which there are fewer bins; assumption
FOLDS = 3
SHRINK = 2.0  # rows of the mean that each bin starts with; assumption
FEWEST = 30  # rows below which nothing out of sample is measured; assumption


@dataclass(frozen=True, slots=True)
class Score:
    """A power and its standard error over rows."""

    power: float
    error: float
    losses: Array  # of each row that was judged, relative to the loss of knowing nothing

    def beats(self, other: "Score", errors: float = 3.0) -> bool:
        """Whether this one is better on the same rows by so many standard errors."""
        gain = other.losses - self.losses
        return bool(gain.mean() > errors * gain.std() / np.sqrt(max(1, len(gain))) and gain.mean() > 0)


def binned(values: Array, bins: int = BINS) -> Array:
    """int64 codes of equally filled bins, every distinct value its own where they are few; 0 is a gap."""
    present = values[~np.isnan(values)]
    distinct = np.unique(present)
    if len(distinct) > bins:
        distinct = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1)[:-1], method="lower"))
    codes = np.searchsorted(distinct, values, side="right")
    return np.where(np.isnan(values), 0, codes)


def folds_of(count: int, rng: np.random.Generator, folds: int = FOLDS) -> Array:
    """int64 (N,): which fold each row lies in, at random."""
    return rng.permutation(np.arange(count) % folds)


def of_one(values: Array, target: Array, classes: int, folds: Array) -> float:
    """Power of one input (N,) on a target (N,) without gaps, over given folds. `classes` is 0 for numbers."""
    codes = binned(values, min(BINS, max(4, len(values) // ROWS_A_BIN)))
    return of_bins(codes, target, classes, folds)


def of_bins(codes: Array, target: Array, classes: int, folds: Array) -> float:
    """Power of levels."""
    width, count = int(codes.max()) + 1, int(folds.max()) + 1
    if classes:
        return _of_classes(codes, target.astype(np.int64), classes, folds, width, count)
    place = folds * width + codes
    rows = np.bincount(place, minlength=count * width).reshape(count, width)
    sums = np.bincount(place, target, count * width).reshape(count, width)
    rows, sums = rows.sum(0) - rows, sums.sum(0) - sums  # of the other folds
    level = (sums.sum(1) / np.maximum(1, rows.sum(1)))[:, None]
    known = (sums + SHRINK * level) / (rows + SHRINK)
    blind = float(((target - level[folds, 0]) ** 2).sum())
    return 1.0 - float(((target - known[folds, codes]) ** 2).sum()) / blind if blind > 0 else 0.0


def _of_classes(codes: Array, target: Array, classes: int, folds: Array, width: int, count: int) -> float:
    place = (folds * width + codes) * classes + target
    table = np.bincount(place, minlength=count * width * classes).reshape(count, width, classes).astype(np.float64)
    table = table.sum(0) - table
    shares = table.sum(1, keepdims=True) + 1.0 / classes
    shares /= shares.sum(2, keepdims=True)
    known = (table + SHRINK * shares) / (table.sum(2, keepdims=True) + SHRINK)
    blind = -np.log(shares[folds, 0, target]).sum()
    return 1.0 - float(-np.log(known[folds, codes, target]).sum() / blind) if blind > 0 else 0.0


def powers(numbers: Array, target: Array, classes: int, rng: np.random.Generator) -> Array:
    """float64 (D,): power of each input alone."""
    folds = folds_of(len(target), rng)
    return np.array([of_one(numbers[:, place], target, classes, folds) for place in range(numbers.shape[1])])


def smooth_power(values: Array, target: Array, rng: np.random.Generator) -> float:
    """Share of the variance of a number that is a smooth function of another: from neighbours in its order (Rice 1984).

    The residual of a row against the mean of the two rows beside it has 3/2 of the noise variance. Equal values stand in
    random order, so that the order of the file tells nothing.

    >>> x = np.linspace(0, 1, 999)
    >>> round(smooth_power(x, np.sin(9 * x), np.random.default_rng(0)), 3)
    1.0
    """
    shuffled = rng.permutation(len(values))
    order = shuffled[np.argsort(values[shuffled], kind="stable")]
    y = target[order]
    spread = float(y.var())
    if len(y) < 3 or spread == 0:
        return 0.0
    return 1.0 - float(((y[1:-1] - (y[:-2] + y[2:]) / 2) ** 2).mean()) / 1.5 / spread


def fast_model(classes: int, seed: int) -> Any:
    """Boosted trees that take gaps and unscaled numbers, as weak and as fast as an audit wants them."""
    rounds = 60 if classes <= 3 else max(10, 120 // classes)  # a tree a class and round
    settings: dict[str, Any] = {"max_iter": rounds, "learning_rate": 0.15, "early_stopping": False}
    settings |= {"random_state": seed, "max_leaf_nodes": 15, "min_samples_leaf": 10}
    return Boosted(classes, **settings)


def row_losses(model: Any, numbers: Array, target: Array, classes: int) -> Array:
    """Squared error or cross-entropy of each row."""
    if not classes:
        return np.asarray((model.predict(numbers) - target) ** 2)
    shares = model.predict_proba(numbers)
    column = {int(code): place for place, code in enumerate(model.classes_)}
    places = np.array([column.get(int(code), -1) for code in target])
    told = np.where(places < 0, 0.0, shares[np.arange(len(target)), places])
    return np.asarray(-np.log(np.clip(told, 1e-6, 1)))


def blind_losses(target: Array, seen: Array, classes: int) -> Array:
    """The same for a model that knows only the training targets `seen`."""
    if not classes:
        return np.asarray((seen.mean() - target) ** 2)
    counts = np.bincount(seen.astype(np.int64), minlength=classes) + 1.0 / classes
    return np.asarray(-np.log(counts / counts.sum())[target.astype(np.int64)])


def together(
    numbers: Array, target: Array, classes: int, folds: Array, seed: int = 0, model: Any = None, once: bool = False
) -> Score:
    """Power of all inputs together, out of the folds. `once` judges the first fold alone."""
    made, blind, judged = [], [], []
    for fold in range(1 if once else int(folds.max()) + 1):
        out = folds == fold
        if classes and len(np.unique(target[~out])) < 2:
            continue
        made_of = fast_model(classes, seed) if model is None else model()
        with one_thread():
            fitted = made_of.fit(numbers[~out], target[~out])
            made.append(row_losses(fitted, numbers[out], target[out], classes))
        blind.append(blind_losses(target[out], target[~out], classes))
        judged.append(np.flatnonzero(out))
    if not made or not (level := float(np.concatenate(blind).mean())):
        return Score(0.0, 1.0, np.zeros(0))
    order = np.argsort(np.concatenate(judged))
    losses = np.concatenate(made)[order] / level
    return Score(1.0 - float(losses.mean()), float(losses.std() / np.sqrt(len(losses))), losses)
