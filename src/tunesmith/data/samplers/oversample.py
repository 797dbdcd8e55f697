"""Every class as often as the largest: an epoch has classes x rows of the largest class positions, every row among them.

A row of a class of n is taken floor(largest / n) or ceil(largest / n) times.
"""

import numpy as np

from tunesmith.data.samplers import SAMPLERS, by_class, generator, repeated, share
from tunesmith.data.spec import Array


@SAMPLERS.add("oversample")
def oversample(
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
    >>> order = oversample(labels=np.array([0, 0, 0, 1]), rows=4, seed=0, epoch=0, batch_size=2)
    >>> np.bincount(order).tolist()
    [1, 1, 1, 3]
    """
    classes = by_class(labels, rows, "oversample")
    rng = generator(seed, epoch)
    largest = max(len(positions) for positions in classes)
    order = np.concatenate([repeated(positions, largest, rng) for positions in classes])
    return share(rng.permutation(order), rank, world)
