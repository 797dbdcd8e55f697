"""What cheap models reach on the same rows: the score that a training should at least come to. A tool of the checks.

A linear model, nearest neighbours and a small forest, cross-validated on at most `ROWS` training rows; the best of them counts.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.source import Source
from tunesmith.doctor.preflight.trace import tensors_in
from tunesmith.records.check import Inapplicable
from tunesmith.training.batch import Batch

Array = np.ndarray[Any, Any]
ROWS = 1000  # assumption: a share is known to 1.6 points
NUMBERS = 400_000  # of all rows together: of wide rows fewer are taken; assumption: a second or two
TARGETS = 20  # columns of numbers to predict; assumption: a cheap model of a picture is not cheap
WIDEST = 200_000  # numbers a row; assumption
TRIED = 100  # inputs at each split of a tree for numbers; assumption: wide rows cost seconds else
FOLDS = 3  # assumption: each fit sees two thirds
VOCABULARY = 2000  # tokens that are counted apart; assumption
FEWEST = 60  # rows; assumption: fewer say nothing about a score


@dataclass(frozen=True, slots=True)
class Attainable:
    """Cross-validated scores: share of right labels, the mean over the classes; or R²."""

    best: str  # the model that reached most
    score: float
    noise: float  # standard error of that score
    chance: float  # of the best constant answer, on the same rows
    rows: int
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def signal(self) -> bool:
        """Whether the inputs tell more than nothing: beyond three standard errors."""
        return self.score > self.chance + 3 * self.noise

    @property
    def gain(self) -> float:
        """How far above the best constant answer."""
        return self.score - self.chance


def attainable(bench: Bench) -> Attainable:
    """The reference of a bench, made once. Raises `Inapplicable` where there is none."""
    if bench.kind not in ("binary", "multiclass", "regression", "multi_regression"):
        raise Inapplicable(f"there is no cheap reference for a {bench.kind} task")
    return bench.kept("attainable", lambda: _attainable(bench))


def _attainable(bench: Bench) -> Attainable:
    inputs, target = flat_rows(bench)
    if len(inputs) < FEWEST:
        raise Inapplicable(f"{len(inputs)} rows are too few for a reference; {FEWEST} are needed")
    classed = bench.classed
    if not classed and target[0].size > TARGETS:
        raise Inapplicable(f"there is no cheap reference for {target[0].size} numbers to predict")
    if classed:
        target = target.argmax(1) if target.ndim == 2 and target.shape[1] > 1 else target.reshape(-1)
        target = np.unique(target, return_inverse=True)[1]
    found = {
        name: _cross_validated(model, inputs, target, classed, bench.seed) for name, model in _models(classed, bench)
    }
    best = max(found, key=lambda name: float(np.mean(found[name][0])))
    each, rows = found[best]
    chance = 1 / len(np.unique(target)) if classed else 0.0
    noise = float(each.std(ddof=1) / np.sqrt(rows))
    scores = {name: float(values.mean()) for name, (values, _) in found.items()}
    return Attainable(best, scores[best], noise, chance, rows, scores)


def flat_rows(bench: Bench) -> tuple[Array, Array]:
    """Training rows as the net sees them, (N, d), and their targets; infinite and missing numbers as the column's mean."""
    width = sum(each.numel() for each in tensors_in(bench.batch(1, "attainable").inputs))
    return _good(bench.batch(max(200, min(ROWS, NUMBERS // max(1, width))), "attainable"))


def _good(batch: Batch) -> tuple[Array, Array]:
    """Rows as vectors, with finite targets."""
    parts = list(batch.inputs.values()) if isinstance(batch.inputs, Mapping) else batch.inputs
    parts = parts if isinstance(parts, list | tuple) else [parts]
    flat = [_flat(part.detach().cpu(), batch.size) for part in parts]
    inputs = np.concatenate(flat, 1)
    if inputs.shape[1] > WIDEST:
        raise Inapplicable(f"{inputs.shape[1]} numbers a row are too many for a reference")
    inputs = np.where(np.isfinite(inputs), inputs, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a column without a number
        middle = np.nan_to_num(np.nanmean(inputs, 0))
    inputs = np.where(np.isnan(inputs), middle, inputs)
    target = batch.target.detach().cpu().numpy()
    good = np.isfinite(target.reshape(len(target), -1).astype(np.float64)).all(1)
    return inputs[good], target[good]


@dataclass(frozen=True, slots=True)
class Transferred:
    """Scores of a forest on training rows out of its bags, and on another part."""

    own: float
    other: float
    noise: float  # standard error of their difference
    chance: float
    rows: int
    others: int


def transferred(bench: Bench, part: Source, name: str) -> Transferred:
    """How a forest of the training rows does on another part. Raises `Inapplicable` where there is no such reference."""
    reference = attainable(bench)
    if any(not each.is_floating_point() for each in tensors_in(bench.batch(1, "attainable").inputs)):
        raise Inapplicable("tokens have places of their own in each part")
    inputs, target = flat_rows(bench)
    others, wanted = _good(bench.batch(ROWS, f"transferred.{name}", part))
    if others.shape[1] != inputs.shape[1] or len(others) < FEWEST or wanted.shape[1:] != target.shape[1:]:
        raise Inapplicable("the parts are of different width, or one is too small")
    classed = bench.classed
    model = dict(_models(classed, bench))["a forest"].set_params(bootstrap=True, oob_score=True, n_estimators=100)
    if classed:
        target, wanted = _labels(target), _labels(wanted)
    elif target.size == len(target):
        target, wanted = target.reshape(-1), wanted.reshape(-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that were in every bag
        model.fit(inputs, target)
    own = model.classes_[model.oob_decision_function_.argmax(1)] if classed else model.oob_prediction_
    mine, theirs = _scored(own, target, classed), _scored(model.predict(others), wanted, classed)
    noise = math.hypot(mine.std(ddof=1) / math.sqrt(len(mine)), theirs.std(ddof=1) / math.sqrt(len(theirs)))
    return Transferred(
        float(mine.mean()), float(theirs.mean()), max(noise, 1e-9), reference.chance, len(mine), len(theirs)
    )


def _labels(target: Array) -> Array:
    wide = target.argmax(1) if target.ndim == 2 and target.shape[1] > 1 else target.reshape(-1)
    return wide.astype(np.int64)


def _flat(values: Tensor, rows: int) -> Array:
    """One vector a row; of whole numbers in a row (tokens) how often each occurs."""
    wide = values.reshape(rows, -1)
    if values.is_floating_point() or values.dtype == torch.bool or values.dim() < 2 or wide.shape[1] < 2:
        return wide.double().numpy()
    places = np.unique(wide.numpy(), return_inverse=True)[1].reshape(rows, -1) % VOCABULARY
    counts = np.zeros((rows, min(VOCABULARY, int(places.max()) + 1)))
    np.add.at(counts, (np.arange(rows)[:, None], places), 1.0)
    return np.concatenate([counts, wide.double().numpy()[:, :64]], 1)


def _models(classed: bool, bench: Bench) -> list[tuple[str, Any]]:
    from sklearn.decomposition import PCA
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    about = {"n_estimators": 60, "random_state": bench.seed % 2**32, "n_jobs": 1}
    tried = min(1.0, TRIED / flat_rows(bench)[0].shape[1])  # trees for numbers try all inputs at each split, else
    forest = ExtraTreesClassifier(**about) if classed else ExtraTreesRegressor(max_features=tried, **about)
    linear = LogisticRegression(max_iter=200) if classed else RidgeCV(np.logspace(-3, 3, 7))
    near = KNeighborsClassifier(5) if classed else KNeighborsRegressor(5)
    few = PCA(0.99, svd_solver="full") if _wide(bench) else "passthrough"
    return [
        ("a linear model", make_pipeline(StandardScaler(), few, linear)),
        ("five nearest neighbours", make_pipeline(StandardScaler(), near)),
        ("a forest", forest),
    ]


def _wide(bench: Bench) -> bool:
    return bool(flat_rows(bench)[0].shape[1] > 100)


def _cross_validated(model: Any, inputs: Array, target: Array, classed: bool, seed: int) -> tuple[Array, int]:
    """What each held-out row scores, so that their mean is the score."""
    from sklearn.base import clone
    from sklearn.model_selection import KFold

    guesses = np.zeros(target.shape)
    for fitted, held in KFold(FOLDS, shuffle=True, random_state=seed % 2**32).split(inputs):
        if classed and len(np.unique(target[fitted])) == 1:
            guesses[held] = target[fitted][0]
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fits that did not converge, of constant columns
            fit = clone(model).fit(inputs[fitted], target[fitted])
        guesses[held] = fit.predict(inputs[held]).reshape(guesses[held].shape)
    return _scored(guesses, target, classed), len(target)


def _scored(guesses: Array, target: Array, classed: bool) -> Array:
    """A row's part of the score, (N,): its class counts as much as any other; or 1 - its squared error / the variance."""
    if classed:
        _, places, counts = np.unique(target, return_inverse=True, return_counts=True)
        return np.asarray((guesses == target) * len(target) / (len(counts) * counts[places]))
    wide = target.reshape(len(target), -1).astype(np.float64)
    wrong = ((guesses.reshape(wide.shape) - wide) ** 2).sum(1)
    return np.asarray(1.0 - wrong / max(float(((wide - wide.mean(0)) ** 2).sum(1).mean()), 1e-300))
