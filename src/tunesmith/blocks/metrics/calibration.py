"""Probabilities that mean what they say. Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599.

z logits, T temperature, b = 1/T. The negative log likelihood of softmax(b z) is convex in b: its slope is the mean of
E_p[z] - z_y, its curvature that of Var_p[z], so one root is looked for, and nothing can be missed.
"""

from typing import NamedTuple

import numpy as np

from tunesmith.blocks.metrics.judged import CLASS_KINDS, Array
from tunesmith.records import DataError

COLDEST, HOTTEST = 0.05, 20.0  # assumption: beyond them the validation part, not the net, is at fault
BINS = 15  # section 2


class Temperature(NamedTuple):
    """What was fitted: logits are divided by `value`; the losses in nats, the errors as in eq. 3, before and after."""

    value: float
    nll_before: float
    nll_after: float
    error_before: float
    error_after: float


def probabilities(kind: str, logits: Array, temperature: float = 1.0) -> Array:
    """Softmax over classes (N, C), or a sigmoid for each label (N, K), of logits / temperature, in double precision."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if kind in CLASS_KINDS:
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    return np.asarray(np.exp(-np.logaddexp(0.0, -scaled)))


def fit_temperature(kind: str, logits: Array, target: Array, weight: Array | None = None) -> Temperature:
    """The temperature with the least negative log likelihood on these rows, up to 20.

    Rows that are all right ask for one near 0, which would promise that nothing is ever wrong: there it stays 1.
    """
    scores, truth = np.asarray(logits, dtype=np.float64), np.asarray(target)
    if not len(scores) or not np.isfinite(scores).all():
        raise DataError("a temperature needs at least one row, and logits that are numbers; check the net's outputs")
    each = np.ones(len(scores)) if weight is None else np.asarray(weight, dtype=np.float64)
    each = each / each.sum()
    value = 1 / _root(kind, scores, truth, each)
    before, after = (_nll(kind, scores / heat, truth, each) for heat in (1.0, value))
    if not after < before or value <= COLDEST:
        value, after = 1.0, before
    errors = [calibration_error(kind, probabilities(kind, scores, heat), truth, each) for heat in (1.0, value)]
    return Temperature(value, before, after, *errors)


def _root(kind: str, logits: Array, target: Array, weight: Array) -> float:
    """Newton's method on the slope, kept between two ends of which one is too cold and one too hot."""
    low, high = 1 / HOTTEST, 1 / COLDEST
    if _slope(kind, logits, target, weight, low)[0] >= 0:
        return low
    if _slope(kind, logits, target, weight, high)[0] <= 0:
        return high
    inverse = 1.0
    for _ in range(100):
        slope, curvature = _slope(kind, logits, target, weight, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        step = inverse - slope / curvature if curvature > 0 else low
        following = step if low < step < high else (low + high) / 2
        if abs(following - inverse) <= 1e-10 * inverse:
            return float(following)
        inverse = following
    return float(inverse)


def _slope(kind: str, logits: Array, target: Array, weight: Array, inverse: float) -> tuple[float, float]:
    """First and second derivative of the loss by b."""
    share = probabilities(kind, logits, 1 / inverse)
    if kind in CLASS_KINDS:
        expected = (share * logits).sum(axis=1)
        own = logits[np.arange(len(logits)), target]
        spread = (share * (logits - expected[:, None]) ** 2).sum(axis=1)
        return float(weight @ (expected - own)), float(weight @ spread)
    slope = logits * (share - target)
    spread = logits**2 * share * (1 - share)
    return float(weight @ _by_row(slope)), float(weight @ _by_row(spread))


def _nll(kind: str, logits: Array, target: Array, weight: Array) -> float:
    if kind in CLASS_KINDS:
        highest = logits.max(axis=1)
        total = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
        return float(weight @ (total - logits[np.arange(len(logits)), target]))
    return float(weight @ _by_row(np.logaddexp(0.0, logits) - logits * target))


def _by_row(values: Array) -> Array:
    return np.asarray(values.reshape(len(values), -1).mean(axis=1))


def calibration_error(kind: str, probability: Array, target: Array, weight: Array | None = None) -> float:
    """Expected calibration error, eq. 3: Σ |accuracy - confidence| over 15 bins of equal width, by their share of the rows.

    For classes the confidence is that of the likeliest class; for labels each answer counts, by the probability of a yes.
    """
    given = np.asarray(probability, dtype=np.float64)
    each = np.ones(len(given)) if weight is None else np.asarray(weight, dtype=np.float64)
    if kind in CLASS_KINDS:
        confidence, right = given.max(axis=1), given.argmax(axis=1) == target
    else:
        confidence, right = given.ravel(), np.asarray(target).ravel() > 0.5
        each = np.repeat(each, given.size // len(given))
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)  # ((m - 1)/M, m/M]
    gap = np.bincount(bins, each * (right - confidence), minlength=BINS)
    return float(np.abs(gap).sum() / each.sum())
