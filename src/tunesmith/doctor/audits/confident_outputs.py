"""What fast models say of each row without having seen it: calibrated class probabilities, or numbers.

Several models are pooled: p_c ∝ exp(Σ_m a_m s_mc + b_c), with one weight a model and one offset a class, by maximum
likelihood: the logarithmic pool of Genest & Zidek, Combining Probability Distributions (1986), section 3, calibrated as in
Guo et al., arXiv:1706.04599, section 4.2. So few numbers are fitted that a row's own label does not show through.
"""

from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.features import content_keys, features, sparse_words, tree_inputs, whole_features
from tunesmith.doctor.audits.features_keys import row_keys
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.reference_score_models import (
    agreed,
    folds_of,
    kernel_scores,
    neighbour_scores,
    one_hot,
    principal,
    ridge_scores,
    standardised,
    tree_scores,
    word_scores,
)
from tunesmith.doctor.audits.target_constant import WIDE
from tunesmith.records.check import Inapplicable

LEAST = 10  # rows with a target below which nothing is said; assumption
FEW, FOLDS = 1000, 5  # below that many rows, twice as many folds; assumption
SECONDS_A_ROW = (
    3e-4  # 60 000 pictures of Fashion-MNIST took 23.7 s of processor on one thread, of which 15 s here; rounded up
)
SLICES = 10  # strata of a regression's target; assumption


@dataclass(frozen=True, slots=True)
class OutOfSample:
    """Of the rows of `material.whole` that have a target; `places` says which."""

    places: Array  # int64 (N,), in `material.whole`
    scores: dict[str, Array]  # of each model, (N, K)
    fold: Array
    target: Array  # int64 codes (N,), or float64 (N, K)
    classes: int  # 0 where the target is numbers
    said: Array  # the pool: probabilities (N, C) or numbers (N, K)


def out_of_sample(material: Material, part: str = "train") -> OutOfSample:
    """Made once a part: of all rows that are trained on or divided off from them, or of another part judged by itself.

    Raises `Inapplicable` where there is no target, or too few rows of it.
    """
    return material.kept(f"out of sample {part}", lambda: _made(material, part))


def judged_view(material: Material, part: str) -> View:
    """The rows that `OutOfSample.places` counts."""
    return material.whole if part == "train" else material.parts[part]


def _made(material: Material, part: str) -> OutOfSample:
    view = judged_view(material, part)
    classes, target, there = _target(material, view)
    places = np.flatnonzero(there)
    if len(places) < LEAST:
        raise Inapplicable(f"{len(places)} rows have a target; expected {LEAST} or more")
    material.clock.need(len(places) * SECONDS_A_ROW)
    keys = content_keys(material, view)
    places = places[np.lexsort((row_keys({"y": target[places]}), keys[places]))]  # an order that the file does not give
    target, keys = target[places], keys[places]
    units = keys if view.group is None else row_keys({"group": view.group[places]})
    several = len(np.unique(units))
    if several < 2:
        raise Inapplicable("all rows are equal, or of one group: none can be judged by others")
    count = min(FOLDS * (2 if len(places) < FEW else 1), several)
    fold = folds_of(units, target if classes else _slices(target), count, material.seed)
    scores = _judged(material, part, places, target, fold, classes)
    said = pooled(list(scores.values()), target, classes) if classes else blended(list(scores.values()), target)
    back = np.argsort(places, kind="stable")
    scores = {name: one[back] for name, one in scores.items()}
    return OutOfSample(places[back], scores, fold[back], target[back], classes, said[back])


def _target(material: Material, view: View) -> tuple[int, Array, Array]:
    material.need_target("binary", "multiclass", "regression", "multi_regression")
    if material.classed and view.codes is not None:
        return len(material.classes), view.codes, view.codes >= 0
    if material.kind in ("binary", "multiclass") or view.target is None or view.target.dtype.kind not in "fiu":
        raise Inapplicable("the target is neither classes nor numbers")
    numbers = view.target.reshape(len(view), -1).astype(np.float64)
    if numbers.shape[1] > WIDE:
        raise Inapplicable(f"the target is one thing of {numbers.shape[1]} numbers")
    return 0, numbers, np.asarray(np.isfinite(numbers).all(1))


