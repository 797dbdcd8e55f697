"""Every row once, in the order of the data, the same in every epoch."""

import numpy as np

from tunesmith.data.samplers import SAMPLERS, share
from tunesmith.data.spec import Array


@SAMPLERS.add("sequential")
def sequential(
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
    >>> sequential(labels=None, rows=5, seed=0, epoch=0, batch_size=2, rank=1, world=2)
    array([1, 3, 0])
    """
    return share(np.arange(rows, dtype=np.int64), rank, world)
