"""How far an order carries the values: labels or numbers that follow each other more alike than chance.

Labels: the number of runs of equal labels, whose mean and variance over all orders are exact (Mood, The Distribution Theory
of Runs, Annals of Mathematical Statistics 11 (1940), equations 3.14 and 3.15; for two labels Wald & Wolfowitz 1940).
Numbers: von Neumann's ratio of their ranks (Bartels, JASA 77 (1982), equation 2 and section 2.2).
"""

import numpy as np
from scipy.stats import norm, rankdata

from tunesmith.data.spec import Array


def sortedness(values: Array) -> tuple[float, float]:
    """A statistic, 0 for a chance order and 1 for a sorted one, and the chance of one as large by accident.

    Whole numbers, truth values and objects are labels; floats are numbers. NaN and None are left out.

    >>> import numpy as np
    >>> round(sortedness(np.repeat([0, 1], 50))[0], 2), sortedness(np.repeat([0, 1], 50))[1] < 1e-9
    (0.98, True)
    >>> round(sortedness(np.arange(100.0))[0], 2)
    1.0
    """
    if values.dtype.kind == "f":
        return _of_numbers(values[~np.isnan(values)])
    if values.dtype == object:
        words = [value for value in values.tolist() if value is not None and value == value]
        return _of_labels(np.array([str(word) for word in words]))
    return _of_labels(values)


def _of_labels(labels: Array) -> tuple[float, float]:
    """The share of neighbours that match, from chance (0) to all (1)."""
    n = len(labels)
    codes, counts = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    if n < 3 or len(counts) < 2 or len(counts) == n:
        return 0.0, 1.0
    sizes = counts.astype(np.float64)
    square, cube = float((sizes**2).sum()), float((sizes**3).sum())
    runs = 1 + int((codes[1:] != codes[:-1]).sum())
    mean = (n * (n + 1) - square) / n  # Mood, eq. 3.14 summed over kinds
    variance = (square * (square + n * (n + 1)) - 2 * n * cube - n**3) / (n**2 * (n - 1))
    chance = (square - n) / (n * (n - 1))  # that two rows drawn without replacement match
    match = (n - runs) / (n - 1)
    z = (mean - runs) / max(variance, 1e-12) ** 0.5
    return (match - chance) / (1 - chance), float(norm.sf(z))


def _of_numbers(numbers: Array) -> tuple[float, float]:
    """Half the distance of von Neumann's ratio from 2: about the correlation of the ranks of neighbours."""
    n = len(numbers)
    if n < 10 or numbers.min() == numbers.max():
        return 0.0, 1.0
    ranks = rankdata(numbers)
    ratio = float((np.diff(ranks) ** 2).sum() / ((ranks - ranks.mean()) ** 2).sum())
    variance = 4 * (n - 2) * (5 * n**2 - 2 * n - 9) / (5 * n * (n + 1) * (n - 1) ** 2)  # Bartels, section 2.2
    return 1 - ratio / 2, float(norm.cdf((ratio - 2) / variance**0.5))
