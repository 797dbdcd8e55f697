"""What training on one's own output does where some of the data stay real: expectations by generation, in every regime.

Legend: m draws in each generation; μ and v the fitted mean and variance, M the variance by maximum likelihood; H = 1 - Σ p². Given
one generation, the next has an expectation that is linear in v and μ² (in Σ p²), so each path is an exact recursion.
The regimes: every generation is fitted to m draws of the one before ("replace"), to all draws so far ("accumulate"), to m of which
a share is drawn from the true law anew ("mix"), or to the first m real draws and m of the one before ("keep").
Replace and accumulate: `recursion`, with its sources; mix and keep follow in the same way from the moments of pooled samples.
"""

from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from tunesmith.generative.recursion import Estimator, heterozygosity
from tunesmith.records import RecipeError, UnknownName, did_you_mean

Array: TypeAlias = np.ndarray[Any, Any]
Regime = Literal["replace", "accumulate", "mix", "keep"]
REGIMES: tuple[Regime, ...] = get_args(Regime)


def real_rows(m: int, share: float) -> int:
    """How many of m draws are real where a `share` of them is. Raises `RecipeError` for a share outside [0, 1]."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise RecipeError(f"share = {share!r}: the real share of each generation, from 0 to 1, was expected")
    return round(share * m)


def known_regime(regime: str) -> Regime:
    """Raises `UnknownName` for one there is not."""
    for one in REGIMES:
        if one == regime:
            return one
    raise UnknownName(f"no regime called {regime!r}{did_you_mean(regime, REGIMES)}; there are {', '.join(REGIMES)}")


def gaussian_path(
    regime: Regime, n: int, m: int, variance: float = 1.0, *, estimator: Estimator = "unbiased", share: float = 0.5
) -> tuple[Array, Array]:
    """E v and E μ² after 1 to n fits, (n,) each; the true mean is 0.

    >>> found, drift = gaussian_path("accumulate", 10, 10, estimator="mle")
    >>> round(float(found[-1]), 4)
    0.8515
    >>> mixed, _ = gaussian_path("mix", 100, 10, estimator="mle", share=0.5)
    >>> round(float(mixed[-1]), 4)
    0.875
    """
    if isinstance(m, bool) or not isinstance(m, int) or m < 2:
        raise RecipeError(f"{m!r} rows a generation: 2 draws or more were expected")
    first = variance * (1 - 1 / m)
    fitted, squares = [first], [variance / m]  # M and E μ²
    apart, real = 0.0, real_rows(m, share) / m  # apart: E (drawn mean - real mean)², where the first draws are kept
    made = 1 - real
    for i in range(2, n + 1):
        before, square = fitted[-1] * _scale(regime, i - 1, m, estimator), squares[-1]
        match regime:
            case "replace":
                fitted.append(before * (1 - 1 / m))
                squares.append(square + before / m)
            case "accumulate":
                kept = (i - 1) * fitted[-1] + before * (1 - 1 / m) + before * (i - 1) / (i * m)
                fitted.append(kept / i)
                squares.append(square + before / (i * i * m))
            case "mix":
                within = real * variance + made * before
                fitted.append((1 - 1 / m) * within + real * made * square)
                squares.append(made**2 * square + within / m)
            case "keep":
                apart = apart / 4 + before / m
                fitted.append(first / 2 + before * (1 - 1 / m) / 2 + apart / 4)
                squares.append(variance / m + apart / 4)
    scales = [_scale(regime, i, m, estimator) for i in range(1, n + 1)]
    return np.array(fitted) * scales, np.array(squares)


def _scale(regime: Regime, i: int, m: int, estimator: Estimator) -> float:
    """v over M in the i-th fit."""
    rows = m * (i if regime == "accumulate" else 2 if regime == "keep" and i > 1 else 1)
    return rows / (rows - 1) if estimator == "unbiased" else 1.0


def heterozygosity_path(regime: Regime, n: int, start: float, m: int, *, share: float = 0.5) -> Array:
    """E H after 1 to n fits of shares whose true H is `start`, (n,).

    >>> heterozygosity_path("replace", 2, 0.9, 100).round(4).tolist()
    [0.891, 0.8821]
    >>> bool(heterozygosity_path("accumulate", 1000, 0.9, 100)[-1] > 0.88)
    True
    """
    found = [heterozygosity(start, 1, m)]
    real = real_rows(m, share) / m
    made, moved = 1 - real, 0.0  # moved: E Σ (p - p̂)² from the first draws' shares p̂, where they are kept
    for i in range(2, n + 1):
        before = found[-1]
        match regime:
            case "replace":
                found.append(before * (1 - 1 / m))
            case "accumulate":
                found.append(before * (1 - 1 / (i * i * m)))
            case "mix":
                alike = (1 - made**2) * (1 - start) + made**2 * (1 - before)
                found.append(1 - alike - (real * start + made * before) / m)
            case "keep":
                moved = moved / 4 + before / (4 * m)
                found.append(found[0] - moved)
    return np.array(found)


def regression_kept(n: int, first: float) -> Array:
    """E |w - w*|² after 1 to n least squares fits on one design, the real labels beside those of the fit before: 4/3 of the first.

    w_n - w* = η_1 + Σ_{j≥2} η_j / 2^{n-j+1} with independent η_j, E |η_j|² = `first`.

    >>> regression_kept(3, 0.75).tolist()
    [0.75, 0.9375, 0.984375]
    """
    return first * (1 + (1 - 4.0 ** -np.arange(n)) / 3)
