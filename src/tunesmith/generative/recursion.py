"""What training on one's own output does to simple models, in closed form: what a simulation is to be compared with.

Legend: n generations after the one on real data, m samples in each; d features, T rows and noise variance σ² of a regression.
Every generation is fitted to draws from the one before (replaced), or to all draws so far (accumulated).
Shumailov et al., arXiv:2305.17493; Gerstgrasser et al., arXiv:2404.01413; Dohmatob et al., arXiv:2402.07712.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import digamma, gammaln

from tunesmith.records import RecipeError

Estimator = Literal["unbiased", "mle"]
Designs = Literal["fresh", "shared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refitted:
    """Expectations of the fitted mean μ and variance v; of the true law the mean is 0.

    With the unbiased estimator the expected variance stays for ever, though every run's goes to 0: judge by `log_variance`, or by
    the median of the runs. `risk` = E μ² + E (√v - σ_0)², the squared Wasserstein distance.
    """

    variance: float
    deviation: float
    log_variance: float
    mean_square: float
    risk: float


def gaussian_replaced(n: int, m: int, variance: float = 1.0, *, estimator: Estimator = "unbiased") -> Refitted:
    """A Gaussian refitted n times to m draws from itself.

    v_{i+1} = v_i χ²_{m-1} / (m - 1), or over m for "mle". Raises `RecipeError` for fewer than 2 draws or a variance not above 0.

    >>> found = gaussian_replaced(100, 10)
    >>> found.variance, round(found.deviation, 4), round(found.log_variance, 2)
    (1.0, 0.0625, -11.52)
    """
    _counts(n=n)
    if m < 2 or not variance > 0:
        raise RecipeError(
            f"{m!r} rows a generation with a variance of {variance!r}: 2 draws or more and a variance above 0 were expected"
        )
    shrink = 1.0 if estimator == "unbiased" else 1 - 1 / m
    root = math.sqrt(2 / (m - 1)) * math.exp(gammaln(m / 2) - gammaln((m - 1) / 2)) * math.sqrt(shrink)
    drift = float(digamma((m - 1) / 2)) + math.log(2 / (m - 1)) + math.log(shrink)
    fitted, deviation = variance * shrink**n, math.sqrt(variance) * root**n
    drawn = variance * n / m if shrink == 1 else variance * (1 - shrink**n)  # Σ v_i / m over the generations before
    return Refitted(
        variance=fitted,
        deviation=deviation,
        log_variance=math.log(variance) + n * drift,
        mean_square=drawn,
        risk=drawn + fitted - 2 * math.sqrt(variance) * deviation + variance,
    )


def gaussian_accumulated(n: int | None, m: int, variance: float = 1.0) -> float:
    """v_0 Π_{i=1..n} (1 - 1 / i² m): the expected variance where all n m draws are kept and fitted by maximum likelihood.

    Without n the limit, v_0 sin(π/√m) / (π/√m): it does not collapse.

    >>> round(gaussian_accumulated(10, 10), 4), round(gaussian_accumulated(None, 10), 4)
    (0.8515, 0.8434)
    """
    _counts(m=m)
    if n is None:
        angle = math.pi / math.sqrt(m)
        return variance * math.sin(angle) / angle
    _counts(n=n)
    return variance * float(np.prod(1 - 1 / (np.arange(1, n + 1) ** 2 * m)))


def regression_replaced(n: int, features: int, rows: int, noise: float = 1.0) -> float:
    """n σ² d / (T - d - 1): the excess error |w_n - w*|² of least squares fitted n times, each to labels of the one before.

    For normal features and T > d + 1. Raises `RecipeError` for fewer rows.

    >>> round(regression_replaced(10, 10, 50), 4)
    2.5641
    """
    _counts(n=n)
    return n * noise * features / _freedom(features, rows)


def regression_accumulated(
    n: int | None, features: int, rows: int, noise: float = 1.0, *, designs: Designs = "fresh"
) -> float:
    """The same where the labels of all generations are kept: bounded.

    Of "fresh" features in each generation σ² d Σ 1 / (i (i T - d - 1)); of "shared" ones σ² d / (T - d - 1) Σ 1 / i², whose limit,
    without n, is π² / 6 of the first error, and a bound for both.

    >>> [round(regression_accumulated(n, 10, 50, designs="shared"), 4) for n in (1, 10, None)]
    [0.2564, 0.3974, 0.4218]
    """
    free = _freedom(features, rows)
    if n is None:
        return noise * features / free * math.pi**2 / 6
    _counts(n=n)
    step = np.arange(1, n + 1)
    if designs == "shared":
        return float(noise * features / free * (1 / step**2).sum())
    return float(noise * features * (1 / (step * (step * rows - features - 1))).sum())


def regression_overparametrised(n: int, features: int, rows: int, weight_square: float = 1.0) -> float:
    """|w*|² (1 - (T / d)^n): labels without noise and fewer rows than features, the shortest solution each time.

    >>> regression_overparametrised(1, 100, 50)
    0.5
    """
    _counts(n=n)
    if not 1 <= rows <= features:
        raise RecipeError(f"there are {rows} rows for {features} features; as many or fewer were expected here")
    return weight_square * (1 - (rows / features) ** n)


def heterozygosity(start: float, n: int, m: int) -> float:
    """H_0 (1 - 1/m)^n: the expected 1 - Σ p² of shares drawn anew n times, m draws each (Wright & Fisher).

    >>> round(heterozygosity(0.9, 100, 100), 4)
    0.3294
    """
    _counts(n=n, m=m)
    return start * (1 - 1 / m) ** n


def expected_seen(shares: Sequence[float], m: int) -> float:
    """Σ 1 - (1 - p)^m: how many of the classes m draws hold.

    >>> expected_seen([0.25, 0.25, 0.25, 0.25], 4)
    2.734375
    """
    given = np.asarray(shares, dtype=np.float64)
    if given.ndim != 1 or not len(given) or (given < 0).any() or abs(given.sum() - 1) > 1e-9:
        raise RecipeError(f"shares came as {given.tolist()}; expected numbers of 0 or more that sum to 1")
    _counts(m=m)
    return float((1 - (1 - given) ** m).sum())


def _counts(**given: int) -> None:
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise RecipeError(f"{name} = {value!r}: a whole number, 1 or more, was expected")


def _freedom(features: int, rows: int) -> int:
    if rows <= features + 1:
        raise RecipeError(f"there are {rows} rows for {features} features; more than {features + 1} were expected")
    return rows - features - 1
