"""The gradient noise scale from squared norms at two batch sizes. McCandlish et al., arXiv:1812.06162, section 2.2 and appendix A.1.

Legend: G the gradient of the whole distribution, Σ the covariance of one sample's, B a number of samples, g_B the mean
gradient of B of them: E‖g_B‖² = ‖G‖² + tr Σ / B. `small` and `big` are ‖g_B‖² at two sizes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.records import DataError

CLEAR = 2.0  # standard errors above 0 that ‖G‖² should be, or the ratio says little; assumption


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseScale:
    """B_simple = tr Σ / ‖G‖² in samples: far below it batches are all noise, far above it more samples add nothing.

    `value` is the ratio of the means, `error` its standard error by the jackknife over pairs (nan for a single pair).
    Estimates are unbiased and so may be negative; they are given as they come, and `told` says what that means.
    """

    value: float
    error: float
    gradient: float  # the estimate of ‖G‖²
    gradient_error: float
    trace: float  # the estimate of tr Σ
    trace_error: float
    pairs: int
    passes: int = 0  # forward and backward passes over all samples

    @property
    def told(self) -> tuple[str, ...]:
        """What a reader must know before taking the number; empty where it is clear."""
        said = []
        if self.pairs == 1:
            said.append("one pair of batches has no standard error: give more batches")
        if self.gradient <= 0:
            said.append(
                f"the estimate of |G|² is {self.gradient:.3g}, not above 0: noise hides the gradient, the noise scale is "
                "larger than the samples seen; give more or larger batches"
            )
        elif self.gradient < CLEAR * self.gradient_error:
            said.append(f"|G|² = {self.gradient:.3g} ± {self.gradient_error:.2g} is not clear of 0: give more batches")
        if self.trace < 0:
            said.append(
                f"the estimate of tr Σ is {self.trace:.3g}, below 0: the samples differ less than chance shows; give more"
            )
        return tuple(said)


def two_batch_estimates(small: Any, big: Any, size_small: Any, size_big: Any) -> tuple[Any, Any]:
    """‖G‖² = (B b - S s) / (B - S) and tr Σ = (s - b) / (1/S - 1/B), each unbiased, from squared norms s, b at sizes S < B.

    Numbers or arrays of one shape, one entry a pair.

    >>> two_batch_estimates(32.25, 2.953125, 32, 512)  # ‖G‖² = 1, tr Σ = 1000
    (1.0, 1000.0)

    Source: arXiv:1812.06162, appendix A.1.
    """
    gradient = (size_big * big - size_small * small) / (size_big - size_small)
    return gradient, (small - big) / (1 / size_small - 1 / size_big)


def noise_scale_of(
    small: Sequence[float], big: Sequence[float], size_small: float | Sequence[float], size_big: float | Sequence[float]
) -> NoiseScale:
    """The noise scale from squared gradient norms of pairs: numerators and denominators are averaged, then divided.

    A mean of the ratios would be biased and dominated by the pairs whose ‖G‖² comes out near 0. Raises `DataError` for
    sequences of different lengths, or sizes that do not grow.
    Source: arXiv:1812.06162, appendix A.1.
    """
    norms = np.asarray(small, np.float64), np.asarray(big, np.float64)
    sizes = np.asarray(size_small, np.float64), np.asarray(size_big, np.float64)
    if norms[0].ndim != 1 or norms[0].shape != norms[1].shape or not len(norms[0]):
        raise DataError(
            f"squared norms of shape {norms[0].shape} and {norms[1].shape}: one small and one big a pair were expected"
        )
    if not (sizes[0] < sizes[1]).all() or not (sizes[0] > 0).all():
        raise DataError(
            "the two batch sizes of a pair are equal or fall: the big one was expected to be larger than the small one"
        )
    gradient, trace = two_batch_estimates(*norms, *sizes)
    pairs = len(gradient)
    return NoiseScale(
        value=_ratio(trace.mean(), gradient.mean()),
        error=_jackknife(trace, gradient),
        gradient=float(gradient.mean()),
        gradient_error=_standard_error(gradient),
        trace=float(trace.mean()),
        trace_error=_standard_error(trace),
        pairs=pairs,
    )


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else math.nan


def _standard_error(values: Any) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def _jackknife(numerator: Any, denominator: Any) -> float:
    """Of the ratio of sums, leaving out one pair at a time. Efron & Stein, Annals of Statistics 9 (1981)."""
    pairs = len(numerator)
    if pairs < 2:
        return math.nan
    left = np.array(
        [
            _ratio(top, bottom)
            for top, bottom in zip(numerator.sum() - numerator, denominator.sum() - denominator, strict=True)
        ]
    )
    return float(np.sqrt((pairs - 1) / pairs * ((left - left.mean()) ** 2).sum()))
