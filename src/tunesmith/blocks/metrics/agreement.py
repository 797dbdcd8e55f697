"""How far people who label the same things agree, beyond chance.

Cohen, A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20 (1960) 37, eq. 1; its
standard error: Fleiss, Cohen & Everitt, Psychological Bulletin 72 (1969) 323, eq. 13. Fleiss, Measuring Nominal Scale Agreement
Among Many Raters, Psychological Bulletin 76 (1971) 378, eq. 7.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
NORMAL = 1.959963984540054  # the 97.5 % quantile of the normal distribution


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two annotators. `interval` is of kappa, at 95 %."""

    rows: int
    share: float
    kappa: float
    interval: tuple[float, float]


def cohens_kappa(first: Array, second: Array) -> Agreement:
    """Two codes a row, (N,) each, counted from 0. Kappa is nan where both use one and the same label throughout.

    >>> import numpy as np
    >>> table = np.repeat([(0, 0), (0, 1), (1, 0), (1, 1)], [20, 5, 10, 15], axis=0)
    >>> round(cohens_kappa(table[:, 0], table[:, 1]).kappa, 2)
    0.4
    """
    count = int(max(first.max(initial=0), second.max(initial=0))) + 1
    table = np.zeros((count, count))
    np.add.at(table, (first, second), 1.0)
    rows = float(table.sum())
    if not rows:
        return Agreement(0, float("nan"), float("nan"), (float("nan"), float("nan")))
    table /= rows
    one, other = table.sum(1), table.sum(0)
    share, chance = float(np.trace(table)), float(one @ other)
    if chance >= 1.0:
        return Agreement(int(rows), share, float("nan"), (float("nan"), float("nan")))
    kappa = (share - chance) / (1 - chance)
    margins = one[None, :] + other[:, None]  # p_.i + p_j. in the paper, whichever way the table is turned
    same = np.diag(table) @ (1 - (one + other) * (1 - kappa)) ** 2
    apart = (1 - kappa) ** 2 * float(((table * margins.T**2).sum()) - np.diag(table) @ (one + other) ** 2)
    variance = (same + apart - (kappa - chance * (1 - kappa)) ** 2) / rows / (1 - chance) ** 2
    half = NORMAL * float(np.sqrt(max(variance, 0.0)))
    return Agreement(int(rows), share, kappa, (kappa - half, min(kappa + half, 1.0)))


def fleiss_kappa(counts: Array) -> float:
    """Counts (N, C): how many of the annotators chose each class for each row, as many for every row. Eq. 7.

    >>> import numpy as np
    >>> round(fleiss_kappa(np.array([[3, 0], [0, 3], [2, 1]])), 3)
    0.55
    """
    raters = counts.sum(1)
    if len(counts) == 0 or raters.min() != raters.max() or raters[0] < 2:
        raise ValueError(
            f"annotators a row came as {sorted(set(raters.tolist()))}; expected one number, 2 or more, for all rows"
        )
    annotators = float(raters[0])
    each = ((counts.astype(np.float64) ** 2).sum(1) - annotators) / (annotators * (annotators - 1))
    chance = float(((counts.sum(0) / counts.sum()) ** 2).sum())
    return float((each.mean() - chance) / (1 - chance)) if chance < 1 else float("nan")


def counts_of(labels: Array, classes: int) -> Array:
    """Counts (N, C) from the codes (N, R) of R annotators."""
    found = np.zeros((len(labels), classes), np.int64)
    for column in labels.T:
        found[np.arange(len(labels)), column] += 1
    return found
