"""Samplers: the order of the rows in an epoch, a pure function of seed, epoch and rank, so resuming needs no state.

A sampler is called as `order(labels=…, rows=…, seed=…, epoch=…, batch_size=…, per_class=…, rank=…, world=…)` and gives
the int64 positions that this rank visits, in order; `batch_size` is that of one rank. All ranks compute the same order
and take disjoint places of it; where it does not divide evenly it is filled up with its own first positions, so that
every rank has the same length (`padding` says by how many).
"""

from typing import Protocol

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.records import Catalog, DataError


class Sampler(Protocol):
    """The positions of one epoch and rank."""

    def __call__(
        self,
        *,
        labels: Array | None,
        rows: int,
        seed: int,
        epoch: int,
        batch_size: int,
        per_class: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> Array: ...


SAMPLERS: Catalog[Sampler] = Catalog("sampler")
SAMPLERS.load(__path__, __name__)


def generator(seed: int, epoch: int) -> np.random.Generator:
    """The random numbers of one epoch: a counter-based generator keyed by both numbers."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch]))


def padding(rows: int, world: int) -> int:
    """How many positions are visited twice so that all ranks have as many.

    >>> padding(10, 4)
    2
    """
    return -rows % world


def share(order: Array, rank: int, world: int) -> Array:
    """Every `world`-th place of `order`, filled up from its start to a multiple of `world`."""
    filled = np.concatenate([order, np.resize(order, padding(len(order), world))]) if len(order) % world else order
    return np.ascontiguousarray(filled[rank::world])


def by_class(labels: Array | None, rows: int, name: str) -> list[Array]:
    """The positions of each class that has rows. Raises `DataError` where there are no classes to balance."""
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"the sampler {name!r} goes by the class of each row and this task has none; use data.sampler = 'shuffle'"
        )
    if len(labels) != rows:
        raise DataError(f"the sampler {name!r} got {len(labels)} labels for {rows} rows; it needs one label a row")
    by_label = np.argsort(labels, kind="stable")
    return np.split(by_label, np.flatnonzero(np.diff(labels[by_label])) + 1)


def repeated(positions: Array, count: int, rng: np.random.Generator) -> Array:
    """`count` of the positions: whole shuffled rounds and a part of one, so that two rows differ by one visit at most."""
    rounds = -(-count // len(positions))
    return np.concatenate([rng.permutation(positions) for _ in range(rounds)])[:count] if count else positions[:0]


def largest_remainder(quotas: Array, total: int) -> Array:
    """Whole numbers that add up to `total`, each its quota rounded down or up (Hamilton's method).

    >>> largest_remainder(np.array([1.5, 2.25, 0.25]), 4)
    array([2, 2, 0])
    """
    counts = np.floor(quotas + 1e-9).astype(np.int64)  # a quota of 2.9999999996 is 3 in exact arithmetic
    order = np.argsort(-(quotas - counts), kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    return counts
