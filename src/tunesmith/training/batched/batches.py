"""Batches of K trials, each in an order of its own, gathered for several steps at once."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tunesmith.records import DataError

GATHERED_BYTES = 2**22  # at once; assumption: many steps of small rows, and still within a cache


class Data(NamedTuple):
    """Inputs (N, …) and targets (N, …)."""

    x: Tensor
    y: Tensor


def held(X: Any, y: Any, like: Tensor) -> Data:
    """Rows as tensors on the device of `like`; floating ones in its type, labels as 64-bit numbers."""
    x, target = (torch.as_tensor(values).to(like.device) for values in (X, y))
    if len(x) != len(target) or not len(x):
        raise DataError(f"X has {len(x)} rows, y has {len(target)}; expected as many of both, at least one")
    x, target = (one.to(like.dtype) if one.is_floating_point() else one.long() for one in (x, target))
    return Data(x.contiguous(), target.contiguous())


def orders(rows: int, generators: Sequence[torch.Generator], *, shuffle: bool) -> Tensor:
    """The order of the rows of each trial, from its own generator on the CPU: `torch.randperm`. Shape: (K, rows)."""
    if not shuffle:
        return torch.arange(rows).expand(len(generators), rows)
    return torch.stack([torch.randperm(rows, generator=generator) for generator in generators])


def sizes(rows: int, batch_size: int, *, drop_last: bool) -> list[int]:
    """The sizes of the batches of an epoch.

    >>> sizes(10, 4, drop_last=False), sizes(10, 4, drop_last=True)
    ([4, 4, 2], [4, 4])
    """
    whole, rest = divmod(rows, batch_size)
    return [batch_size] * whole + ([rest] if rest and not drop_last else [])


def batches(data: Data, order: Tensor, wanted: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the `wanted` sizes by the order (K, rows): x (K, n, …), y (K, n, …), contiguous."""
    trials = len(order)
    row_bytes = trials * max(data.x[:1].numel() * data.x.element_size(), 1)
    first = 0
    for size, count in runs(wanted):
        most = max(GATHERED_BYTES // (row_bytes * size), 1)
        for begun in range(0, count, most):
            steps = min(most, count - begun)
            index = order[:, first : first + steps * size].reshape(trials, steps, size).transpose(0, 1).reshape(-1)
            index = index.to(data.x.device)
            gathered = [part.index_select(0, index).view(steps, trials, size, *part.shape[1:]) for part in data]
            yield from zip(gathered[0].unbind(0), gathered[1].unbind(0), strict=True)
            first += steps * size


def runs(values: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Values and how often each stands in a row.

    >>> list(runs([4, 4, 2]))
    [(4, 2), (2, 1)]
    """
    place = 0
    while place < len(values):
        count = 1
        while place + count < len(values) and values[place + count] == values[place]:
            count += 1
        yield values[place], count
        place += count
