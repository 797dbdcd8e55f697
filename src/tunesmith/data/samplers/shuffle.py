"""Every row once, in a new random order each epoch."""

from tunesmith.data.samplers import SAMPLERS, generator, share
from tunesmith.data.spec import Array


@SAMPLERS.add("shuffle")
def shuffle(
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
    >>> sorted(shuffle(labels=None, rows=4, seed=0, epoch=0, batch_size=2).tolist())
    [0, 1, 2, 3]
    """
    return share(generator(seed, epoch).permutation(rows), rank, world)