def _slices(target: Array) -> Array:
    """Strata of equal numbers of rows, by the first target."""
    edges = np.quantile(target[:, 0], np.arange(1, SLICES) / SLICES)
    return np.searchsorted(edges, target[:, 0])


def _judged(material: Material, part: str, places: Array, target: Array, fold: Array, classes: int) -> dict[str, Array]:
    view = judged_view(material, part)
    seen = whole_features(material) if part == "train" else features(material)[part]
    rows = standardised(seen[places])
    near = principal(seen[places])
    aim = one_hot(target, classes) if classes else standard_target(target)
    found = {
        "linear": ridge_scores(rows, aim, fold),
        "kernel": kernel_scores(near, aim, fold, material.rng("kernel")),
        "neighbours": neighbour_scores(near, aim, fold, material.rng("neighbours")),
    }
    del rows
    words = sparse_words(material, view) if classes else None
    if words is not None:
        found["words"] = word_scores(words[places], target, fold, classes)
    plain = tree_inputs(material, view)
    if plain is not None:
        found["trees"] = tree_scores(plain[places], target if classes else aim, fold, classes, material.seed)
    return found


def standard_target(target: Array) -> Array:
    """Numbers with median 0 and a robust deviation of 1, bent beyond 3 of them, so that wild targets do not lead."""
    middle = np.median(target, axis=0)
    low, high = np.quantile(target, [0.25, 0.75], axis=0)
    spread = np.where(high > low, (high - low) / 1.349, np.where(target.std(0) > 0, target.std(0), 1.0))
    found = (target - middle) / spread
    far = np.abs(found)
    bent = np.where(far > 3, 3 + np.log1p(np.maximum(far - 3, 0)), far)
    return np.asarray(np.sign(found) * bent, np.float32)


def pooled(scores: list[Array], codes: Array, classes: int) -> Array:
    """Probabilities (N, C) from the scores (N, C) of several models."""
    from scipy.optimize import minimize

    models = agreed(scores)
    label = one_hot(codes, classes)
    count, many = len(codes), len(models)

    def loss(weights: Array) -> tuple[float, Array]:
        said = shares(np.tensordot(weights[:many].astype(np.float32), models, 1) + weights[many:].astype(np.float32))
        miss = (said - label) / count
        slope = np.concatenate([np.tensordot(models, miss, ((1, 2), (0, 1))), miss.sum(0)]).astype(np.float64)
        likely = -float(np.log(np.maximum(said[np.arange(count), codes], 1e-12)).mean(dtype=np.float64))
        return likely + float((weights**2).sum()) / count / 100, slope + 2 * weights / count / 100

    bounds = [(0, None)] * many + [(None, None)] * classes  # a model that is worse than none has no say
    start = np.concatenate([np.full(many, 0.5), np.zeros(classes)])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}).x
    return shares(np.tensordot(best[:many].astype(np.float32), models, 1) + best[many:].astype(np.float32))


def shares(logits: Array) -> Array:
    """Softmax."""
    found = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(found / found.sum(1, keepdims=True))


def blended(scores: list[Array], target: Array) -> Array:
    """Numbers (N, K): the models' standard targets with weights that add to 1, by least absolute error, turned back."""
    from scipy.optimize import nnls

    aim = standard_target(target)
    found = np.empty(target.shape, np.float64)
    for column in range(target.shape[1]):
        told = np.stack([one[:, column] for one in scores], axis=1).astype(np.float64)
        weights = nnls(np.vstack([told, 1e3 * np.ones(told.shape[1])]), np.append(aim[:, column], 1e3))[0]
        found[:, column] = told @ weights
    return found
