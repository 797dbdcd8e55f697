"""A power law through losses of several sizes, with what is not known of it.

loss = E + Σ_j A_j (S_j / S0_j)^-α_j + noise     one term (parameters, or rows), or two (parameters and rows)

Legend: E what no size gets below; A_j what size j still costs at the middle of the ladder S0_j (geometric mean); α_j its exponent.

The posterior is computed on a grid over E and the exponents, in which the A_j and the noise are solved in closed form: A_j flat above
0, E flat from 0 to the smallest loss, log α flat over `EXPONENTS`, and of the noise a scaled inverse χ² with one degree of freedom
at `KNOWN` of the range of the losses, so that four points that happen to lie on a curve are not taken for exact. The prediction for
a further training is the mixture of the grid's Student distributions: exact but for the grid.

Over a ladder of a few sizes floor and exponent are told apart poorly: a law whose E is 0 is given a steeper exponent and a floor
that it does not have, with an interval that misses its exponent, while its predictions hold (tests/scaling). Say sizes, not exponents.

Source: the form, Kaplan et al., arXiv:2001.08361, eq. 1.5, and Hoffmann et al., arXiv:2203.15556, eq. 2; the conjugate half, Gelman
et al., Bayesian Data Analysis, 3rd ed., section 14.2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import optimize, stats

from tunesmith.records import DataError

Array = np.ndarray[Any, Any]
EXPONENTS = (0.03, 2.0)  # flatter is no law that a ladder shows, steeper none that is known; assumption
KNOWN = 0.01  # of the range of the losses: the noise that is assumed before any is seen; assumption
CELLS = {1: (64, 48), 2: (28, 28)}  # exponents (each), values of E
LEVEL = 0.95
FLAT = (
    "the losses do not fall with size, so there is no law to fit; train the larger sizes longer, or at a rate that suits them, or "
    "regularise them"
)
REFINED = 4  # times that the grid is drawn, each within the cells that counted in the one before
WORTH = 1e-5  # of the best cell: it counts
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Between:
    """A middle value and an interval around it."""

    value: float
    low: float
    high: float

    def as_list(self) -> list[float]:
        return [self.value, self.low, self.high]


@dataclass(frozen=True)
class Law:
    """A fitted law; `fit_law` makes it. `sizes` (n, k) and `losses` (n,) are what it was fitted to."""

    sizes: Array
    losses: Array
    weights: Array  # (cells,) posterior of each cell of the grid, summing to 1
    lowest: Array  # (cells,) E
    exponents: Array  # (cells, k)
    costs: Array  # (cells, k) A, the estimate in the cell
    scales: Array  # (cells,) deviation of the noise
    shapes: Array  # (cells, k, k) inverse of X'X
    freedom: float  # degrees of freedom of the noise

    @property
    def middle(self) -> Array:
        """S0 of each size, the geometric mean over the ladder."""
        found: Array = np.exp(np.log(self.sizes).mean(0))
        return found

    @cached_property
    def noise(self) -> float:
        """The deviation of a training from the law, posterior mean."""
        return float(self.weights @ self.scales)

    def mean(self, *sizes: float) -> float:
        """The expected loss at one size (or a pair of them)."""
        return float(self.weights @ self._centre(self._given(sizes)))

    def predict(self, *sizes: float, level: float = LEVEL) -> Between:
        """The loss of one further training of that size, with its interval."""
        given = self._given(sizes)
        centre, x = self._centre(given), self._terms(given)
        spread = self.scales * np.sqrt(1 + np.einsum("ci,cij,cj->c", x, self.shapes, x))
        return Between(*(self._quantile(centre, spread, q) for q in (0.5, (1 - level) / 2, (1 + level) / 2)))

    def exponent(self, which: int = 0, level: float = LEVEL) -> Between:
        """α with its interval."""
        return self._marginal(self.exponents[:, which], level)

    def floor(self, level: float = LEVEL) -> Between:
        """E with its interval: what no size would get below, if the law holds that far."""
        return self._marginal(self.lowest, level)

    def size_for(self, loss: float, level: float = LEVEL) -> Between:
        """The size at which a law of one term expects that loss; infinite where E may lie above it.

        Raises `DataError` for a law of two terms: many pairs reach a loss.
        """
        if self.sizes.shape[1] != 1:
            raise DataError("a law of parameters and rows has many sizes for one loss; fit one of the two alone")
        left = loss - self.lowest
        with np.errstate(divide="ignore", over="ignore"):
            found = np.where(
                left > 0,
                self.middle[0] * (self.costs[:, 0] / np.maximum(left, 1e-300)) ** (1 / self.exponents[:, 0]),
                np.inf,
            )
        return self._marginal(found, level)

    def _given(self, sizes: Sequence[float]) -> Array:
        found = np.asarray(sizes, float)
        if found.shape != (self.sizes.shape[1],) or not (found > 0).all():
            raise DataError(f"{sizes!r}: the law was fitted to {self.sizes.shape[1]} sizes above 0; give as many")
        return found

    def _terms(self, sizes: Array) -> Array:
        found: Array = (sizes / self.middle) ** -self.exponents
        return found

    def _centre(self, sizes: Array) -> Array:
        found: Array = self.lowest + (self.costs * self._terms(sizes)).sum(1)
        return found

    def _quantile(self, centre: Array, spread: Array, share: float) -> float:
        """Where the mixture of Student distributions has that share below it."""
        kept = self.weights > WORTH * self.weights.max()
        weights, centre, spread = self.weights[kept] / self.weights[kept].sum(), centre[kept], spread[kept]

        def below(value: float) -> float:
            return float(weights @ stats.t.cdf((value - centre) / spread, self.freedom)) - share

        far = float(stats.t.ppf(max(share, 1 - share), self.freedom)) + 1
        return float(optimize.brentq(below, (centre - far * spread).min(), (centre + far * spread).max()))

    def _marginal(self, values: Array, level: float) -> Between:
        order = np.argsort(values)
        heaped = np.cumsum(self.weights[order])
        places = (np.searchsorted(heaped, share * heaped[-1]) for share in (0.5, (1 - level) / 2, (1 + level) / 2))
        return Between(*(float(values[order][min(int(place), len(values) - 1)]) for place in places))


def fit_law(sizes: Any, losses: Any) -> Law:
    """The law of losses by size: `sizes` (n,) or (n, 2), one row a training, repeated where seeds differ; `losses` (n,).

    Raises `DataError` for fewer than four different sizes (six for two terms), sizes or losses that are not finite and above 0.

    >>> law = fit_law([1e3, 1e4, 1e5, 1e6], [3.0, 2.5, 2.25, 2.125])  # 2 + 2^-k: halved each ten times
    >>> round(law.predict(1e7).value, 2), law.predict(1e7).low < 2.0625 < law.predict(1e7).high
    (2.06, True)
    """
    each, found = np.asarray(sizes, float), np.asarray(losses, float)
    each = each[:, None] if each.ndim == 1 else each
    _check(each, found)
    bounds = [(math.log(EXPONENTS[0]), math.log(EXPONENTS[1]))] * each.shape[1] + [(0.0, float(found.min()))]
    for _ in range(REFINED):
        law, inner = _on_grid(each, found, bounds)
        if inner == bounds:
            break
        bounds = inner
    return law


def _on_grid(sizes: Array, losses: Array, bounds: list[Bounds]) -> tuple[Law, list[Bounds]]:
    """The law on a grid within the bounds of the logarithms of the exponents and of E, and the bounds of those cells that count."""
    terms = sizes.shape[1]
    cells, heights = CELLS[terms]
    counts = [cells] * terms + [heights]
    axes = [
        low + (np.arange(count) + 0.5) * (high - low) / count for (low, high), count in zip(bounds, counts, strict=True)
    ]
    grids = [one.ravel() for one in np.meshgrid(*axes, indexing="ij")]
    exponents, lowest = np.exp(np.stack(grids[:-1], 1)), grids[-1]
    scaled = np.log(sizes / np.exp(np.log(sizes).mean(0)))  # (n, k)
    x = np.exp(-scaled[None] * exponents[:, None, :])  # (cells, n, k)
    inside = np.einsum("cni,cnj->cij", x, x)
    sound = np.linalg.cond(inside) < 1e12
    x, inside, exponents, lowest = x[sound], inside[sound], exponents[sound], lowest[sound]
    shapes, above = np.linalg.inv(inside), losses[None] - lowest[:, None]
    costs = np.einsum("cij,cj->ci", shapes, np.einsum("cni,cn->ci", x, above))
    left = ((above - np.einsum("cni,ci->cn", x, costs)) ** 2).sum(1)
    freedom = len(losses) - terms + 1  # and one of the prior
    squares = left + (KNOWN * max(np.ptp(losses), 1e-12)) ** 2
    logs = -0.5 * np.linalg.slogdet(inside)[1] - 0.5 * freedom * np.log(squares)
    logs = np.where((costs > 0).all(1), logs, -np.inf)
    if not np.isfinite(logs).any():
        raise DataError(FLAT)
    weights = np.exp(logs - logs.max())
    counted = weights > WORTH
    inner = [
        (
            max(low, float(values[counted].min()) - (high - low) / count),
            min(high, float(values[counted].max()) + (high - low) / count),
        )
        for values, (low, high), count in zip([*np.log(exponents.T), lowest], bounds, counts, strict=True)
    ]
    law = Law(
        sizes=sizes,
        losses=losses,
        weights=weights / weights.sum(),
        lowest=lowest,
        exponents=exponents,
        costs=costs,
        scales=np.sqrt(squares / freedom),
        shapes=shapes,
        freedom=float(freedom),
    )
    return law, inner


def _check(sizes: Array, losses: Array) -> None:
    terms, least = sizes.shape[1], 4 if sizes.shape[1] == 1 else 6
    if terms not in CELLS or losses.shape != (len(sizes),):
        raise DataError(
            f"sizes of shape {sizes.shape} and losses of shape {losses.shape}: one or two sizes and one loss a training were expected"
        )
    if not (np.isfinite(sizes).all() and (sizes > 0).all() and np.isfinite(losses).all() and (losses > 0).all()):
        raise DataError("a size or a loss is not finite or not above 0; leave out trainings that broke")
    different = len(np.unique(sizes, axis=0))
    if different < least:
        raise DataError(f"{different} different sizes; a law of {terms} term{'s' * (terms > 1)} takes {least} or more")
    slopes = np.linalg.lstsq(np.c_[np.log(sizes), np.ones(len(sizes))], losses, rcond=None)[0][:-1]
    if not (slopes < 0).all():
        raise DataError(FLAT)
