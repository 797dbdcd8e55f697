"""Squared loss in parts, row by row.

    E (y - f_D)²  =  (E f_D - f*)²  +  Var f_D  +  sigma²        over training sets D and targets y
                     bias²             variance    noise

With R refits the mean of (y - f_r)² is exactly (mean f - y)² + Var_r f with divisor R. That variance is (R - 1)/R of the true one, and the
mean of few refits is off by Var/R, which inflates the first term: both are corrected here, and still add up to the error. The first term
holds the noise, for y is not f*.
"""

import numpy as np

from tunesmith.data.spec import Array

FEWEST = 2  # refits that have a variance


def squared_error(predictions: Array, target: Array) -> Array:
    """(N,): mean over refits (and outputs) of the squared error."""
    return _rows(((predictions - target) ** 2).mean(axis=0))


def squared_variance(predictions: Array) -> Array:
    """(N,): variance over refits, divisor R - 1."""
    return _rows(predictions.var(axis=0, ddof=1))


def squared_bias_and_noise(predictions: Array, target: Array) -> Array:
    """(N,): (mean f - y)² - Var/R, on average bias² + noise.

    >>> f, y = np.array([[1.0], [3.0]]), np.array([0.0])
    >>> squared_error(f, y), squared_bias_and_noise(f, y), squared_variance(f)
    (array([5.]), array([3.]), array([2.]))
    """
    return _rows((predictions.mean(axis=0) - target) ** 2) - squared_variance(predictions) / len(predictions)


def squared_noise(target: Array) -> float:
    """Variance of targets (M, …) of rows with equal inputs, divisor M - 1."""
    return float(target.var(axis=0, ddof=1).mean())


def _rows(values: Array) -> Array:
    """(N,) of (N, …): several outputs count alike."""
    return np.asarray(values.reshape(len(values), -1).mean(axis=1))
