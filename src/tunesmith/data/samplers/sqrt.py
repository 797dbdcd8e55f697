"""Each class in proportion to the square root of its rows: between the shares of the data and equal shares.

An epoch has as many positions as rows; class c gets rows * sqrt(n_c) / sum of sqrt(n) of them, rounded so that they
add up. Mahajan et al. 2018, arXiv:1805.00932 (square-root resampling of hashtags).
"""

import numpy as np

from tunesmith.data.samplers import SAMPLERS, by_class, generator, largest_remainder, repeated, share
from tunesmith.data.spec import Array


@SAMPLERS.add("sqrt")
def sqrt(
    *,
    labels: Array | None,
    rows: int,
    seed: int,
    epoch: int,
    batch_size: int,
    per_class: int | None = None,
    rank: int = 0,
    world: int = 1,
) -> Array:
    """
    >>> labels = np.repeat([0, 1], [16, 4])
    >>> np.bincount(labels[sqrt(labels=labels, rows=20, seed=0, epoch=0, batch_size=2)]).tolist()
    [13, 7]
    """
    classes = by_class(labels, rows, "sqrt")
    rng = generator(seed, epoch)
    roots = np.sqrt([len(positions) for positions in classes])
    counts = largest_remainder(rows * roots / roots.sum(), rows)
    order = np.concatenate([repeated(positions, int(n), rng) for positions, n in zip(classes, counts, strict=True)])
    return share(rng.permutation(order), rank, world)
