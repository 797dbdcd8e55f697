"""Laws that tie batch size, rate, rows and gradient noise together: plain numbers in, plain numbers out.

B batch, N rows of the training part, m momentum, G the gradient of the whole part, Σ the covariance of one sample's
gradient, S optimizer updates and E samples to a fixed loss.

Sources: McCandlish et al., arXiv:1812.06162 (noise scale and best rate, section 2.2; updates against samples, section
2.3; estimator, appendix A.1); Smith & Le, arXiv:1710.06451 (noise of SGD, best batch); Smith et al., arXiv:1711.00489
(batch growth for rate decay).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.records import RecipeError

MOST_OF_ROWS = 0.1  # arXiv:1711.00489: the batch grows until it is about a tenth of the rows


@dataclass(frozen=True, slots=True)
class NoiseScale:
    """B_simple = tr(Σ) / |G|², in samples; `value` is None where the two estimates give no positive ratio."""

    gradient: float  # |G|², unbiased: may come out negative
    trace: float  # tr(Σ), unbiased: may come out negative
    measurements: int

    @property
    def value(self) -> float | None:
        """The noise scale in samples."""
        return self.trace / self.gradient if self.gradient > 0 and self.trace > 0 else None

    @property
    def because(self) -> str:
        """One sentence: the number, or why there is none."""
        if self.value is not None:
            return (
                f"noise scale {self.value:.3g} samples = tr(cov) {self.trace:.3g} / |G|^2 {self.gradient:.3g} "
                f"({self.measurements} measurements)"
            )
        which = "|G|^2" if self.gradient <= 0 else "tr(cov)"
        number = self.gradient if self.gradient <= 0 else self.trace
        return (
            f"the noise scale is not known: the estimate of {which} is {number:.3g} after {self.measurements} "
            "measurements, which noise alone can do; take more measurements or a larger big batch"
        )


def noise_scale(
    small_norm2: float | Sequence[float], big_norm2: float | Sequence[float], small: int, big: int
) -> NoiseScale:
    """|G|² = (B g_B - b g_b) / (B - b) and tr(Σ) = (g_b - g_B) / (1/b - 1/B) from squared gradient norms g at two batches.

    `small_norm2` and `big_norm2` are squared norms |g|² of mean gradients over `small` and `big` samples: one each, or
    one for each measurement. Numerators and denominators are averaged each for itself before the ratio is taken: the
    mean of ratios is biased. Each estimate is unbiased, so each can be negative; `because` tells. Raises `RecipeError`
    for batches that do not differ, and for norms that are negative or not finite.
    Source: arXiv:1812.06162, appendix A.1.
    Use: to choose a batch and to know where more of it stops paying; not from one pair of norms, which is mostly noise.

    >>> noise_scale(32.25, 2.953125, 32, 512).value
    1000.0
    """
    if not 0 < small < big:
        raise RecipeError(f"noise_scale got batches {small} and {big}; give 0 < small < big, for example 32 and 512")
    smalls, bigs = _listed(small_norm2), _listed(big_norm2)
    wrong = [norm2 for norm2 in (*smalls, *bigs) if not 0 <= norm2 < math.inf]
    if wrong or not smalls or not bigs:
        came = f"{wrong[0]!r}" if wrong else "no norm at all"
        raise RecipeError(f"noise_scale got {came}; squared gradient norms are finite and not negative")
    at_small, at_big = math.fsum(smalls) / len(smalls), math.fsum(bigs) / len(bigs)
    gradient = (big * at_big - small * at_small) / (big - small)
    trace = (at_small - at_big) / (1 / small - 1 / big)
    return NoiseScale(gradient, trace, min(len(smalls), len(bigs)))


def _listed(values: float | Sequence[float]) -> list[float]:
    return [float(values)] if isinstance(values, (int, float)) else [float(value) for value in values]


def best_rate(batch: float, noise_scale: float, largest: float) -> float:
    """η_opt(B) = η_max / (1 + B_noise / B): the rate that gains most in one SGD step of batch B.

    `largest` is the best rate for a batch without noise. Far below the noise scale it grows as B, far above not at all.
    Source: arXiv:1812.06162, section 2.2.

    >>> best_rate(1000, noise_scale=1000, largest=1.0)
    0.5
    """
    _positive(batch=batch, noise_scale=noise_scale, largest=largest)
    return largest / (1 + noise_scale / batch)


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """(S / S_min - 1)(E / E_min - 1) = 1: updates against samples to the same loss."""

    steps: float  # S_min: updates with an endless batch
    examples: float  # E_min: samples with the smallest batch

    @property
    def critical(self) -> float:
        """B_crit = E_min / S_min: there both are twice their least."""
        return self.examples / self.steps

    def steps_at(self, batch: float) -> float:
        """S = S_min (1 + B_crit / B)."""
        return self.steps * (1 + self.critical / batch)

    def examples_at(self, batch: float) -> float:
        """E = E_min (1 + B / B_crit)."""
        return self.examples * (1 + batch / self.critical)


def critical_batch(runs: Sequence[tuple[float, float]]) -> Tradeoff:
    """S_min and E_min from runs (S updates, E samples) that reached one loss with different batches, each well tuned.

    The law is S_min / S + E_min / E = 1, linear in the two unknowns: exact for two runs, least squares for more.
    Raises `RecipeError` for fewer than two batches, and where the runs fit no positive S_min and E_min.
    Source: arXiv:1812.06162, section 2.3.

    >>> round(critical_batch([(2000, 64_000), (1100, 352_000)]).critical, 9)
    32.0
    """
    if len(runs) < 2:
        raise RecipeError(f"critical_batch got {len(runs)} runs; give (updates, samples) of at least two batches")
    for steps, examples in runs:
        _positive(updates=steps, samples=examples)
    a = [(1 / steps, 1 / examples) for steps, examples in runs]
    ss, se, ee = (math.fsum(row[i] * row[j] for row in a) for i, j in ((0, 0), (0, 1), (1, 1)))
    rs, re = (math.fsum(row[i] for row in a) for i in (0, 1))
    determinant = ss * ee - se * se
    if determinant <= 1e-12 * ss * ee:  # the rows are parallel: all of one batch
        raise RecipeError("critical_batch got runs of one batch only; give runs whose batches differ")
    least = Tradeoff((rs * ee - re * se) / determinant, (re * ss - rs * se) / determinant)
    if least.steps <= 0 or least.examples <= 0:
        raise RecipeError(
            f"the runs fit no trade-off (S_min {least.steps:.3g}, E_min {least.examples:.3g}): more samples should buy fewer "
            "updates; check that each run was tuned for its batch and reached the same loss"
        )
    return least


def sgd_noise(lr: float, rows: int, batch: float, momentum: float = 0.0) -> float:
    """g = lr N / (B (1 - m)): the scale of the random walk that SGD makes, for B far below N.

    Source: arXiv:1710.06451.

    >>> round(sgd_noise(0.1, rows=50_000, batch=125, momentum=0.9), 9)
    400.0
    """
    _positive(lr=lr, rows=rows, batch=batch)
    return lr * rows / (batch * _steady(momentum))


def best_batch(lr: float, rows: int, noise: float, momentum: float = 0.0) -> float:
    """B_opt = lr N / (g (1 - m)): at a fixed rate the batch that gives the noise `noise` known to be best.

    It grows as the rate and as the rows. The inverse of `sgd_noise`.
    Source: arXiv:1710.06451.
    Use: where only the batch may move; where the rate may move too, scale the rate (`scale_rate`) and take the batch for
    its speed.

    >>> round(best_batch(0.2, rows=50_000, noise=400.0, momentum=0.9), 9)
    250.0
    """
    _positive(lr=lr, rows=rows, noise=noise)
    return lr * rows / (noise * _steady(momentum))


@dataclass(frozen=True, slots=True)
class Grown:
    """The batch that stands for a decay of the rate, and whether the two are equivalent there."""

    batch: int
    equivalent: bool
    because: str


def grown_batch(batch: int, factor: float, *, rows: int | None = None, critical: float | None = None) -> Grown:
    """B' = B / f keeps lr N / B' equal to f lr N / B: batch growth in place of a rate decay by `factor`.

    Equivalent only while the batch lies far below the rows (a tenth of them at most) and below the critical batch; where
    it does not, or where neither is known, `because` says so. Raises `RecipeError` for a factor outside (0, 1].
    Source: arXiv:1711.00489.
    Use: where a larger batch is faster and the gradient is mostly noise; beyond the limits decay the rate.

    >>> grown_batch(128, 0.2, rows=50_000).batch
    640
    """
    if not 0 < factor <= 1:
        raise RecipeError(f"grown_batch got a factor of {factor!r}; a decay of the rate lies in (0, 1]")
    _positive(batch=batch)
    grown = round(batch / factor)
    limits = [("a tenth of the rows", rows * MOST_OF_ROWS)] if rows is not None else []
    limits += [("the critical batch", critical)] if critical is not None else []
    beyond = [f"{name} ({limit:g})" for name, limit in limits if grown > limit]
    if beyond:
        return Grown(grown, False, f"batch {grown} lies above {' and '.join(beyond)}: decay the rate instead")
    if not limits:
        return Grown(grown, False, f"batch {grown}: equivalent below a tenth of the rows, whose number was not given")
    below = " and ".join(f"{name} ({limit:g})" for name, limit in limits)
    return Grown(grown, True, f"batch {batch} -> {grown} for a rate decay by {factor:g}, below {below}")


def _steady(momentum: float) -> float:
    if not 0 <= momentum < 1:
        raise RecipeError(f"the momentum is {momentum!r}; it lies in [0, 1)")
    return 1 - momentum


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise RecipeError(f"{name.replace('_', ' ')} is {value!r}; a finite number above 0 was expected")
