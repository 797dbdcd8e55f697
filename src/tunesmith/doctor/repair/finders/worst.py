"""Batches of the worst case: as many rows as wanted, each as long as the longest."""

import time

import torch
from torch import Tensor

from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.source import Source
from tunesmith.training.batch import Batch
from tunesmith.training.feeds import Rows

LOOKED = 4096  # rows whose size is looked at, at random; assumption: of a thousandth of longest ones four are met
ALIKE = 64  # first rows of one size: then all are
SECONDS = 5.0  # that the looking may take; assumption


def longest_row(bench: Bench) -> int | None:
    """The row with most numbers; None where all are alike (as far as was looked)."""
    return bench.kept("finders.longest", lambda: _longest(bench, bench.train))


def _longest(bench: Bench, source: Source) -> int | None:
    if isinstance(source.data, Rows) and source.data.lengths:
        lengths = next(iter(source.data.lengths.values()))
        return int(lengths.argmax()) if int(lengths.min()) < int(lengths.max()) else None
    if source.loader is None and (isinstance(source.data, tuple | Rows)):
        return None  # tensors: every row has the same shape
    order = bench.rng("longest").permutation(len(source))[:LOOKED]
    sizes: list[int] = []
    until = time.perf_counter() + SECONDS
    for place in order.tolist():
        batch = source.take([place])
        sizes.append(_numbers(batch.inputs) + batch.target.numel())
        if time.perf_counter() > until or (len(sizes) == ALIKE and len(set(sizes)) == 1):
            break
    if len(set(sizes)) == 1:
        return None
    return int(order[max(range(len(sizes)), key=sizes.__getitem__)])


def _numbers(tree: object) -> int:
    if isinstance(tree, Tensor):
        return tree.numel()
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, tuple | list) else ()
    return sum(_numbers(each) for each in parts)


def worst_batch(bench: Bench, rows: int) -> Batch:
    """`rows` rows: the longest one over and over, or any rows where all are alike (again from the first where there are fewer)."""
    place = longest_row(bench)
    places = torch.arange(rows) % len(bench.train) if place is None else torch.full((rows,), place)
    return bench.train.take(places)
