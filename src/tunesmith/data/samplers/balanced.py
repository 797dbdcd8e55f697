"""Exactly k rows of each class in each batch.

An epoch has as many batches as a plain one, ceil(rows / batch size), rounded up to a multiple of the ranks. A class
is gone through in shuffled rounds: within an epoch two rows of it differ by one visit at most, so rows of a
small class repeat and of a large class some are left for a later epoch.
"""

import numpy as np

from tunesmith.data.samplers import SAMPLERS, by_class, generator, repeated
from tunesmith.data.spec import Array
from tunesmith.records import DataError


def balanced_batch(batch_size: int, classes: int, per_class: int | None = None) -> int:
    """The batch size that holds equally many rows of each class: `per_class` of each, or the most that fit.

    >>> balanced_batch(32, 10)
    30
    >>> balanced_batch(4, 10)
    10
    """
    return classes * (per_class or max(1, batch_size // classes))


@SAMPLERS.add("balanced")
def balanced(
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
    >>> order = balanced(labels=np.array([0, 0, 0, 1]), rows=4, seed=0, epoch=0, batch_size=2)
    >>> [sorted(pair) for pair in (np.array([0, 0, 0, 1])[order]).reshape(-1, 2).tolist()]
    [[0, 1], [0, 1]]
    """
    classes = by_class(labels, rows, "balanced")
    fitting = balanced_batch(batch_size, len(classes), per_class)
    if batch_size != fitting:
        raise DataError(
            f"a batch of {batch_size} rows cannot hold {per_class or 'equally many'} of each of {len(classes)} classes; "
            f"use train.batch_size = {fitting}, or set data.per_class to a share of the batch"
        )
    rng = generator(seed, epoch)
    each = batch_size // len(classes)
    batches = -(-rows // batch_size)
    batches += -batches % world
    columns = [repeated(positions, batches * each, rng).reshape(batches, each) for positions in classes]
    mixed = rng.permuted(np.concatenate(columns, axis=1), axis=1)
    return np.ascontiguousarray(mixed[rank::world]).reshape(-1)
