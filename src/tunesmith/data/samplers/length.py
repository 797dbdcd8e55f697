"""Every row once, rows of like length in one batch: less padding, still shuffled.

The rows are shuffled, taken in pools of `POOL` batches, each pool sorted by length and cut into batches, and the batches shuffled
(the bucketing of Khomenko et al., arXiv:1708.05604, section 3, with sorted pools as buckets). Without lengths it is `shuffle`.
"""

import numpy as np

from tunesmith.data.samplers import SAMPLERS, generator, share
from tunesmith.data.spec import Array

POOL = 50  # batches that are sorted together; assumption: sorted enough, and each epoch puts other rows together


@SAMPLERS.add("length")
def length(
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
    """`labels` (N,) are the lengths.

    >>> order = length(labels=np.array([9, 1, 8, 2, 9, 1]), rows=6, seed=0, epoch=0, batch_size=2)
    >>> sorted(sorted(np.array([9, 1, 8, 2, 9, 1])[order[i : i + 2]].tolist()) for i in (0, 2, 4))
    [[1, 1], [2, 8], [9, 9]]
    """
    rng = generator(seed, epoch)
    order = rng.permutation(rows)
    if labels is None:
        return share(order, rank, world)
    whole = batch_size * world
    pools = [order[start : start + POOL * whole] for start in range(0, rows, POOL * whole)]
    batches = [
        sorted_pool[start : start + whole]
        for pool in pools
        for sorted_pool in [pool[np.argsort(labels[pool], kind="stable")]]
        for start in range(0, len(pool), whole)
    ]
    full = [batch for batch in batches if len(batch) == whole]
    rest = [batch for batch in batches if len(batch) < whole]  # of the last pool alone: it stays at the end
    mixed = [full[place] for place in rng.permutation(len(full))]
    return share(np.concatenate([*mixed, *rest]), rank, world)
