"""Scores from the class probabilities of a classifier. Salimans et al., arXiv:1606.03498, section 4.

Legend: p(y|x) the probabilities of a generated sample, p(y) their mean, q(y) the shares of the classes in the data.
"""

import math
from typing import Any

import numpy as np

from tunesmith.generative.measures import MEASURES
from tunesmith.generative.measures.class_histogram import divergence
from tunesmith.records import DataError

Array = np.ndarray[Any, Any]
TOLERANCE = 2e-3  # assumption: half-precision probabilities of up to a thousand classes sum to 1 within it


@MEASURES.add("inception_score")
def inception_score(probabilities: Any) -> float:
    """exp(E KL(p(y|x) ‖ p(y))), from 1 to the number of classes.

    Shape: `probabilities` (N, C) of any classifier; those of Inception make it the score of that name. High where each sample is
    surely of some class and all classes come. It does not know the data: classes that are rare there should be rare here, and
    a generator of one picture a class has the highest score. It rises with N towards its limit: compare at one N.

    Raises `DataError` for what are no probabilities, such as logits.
    Use: beside the divergences of the classes, not alone.
    Source: Salimans et al., arXiv:1606.03498, section 4; limits: Barratt & Sharma, arXiv:1801.01973.

    >>> inception_score([[1.0, 0.0], [0.0, 1.0]]), inception_score([[0.5, 0.5], [0.5, 0.5]])
    (2.0, 1.0)
    """
    return math.exp(_information(_probabilities(probabilities, "probabilities")))


@MEASURES.add("mode_score")
def mode_score(probabilities: Any, real: Any) -> float:
    """exp(E KL(p(y|x) ‖ p(y)) - KL(p(y) ‖ q(y))): the inception score, less what the classes of the data are missed by.

    Shapes: `probabilities` (N, C) of generated samples; `real` (C,), the shares or counts of the classes in the data, or (M, C),
    the probabilities of real samples, whose mean is taken.

    q stands in the second term alone. The other reading of the paper's formula, with q in both terms, equals the inception
    score whatever q is, and so cannot see a missing mode; many copies of it do.

    Raises `DataError` for what are no probabilities, or of other classes.
    Use: where the classes of the data are of unequal size.
    Source: Che et al., arXiv:1612.02136; in this reading Xu et al., arXiv:1806.07755.

    >>> half = [[1.0, 0.0], [0.0, 1.0]]
    >>> mode_score(half, [0.5, 0.5]), round(mode_score(half, [0.9, 0.1]), 3)
    (2.0, 1.2)
    """
    given = _probabilities(probabilities, "probabilities")
    told = np.asarray(real, dtype=np.float64)
    shares = _probabilities(told, "real").mean(axis=0) if told.ndim == 2 else told
    if shares.shape != (given.shape[1],) or not np.isfinite(shares).all() or (shares < 0).any() or not shares.any():
        raise DataError(
            f"the classes of the data came with shape {told.shape}; expected {given.shape[1]} shares of 0 or more, as many as "
            "the probabilities have columns"
        )
    return math.exp(_information(given) - divergence(given.mean(axis=0), shares / shares.sum()))


def _information(given: Array) -> float:
    """E KL(p(y|x) ‖ p(y)) = E Σ p(y|x) ln p(y|x) - Σ p(y) ln p(y)."""
    mean = given.mean(axis=0)
    return max(float(_negative_entropy(given).mean() - _negative_entropy(mean)), 0.0)


def _negative_entropy(p: Array) -> Array:
    """Σ p ln p over the last axis, with 0 ln 0 = 0."""
    return np.asarray((p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1))


def _probabilities(given: Any, what: str) -> Array:
    found = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given, dtype=np.float64)
    if found.ndim != 2 or not len(found) or found.shape[1] < 2:
        raise DataError(f"{what} came with shape {found.shape}; expected (N, C), a probability for each of C classes")
    sums = found.sum(axis=1)
    if not np.isfinite(found).all() or (found < 0).any() or np.abs(sums - 1).max() > TOLERANCE:
        raise DataError(
            f"{what} hold numbers from {found.min():.3g} to {found.max():.3g} whose rows sum to {sums.min():.3g} to "
            f"{sums.max():.3g}; expected probabilities that sum to 1: of logits take softmax(dim=1)"
        )
    return np.asarray(found / sums[:, None])
