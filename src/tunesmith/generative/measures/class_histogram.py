"""Labels of generated samples beside labels of real ones: correlation of the two histograms, and divergence both ways.

The labels of generated samples come from a classifier that was trained on the real ones.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.generative.measures import MEASURES
from tunesmith.records import DataError, RecipeError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergences:
    """KL both ways, in nats, with the smoothing they were taken with.

    `generated_real` = KL(generated ‖ real) is large where classes are made that the data hardly have; `real_generated` =
    KL(real ‖ generated) is large, or infinite, where classes of the data are missing.
    """

    generated_real: float
    real_generated: float
    smoothing: float


@MEASURES.add("class_correlation")
def class_correlation(generated: Any, real: Any) -> float | None:
    """Pearson's correlation of two histograms (C,), counts or shares; None where one of them is constant.

    Over the classes, so that 1 says "the same up to scale and offset", and not "equal": see the divergences beside it. Where
    the real classes are all equally many it is undefined, and with nearly equal ones it is noise.

    Raises `DataError` for histograms that do not fit.
    Use: data with classes of unequal size.
    Source: a definition.

    >>> class_correlation([1, 2, 3], [2, 4, 6]), class_correlation([1, 2, 3], [5, 5, 5])
    (1.0, None)
    """
    one, other = _histograms(generated, real)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    away, off = one - one.mean(), other - other.mean()
    return float(np.clip(away @ off / np.sqrt((away @ away) * (off @ off)), -1, 1))


@MEASURES.add("class_divergence")
def class_divergence(generated: Any, real: Any, *, smoothing: float = 0.0) -> Divergences:
    """KL(p ‖ q) = Σ p ln(p / q) both ways, p and q the shares of the classes.

    Histograms (C,) as counts or shares. `smoothing` is added to each of the numbers given before they are divided by their
    sum; without it a class that one side lacks makes one of the two infinite, which is the truth, and with it the value
    depends on the smoothing: tell it. Give counts where you smooth, for 1 added to a share drowns it.

    Raises `DataError` for histograms that do not fit, `RecipeError` for a smoothing below 0.
    Use: which way round is the collapse? Of K equal classes of which one is left, `generated_real` is ln K.
    Source: Kullback & Leibler, Annals of Mathematical Statistics 22 (1951) 79.

    >>> class_divergence([8, 0], [4, 4])
    Divergences(generated_real=0.6931471805599453, real_generated=inf, smoothing=0.0)
    """
    if not (smoothing >= 0 and np.isfinite(smoothing)):
        raise RecipeError(f"smoothing = {smoothing!r}: a number of 0 or more was expected")
    one, other = (each + smoothing for each in _histograms(generated, real))
    p, q = one / one.sum(), other / other.sum()
    return Divergences(generated_real=divergence(p, q), real_generated=divergence(q, p), smoothing=smoothing)


def label_counts(labels: Any, classes: int) -> Array:
    """How many rows each of the classes 0 to C - 1 has, (C,). Raises `DataError`.

    >>> label_counts([0, 2, 2], 3).tolist()
    [1, 0, 2]
    """
    given = np.asarray(labels)
    if given.ndim != 1 or given.dtype.kind not in "iu" or not len(given):
        raise DataError(f"labels came as {given.dtype} of shape {given.shape}; expected class numbers (N,)")
    if given.min() < 0 or given.max() >= classes:
        wrong = int(given.min() if given.min() < 0 else given.max())
        raise DataError(f"there is a label {wrong}; expected numbers from 0 to {classes - 1}")
    return np.bincount(given, minlength=classes)


def divergence(p: Array, q: Array) -> float:
    """Σ p ln(p / q) in nats of two shares (C,); infinite where q lacks what p has.

    >>> divergence(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    0.6931471805599453
    """
    there = p > 0
    if (q[there] == 0).any():
        return float("inf")
    return max(float((p[there] * np.log(p[there] / q[there])).sum()), 0.0)


def _histograms(generated: Any, real: Any) -> tuple[Array, Array]:
    found = [np.asarray(one, dtype=np.float64) for one in (generated, real)]
    for one, what in zip(found, ("generated", "real"), strict=True):
        if one.ndim != 1 or len(one) < 2 or not np.isfinite(one).all() or (one < 0).any() or not one.any():
            raise DataError(
                f"the histogram of {what} samples came with shape {one.shape}; expected (C,) of two classes or more, counts or "
                "shares of 0 or more and not all 0"
            )
    if found[0].shape != found[1].shape:
        raise DataError(
            f"there are {len(found[0])} generated and {len(found[1])} real classes; give both the same ones"
        )
    return found[0], found[1]
