"""One Gaussian process over configurations x and time.

Let p = 1 - log(e) / log(E) be what is left at epoch e of E, in logarithms: 1 at the first epoch, 0 at the end. The best score so far, warped, is

    f(x, e) = m + d p + (1 - k p) (g(x) - w psi(x) + p h(x) + c(p) + n)

* k: at the first epochs configurations differ less than at the end. On the curves of 1,860 trained nets of three tasks the standard deviation
  over configurations is 0.15 of that at the end at the first epoch, 0.43 at p = 2/3, 0.74 at p = 1/3: near 1 - 0.8 p (measured)
* g, h: processes over configurations with one Matérn-5/2 kernel (a length for each parameter); h lets curves fall faster here than there
* c: of each trial its own Brownian motion in p^2, 0 at the end. On those curves the share of the end's variance that the score at p leaves
  open is near p^2: .5 at p = 2/3, .14 at 1/3, .03 at 1/10 (measured), so that of a trial mostly the latest point matters
* n: what two seeds of one configuration differ by
* psi: a bump at the expert's configuration, its weight w unknown, N(w0, w_sd^2): where what was seen speaks against the expert, w falls
* m, d: level and slope with wide normal priors
* trials of earlier studies are of a function that correlates with this one by a factor in [0, 1], the likeliest of five (Bonilla et al.,
  Multi-task Gaussian Process Prediction, NeurIPS 2007, equation 1, for two tasks)
* the effective rate, where there is one, has a length of its own, in decades

Lengths and amplitudes maximise the posterior under log-normal priors. Points are (N, F) features, (N,) p, (N,) number of the trial,
(N,) psi. Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular

from tunesmith.search.distances import squared_distances
from tunesmith.search.history import Floats

Whole = npt.NDArray[np.int64]
JITTER = 1e-5
STRANGER = -1  # the number of a trial that has not begun
EARLIER = 10**9  # numbers of trials of earlier studies begin here
KINSHIPS = (1.0, 0.95, 0.8, 0.5, 0.0)  # of earlier studies with this one; assumption


class Points(NamedTuple):
    """N places of the process."""

    features: Floats  # (N, F)
    left: Floats  # (N,) p
    trial: Whole  # (N,)
    bump: Floats  # (N,) psi

    def at(self, left: Floats) -> "Points":
        """The same trials at another time."""
        return self._replace(left=left)

    def part(self, chosen: npt.NDArray[Any]) -> "Points":
        """Those that are chosen, by a mask or by their places."""
        return Points(self.features[chosen], self.left[chosen], self.trial[chosen], self.bump[chosen])

    def with_(self, others: "Points") -> "Points":
        """These and the others."""
        return Points(
            np.concatenate([self.features, others.features]),
            np.concatenate([self.left, others.left]),
            np.concatenate([self.trial, others.trial]),
            np.concatenate([self.bump, others.bump]),
        )


@dataclass(frozen=True)
class Beliefs:
    """What is believed of the parameters before a score was seen; scores are warped, the best near 0, the median near 1."""

    level: float = 0.85
    level_variance: float = 0.1
    slope: float = 0.2
    slope_variance: float = 0.05
    narrow: float = 0.8  # k
    length: float = 1.0  # sides of the unit cube
    length_spread: float = 1.0  # of its logarithm
    rate_length: float = 1.8  # decades, of the effective rate; measured: benchmarks/search.md
    amplitudes: tuple[float, float, float, float] = (0.35, 0.2, 0.3, 0.04)  # of g, h, c, n
    spreads: tuple[float, float, float, float] = (0.4, 0.5, 0.3, 0.5)
    expert: float = 0.5  # w0
    expert_spread: float = 0.3  # w_sd


@dataclass
class Surrogate:
    """The process; `theta` are the logarithms of lengths (D,), or (D + 1,) with an effective rate, and of the amplitudes of g, h, c, n."""

    group: Whole  # (F,) the parameter of each feature; D for the effective rate
    parameters: int  # D
    beliefs: Beliefs = field(default_factory=Beliefs)

    def __post_init__(self) -> None:
        beliefs = self.beliefs
        derived = int((self.group == self.parameters).any())
        self.count = self.parameters + derived
        lengths = [beliefs.length] * self.parameters + [beliefs.rate_length] * derived
        self.center = np.log(np.array([*lengths, *beliefs.amplitudes]))
        self.spread = np.array([beliefs.length_spread] * self.count + list(beliefs.spreads))
        self.theta = self.center.copy()
        self.kinship = 1.0

    def fit(self, points: Points, seen: Floats, rng: np.random.Generator, tries: int) -> None:
        """Moves `theta` uphill: `tries` steps along one axis or a random direction, each taken if the posterior rises."""
        best, step = self._cost(self.theta, points, seen), 0.5
        for _ in range(tries):
            direction = np.zeros_like(self.theta)
            if rng.uniform() < 0.8:
                direction[rng.integers(len(direction))] = rng.normal()
            else:
                direction = 0.3 * rng.normal(size=len(direction))
            step = max(0.1, step * 0.95)
            for sign in (step, -step):
                moved = self.theta + sign * direction
                cost = self._cost(moved, points, seen)
                if cost < best:
                    best, self.theta, step = cost, moved, min(1.0, step * 1.3)
                    break

    def relate(self, points: Points, seen: Floats) -> None:
        """Chooses how far earlier studies tell of this one; 1 where there are no points of both."""
        earlier = points.trial >= EARLIER
        self.kinship = 1.0
        if earlier.any() and not earlier.all():
            costs = {}
            for kinship in KINSHIPS:
                self.kinship = kinship
                costs[kinship] = self._cost(self.theta, points, seen)
            self.kinship = min(costs, key=costs.__getitem__)

    def condition(self, points: Points, seen: Floats) -> None:
        """Takes in what was seen, (N,)."""
        self.points = points
        self.root = np.linalg.cholesky(self._damped(self.theta, points))
        self.weights = cho_solve((self.root, True), seen - self._mean(points))

    def predict(self, points: Points) -> tuple[Floats, Floats]:
        """Mean and standard deviation, (M,) each, of the score of these trials at these times."""
        across = self._kernel(self.theta, points, self.points)
        mean = self._mean(points) + across @ self.weights
        known = solve_triangular(self.root, across.T, lower=True, check_finite=False)
        variance = self._variance(points) - (known * known).sum(0)
        return mean, np.sqrt(np.maximum(variance, 1e-8))

    def alike(self, one: Floats, other: Floats) -> Floats:
        """(N, M) how much configurations have in common, 1 for the same, by the fitted lengths; of features (N, F), (M, F)."""
        return self._alike(self.theta, one, other)

    def _alike(self, theta: Floats, one: Floats, other: Floats) -> Floats:
        scale = np.exp(-theta[: self.count])[self.group]
        return matern(one * scale, other * scale)

    def _mean(self, points: Points) -> Floats:
        bump = self.beliefs.expert * points.bump * self._scale(points)
        return self.beliefs.level + self.beliefs.slope * points.left - bump

    def _scale(self, points: Points) -> Floats:
        return 1 - self.beliefs.narrow * points.left

    def _variance(self, points: Points) -> Floats:
        over, slope, curve, noise = np.exp(2 * self.theta[self.count :])
        shared = self.beliefs.level_variance + self.beliefs.slope_variance * points.left**2
        bump = (self.beliefs.expert_spread * points.bump) ** 2
        own = bump + over + (slope + curve) * points.left**2 + noise
        whole: Floats = shared + own * self._scale(points) ** 2
        return whole

    def _kernel(self, theta: Floats, points: Points, others: Points) -> Floats:
        over, slope, curve, noise = np.exp(2 * theta[self.count :])
        alike = self._alike(theta, points.features, others.features)
        both = points.left[:, None] * others.left[None]
        same = points.trial[:, None] == others.trial[None]
        least = np.minimum(points.left[:, None], others.left[None])
        shared = self.beliefs.level_variance + self.beliefs.slope_variance * both
        bump = self.beliefs.expert_spread**2 * points.bump[:, None] * others.bump[None]
        own = bump + alike * (over + slope * both) + same * (noise + curve * least * least)
        whole: Floats = shared + own * self._scale(points)[:, None] * self._scale(others)[None]
        if self.kinship < 1:
            whole = np.where(
                (points.trial >= EARLIER)[:, None] == (others.trial >= EARLIER)[None], whole, self.kinship * whole
            )
        return whole

    def _damped(self, theta: Floats, points: Points) -> Floats:
        kernel = self._kernel(theta, points, points)
        kernel[np.diag_indices_from(kernel)] += JITTER
        return kernel

    def _cost(self, theta: Floats, points: Points, seen: Floats) -> float:
        """Minus the log posterior, but for a constant; equation 2.30 and the priors."""
        try:
            root = np.linalg.cholesky(self._damped(theta, points))
        except np.linalg.LinAlgError:
            return math.inf
        apart = solve_triangular(root, seen - self._mean(points), lower=True, check_finite=False)
        prior = ((theta - self.center) / self.spread) ** 2
        return float(0.5 * apart @ apart + np.log(np.diag(root)).sum() + 0.5 * prior.sum())


def matern(one: Floats, other: Floats) -> Floats:
    """(N, M) Matérn-5/2 of scaled features (N, F), (M, F); Rasmussen & Williams, equation 4.17.

    >>> matern(np.zeros((1, 1)), np.array([[0.0], [1.0]])).round(4).tolist()
    [[1.0, 0.524]]
    """
    distance = np.sqrt(5 * squared_distances(one, other))
    alike: Floats = (1 + distance + distance * distance / 3) * np.exp(-distance)
    return alike
