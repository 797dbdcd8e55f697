"""Fast models that judge every row without having seen it: lines, kernels, neighbours, trees, words.

Each takes rows in folds and gives scores (N, K) of each row from a fit on the other folds alone; K is the number of
classes, or of targets. Their work grows with the number of rows and no faster.

Lines and kernels are ridge regressions, for which a fold is left out by subtraction: X'X of all rows less that of the
fold (Allen, The Relationship Between Variable Selection and Data Augmentation, Technometrics 16, 1974). Kernels by
Williams & Seeger, Using the Nyström Method to Speed Up Kernel Machines (2001). Words: Rennie et al., Tackling the Poor
Assumptions of Naive Bayes Text Classifiers (2003), table 4, steps 4 to 7.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.boosting import Boosted

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of the penalty, in mean eigenvalues of X'X; assumption: a wide range
LANDMARKS = 1000  # rows that a kernel is spanned by; assumption, no other number was tried
REFERENCE = 8000  # rows among which neighbours are sought; assumption
NEAREST = (3, 5, 10, 20, 40)  # neighbours asked, the best of these; assumption
TREE_ROWS = 40_000  # rows a fold's trees are grown on at most; assumption
DIRECTIONS = 128  # principal directions for distances; assumption


def one_hot(codes: Array, classes: int) -> Array:
    """float32 (N, C); a row of class -1 is empty."""
    found = np.zeros((len(codes), classes), np.float32)
    there = np.flatnonzero(codes >= 0)
    found[there, codes[there]] = 1.0
    return found


def standardised(rows: Array) -> Array:
    """Columns of mean 0 and deviation 1, float32; those that never change are left out."""
    mean, spread = rows.mean(0, dtype=np.float64), rows.std(0, dtype=np.float64)
    used = spread > 1e-6 * np.maximum(np.abs(mean), 1)
    if not used.all():
        rows = rows[:, used]
    found: Array = rows - mean[used].astype(np.float32)
    found /= spread[used].astype(np.float32)
    return found


def principal(rows: Array, directions: int = DIRECTIONS) -> Array:
    """The coordinates in the directions of largest variance; the rows themselves where there are few columns."""
    if rows.shape[1] <= directions:
        return rows
    some = rows[:: max(1, len(rows) // 10_000)]
    some = some - some.mean(0)
    if len(some) < some.shape[1]:
        size, axes = np.linalg.eigh(some @ some.T)
        keep = np.flatnonzero(size > 1e-6 * size[-1])[-directions:]
        spun = some.T @ (axes[:, keep] / np.sqrt(size[keep]))
    else:
        spun = np.linalg.eigh(some.T @ some)[1][:, -directions:]
    return np.asarray(rows @ spun.astype(np.float32))


def ridge_scores(rows: Array, target: Array, fold: Array) -> Array:
    """Of linear models on standardised columns; the penalty with the least squared error out of sample."""
    if not rows.shape[1]:
        return _means(target, fold)
    return _dual(rows, target, fold) if len(rows) < rows.shape[1] else _primal(rows, target, fold)


def _means(target: Array, fold: Array) -> Array:
    """What the other folds say without looking at the row."""
    return np.stack([target[fold != number].mean(0) for number in range(fold.max() + 1)])[fold].astype(np.float32)


def _primal(rows: Array, target: Array, fold: Array) -> Array:
    from scipy.linalg import cho_factor, cho_solve

    folds = range(fold.max() + 1)
    places = [np.flatnonzero(fold == number) for number in folds]
    sums = np.stack([target[place].sum(0, dtype=np.float64) for place in places])
    counts = np.array([len(place) for place in places])
    squares, products = [], []
    mean = target.mean(0)
    for place in places:
        some = rows[place]
        squares.append((some.T @ some).astype(np.float64))
        products.append((some.T @ (target[place] - mean)).astype(np.float64))
    square, product = sum(squares), sum(products)
    tries = np.empty((len(STRENGTHS), *target.shape), np.float32)
    for number, place in enumerate(places):
        centre = (sums.sum(0) - sums[number]) / max(counts.sum() - counts[number], 1)
        left = square - squares[number]
        size = np.trace(left) / len(left)
        right = product - products[number]
        weights = []
        for strength in STRENGTHS:
            firm = left + (strength * size + 1e-9) * np.eye(len(left))
            weights.append(cho_solve(cho_factor(firm, check_finite=False), right, check_finite=False))
        answer = rows[place] @ np.concatenate(weights, axis=1).astype(np.float32)
        tries[:, place] = np.moveaxis(answer.reshape(len(place), len(STRENGTHS), -1), 1, 0) + centre
    return _best(tries, target)


def _dual(rows: Array, target: Array, fold: Array) -> Array:
    """The same, where there are more columns than rows."""
    return kernel_ridge_scores((rows @ rows.T).astype(np.float64), target, fold)


def kernel_ridge_scores(kernel: Array, target: Array, fold: Array) -> Array:
    """Ridge regression by the inner products (N, N) of the rows."""
    from scipy.linalg import cho_factor, cho_solve

    tries = np.empty((len(STRENGTHS), *target.shape), np.float32)
    for number in range(fold.max() + 1):
        inside, outside = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        centre = target[outside].mean(0)
        among, across = kernel[np.ix_(outside, outside)], kernel[np.ix_(inside, outside)]
        level = max(float(np.trace(among)) / len(among), 1e-12)
        for place, strength in enumerate(STRENGTHS):
            firm = among + (strength + 1e-9) * level * np.eye(len(among))
            weights = cho_solve(cho_factor(firm, check_finite=False), target[outside] - centre, check_finite=False)
            tries[place, inside] = across @ weights + centre
    return _best(tries, target)


def _best(tries: Array, target: Array) -> Array:
    errors = [float(((one - target) ** 2).mean()) for one in tries]
    return np.asarray(tries[int(np.argmin(errors))])


def kernel_scores(near: Array, target: Array, fold: Array, rng: np.random.Generator) -> Array:
    """Of ridge regressions on the resemblance exp(-d²/median d²) to `LANDMARKS` rows."""
    marks = near[np.sort(rng.permutation(len(near))[:LANDMARKS])]
    some = near[:: max(1, len(near) // 1000)]
    middle = max(float(np.median(_distances(some, marks))), 1e-12)
    alike = np.empty((len(near), len(marks)), np.float32)
    for start in range(0, len(near), 4096):
        alike[start : start + 4096] = np.exp(_distances(near[start : start + 4096], marks) / -middle)
    return ridge_scores(standardised(alike), target, fold)


def _distances(rows: Array, others: Array) -> Array:
    """Squared, (N, M)."""
    found: Array = rows @ (-2 * others.T)
    found += (rows**2).sum(1)[:, None]
    found += (others**2).sum(1)
    np.maximum(found, 0, out=found)
    return found


def neighbour_scores(near: Array, target: Array, fold: Array, rng: np.random.Generator) -> Array:
    """The mean target of the nearest rows of other folds; as many of them as have the least squared error."""
    listed = np.sort(rng.permutation(len(near))[:REFERENCE])
    others, theirs, aim = near[listed], fold[listed], target[listed]
    most = min(max(NEAREST), min(int((theirs != number).sum()) for number in range(fold.max() + 1)))
    if most < 1:
        return _means(target, fold)
    asked = [count for count in NEAREST if count <= most] or [most]
    tries = np.empty((len(asked), *target.shape), np.float32)
    for number in range(fold.max() + 1):
        inside, outside = np.flatnonzero(fold == number), np.flatnonzero(theirs != number)
        for start in range(0, len(inside), 1024):
            some = inside[start : start + 1024]
            apart = _distances(near[some], others[outside])
            close = np.argpartition(apart, most - 1, axis=1)[:, :most]
            close = np.take_along_axis(close, np.argsort(np.take_along_axis(apart, close, 1), axis=1, kind="stable"), 1)
            told = np.cumsum(aim[outside[close]], axis=1)
            for place, count in enumerate(asked):
                tries[place, some] = told[:, count - 1] / count
    return _best(tries, target)


def word_scores(words: Any, codes: Array, fold: Array, classes: int) -> Array:
    """Of complement naive Bayes on weighted words (CSR)."""
    found = np.zeros((len(codes), classes), np.float32)
    label = one_hot(codes, classes)
    sums = [np.asarray((words[fold == number].T @ label[fold == number]).T) for number in range(fold.max() + 1)]
    total = sum(sums)
    for number, own in enumerate(sums):
        seen = total - own
        without = seen.sum(0) - seen + 0.1  # smoothing; assumption
        weight = np.log(without) - np.log(without.sum(1, keepdims=True))
        weight /= np.abs(weight).sum(1, keepdims=True) / weight.shape[1]
        found[fold == number] = -(words[fold == number] @ weight.T)
    return found


def tree_scores(inputs: Array, target: Array, fold: Array, classes: int, seed: int) -> Array:
    """Of gradient-boosted trees: log probabilities of `classes`, or where that is 0 numbers (N, K)."""
    settings: dict[str, Any] = {"learning_rate": 0.15, "early_stopping": False, "random_state": seed}
    settings["max_iter"] = int(np.clip(200 // max(classes, 1), 15, 60))  # assumption: as many trees in all
    found = np.zeros((len(inputs), classes or target.shape[1]), np.float32)
    for number in range(fold.max() + 1):
        inside, outside = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        outside = outside[:: -(-len(outside) // TREE_ROWS)]
        if not classes:
            for column in range(target.shape[1]):
                model = Boosted(0, **settings).fit(inputs[outside], target[outside, column])
                found[inside, column] = model.predict(inputs[inside])
            continue
        present = np.unique(target[outside])
        shares = np.full((len(inside), classes), 1e-6)
        if len(present) == 1:
            shares[:, present] = 1.0
        else:
            model = Boosted(classes, **settings).fit(inputs[outside], target[outside])
            shares[:, model.classes_] = model.predict_proba(inputs[inside])
        found[inside] = np.log(np.maximum(shares, 1e-6))
    return found


def folds_of(units: Array, strata: Array, count: int, seed: int) -> Array:
    """int64 (N,): a fold for each row; equal `units` share one, each of the `strata` is spread over all.

    `units` are keys of contents, so the order of the rows does not matter.

    >>> import numpy as np
    >>> folds_of(np.array([7, 9, 7, 8], np.uint64), np.zeros(4, int), 2, 0).tolist()
    [0, 1, 0, 1]
    """
    from tunesmith.doctor.audits.features_keys import mixed

    names, first, of_row, sizes = np.unique(units, return_index=True, return_inverse=True, return_counts=True)
    # of a unit with several strata the smallest speaks, whichever row comes first
    lowest = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(lowest, of_row.reshape(-1), strata.astype(np.int64))
    draw = mixed(names + np.uint64(seed * 2 + 1))
    order = np.lexsort((draw, -sizes, lowest))
    fold = np.empty(len(names), np.int64)
    filled = np.zeros(count, np.int64)
    if sizes.max() * count <= len(units) // 20 or len(first) == len(units):
        fold[order] = (np.arange(len(names)) + int(draw[order[0]] % np.uint64(count))) % count
    else:  # large groups: each to the fold with the fewest rows
        for unit in order:
            fold[unit] = int(np.argmin(filled))
            filled[fold[unit]] += sizes[unit]
    return fold[of_row.reshape(-1)]


def agreed(scores: Sequence[Array]) -> Array:
    """The scores of several models in one array (M, N, K), each with a common deviation of 1."""
    stacked = np.stack(scores).astype(np.float32)
    stacked /= np.maximum(stacked.std((1, 2), keepdims=True), 1e-9)
    return stacked
