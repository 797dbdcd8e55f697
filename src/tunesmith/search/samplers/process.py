"""A Gaussian process over mixed and conditional configurations, fitted by maximum a posteriori.

Kernel  s² M(r), M the Matérn 5/2 function, r² = Σ θ_k d_k², plus noise on the diagonal. d_k between numbers is their distance in [0, 1];
between unlike choices 1; between a parameter in force and one that is not √(3/4 + (x - 1/2)²). All of them are distances between points
of a Euclidean space, so that the kernel is positive definite.
Priors  of θ, s² and noise as in Optuna's GPSampler: -(0.1 / θ + 0.1 θ), Gamma(2, 1) and Gamma(1.1, 30), on values of deviation 1.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.search.distances import squared_distances
from tunesmith.search.history import Floats
from tunesmith.search.samplers.observed import is_unordered
from tunesmith.search.space import Space

NOISE = 1e-6  # Optuna's least noise variance
BOUND = 12.0  # assumption: logarithms of the parameters stay within ± this
STEPS = 40  # assumption: steps of L-BFGS, after which the fit changes little


@dataclass(frozen=True)
class Features:
    """`points`: (n, p) with rows whose squared distances in the columns of a parameter are its d². `owner`: (p,) its number, of `count`."""

    points: Floats
    owner: npt.NDArray[np.int64]
    count: int


def features(space: Space, names: tuple[str, ...], units: Floats) -> Features:
    """Columns for places (n, d) that may be NaN: numbers as they are, choices one-hot, and one for whether a child is in force."""
    columns: list[Floats] = []
    owner: list[int] = []
    for number, name in enumerate(names):
        places, domain = units[:, number], space[name]
        absent = np.isnan(places)
        if is_unordered(domain):
            made = _one_hot(places, int(domain.size))
        else:
            made = [np.where(absent, 0.5, places)]
        if domain.when is not None:
            made.append(np.where(absent, math.sqrt(0.75), 0.0))
        columns += made
        owner += [number] * len(made)
    return Features(np.stack(columns, axis=1), np.array(owner), len(names))


def _one_hot(places: Floats, choices: int) -> list[Floats]:
    """√½ where the choice is taken: two unlike ones are 1 apart. One that is not in force lies amid all of them."""
    taken = np.minimum(np.where(np.isnan(places), -1, places * choices), choices - 1)
    amid = 1 / (choices * math.sqrt(2))
    return [
        np.where(np.isnan(places), amid, np.where(np.floor(taken) == one, math.sqrt(0.5), 0.0))
        for one in range(choices)
    ]


def _matern(squared: Floats) -> tuple[Floats, Floats]:
    """M(r) and dM / d(r²)."""
    root = np.sqrt(5 * squared)
    decay = np.exp(-root)
    return (1 + root + 5 / 3 * squared) * decay, -5 / 6 * (1 + root) * decay


@dataclass(frozen=True)
class Process:
    """What is believed after (n,) `values` at `seen`: `theta` (d,), `scale` s², `noise`."""

    seen: Features
    values: Floats
    theta: Floats
    scale: float
    noise: float

    def _kernel(self, one: Features, other: Features) -> Floats:
        root = np.sqrt(self.theta)[one.owner]
        return self.scale * _matern(squared_distances(one.points * root, other.points * root))[0]

    @cached_property
    def _factor(self) -> tuple[Floats, Floats]:
        """Cholesky's factor L of the kernel with its noise, and L⁻¹ values."""
        from scipy.linalg import solve_triangular

        noisy = self._kernel(self.seen, self.seen) + self.noise * np.eye(len(self.values))
        factor = np.asarray(np.linalg.cholesky(noisy), dtype=np.float64)
        return factor, np.asarray(solve_triangular(factor, self.values, lower=True))

    def predict(self, at: Features) -> tuple[Floats, Floats]:
        """Mean and standard deviation, (m,) each, of the value without its noise."""
        from scipy.linalg import solve_triangular

        factor, weighed = self._factor
        cross = solve_triangular(factor, self._kernel(self.seen, at), lower=True)
        mean = cross.T @ weighed
        variance = self.scale - (cross**2).sum(axis=0)
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    def believing(self, at: Features) -> "Process":
        """As if it had been seen at `at` what is expected there."""
        points = np.concatenate([self.seen.points, at.points])
        values = np.concatenate([self.values, self.predict(at)[0]])
        return Process(Features(points, at.owner, at.count), values, self.theta, self.scale, self.noise)


def fitted(seen: Features, values: Floats) -> Process:
    """The process of the likeliest parameters, given values (n,) of mean 0 and deviation 1."""
    from scipy.optimize import minimize

    parts = np.stack([squared_distances(*[seen.points[:, seen.owner == one]] * 2) for one in range(seen.count)])
    start = np.concatenate([np.zeros(seen.count), [0.0, math.log(0.01)]])
    found: Any = minimize(
        lambda logs: negative_posterior(logs, parts, values),
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-BOUND, BOUND)] * len(start),
        options={"maxiter": STEPS},
    )
    theta, scale, noise = np.exp(found.x[:-2]), math.exp(found.x[-2]), NOISE + math.exp(found.x[-1])
    return Process(seen, values, theta, scale, noise)


def negative_posterior(logs: Floats, parts: Floats, values: Floats) -> tuple[float, Floats]:
    """Minus the log posterior of log (θ, s², noise), and its gradient; `parts`: (d, n, n) squared distances by parameter."""
    from scipy.linalg import cho_factor, cho_solve, lapack

    theta, scale, noise = np.exp(logs[:-2]), math.exp(logs[-2]), math.exp(logs[-1])
    matern, slope = _matern(np.tensordot(theta, parts, axes=1))
    kernel = scale * matern
    kernel.flat[:: len(values) + 1] += NOISE + noise
    try:
        factor = cho_factor(kernel, lower=True)
    except np.linalg.LinAlgError:  # all but singular: as unlikely as can be, so the search turns back
        return 1e12, np.zeros_like(logs)
    alpha = cho_solve(factor, values)
    likelihood = -0.5 * values @ alpha - np.log(np.diag(factor[0])).sum()
    inverse = np.tril(lapack.dpotri(factor[0], lower=1)[0])
    inverse += np.tril(inverse, -1).T
    weight = 0.5 * (np.outer(alpha, alpha) - inverse)
    gradient = np.empty_like(logs)
    gradient[:-2] = theta * scale * np.tensordot(parts, weight * slope, axes=2)
    gradient[-2] = scale * (weight * matern).sum()
    gradient[-1] = noise * np.trace(weight)
    belief = -(0.1 / theta + 0.1 * theta).sum() + math.log(scale) - scale + 0.1 * math.log(noise) - 30 * noise
    gradient[:-2] += 0.1 / theta - 0.1 * theta
    gradient[-2] += 1 - scale
    gradient[-1] += 0.1 - 30 * noise
    return -float(likelihood + belief), -gradient
