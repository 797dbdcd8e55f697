"""Whether targets are the inputs of a later place of their sequence, as a batch shows it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

FARTHEST = 8  # steps that a forecast looks ahead at most; assumption
EQUAL = 0.97  # share of known positions that agree: begin, end and padding may not; assumption
EXACT = 1e-6  # of the variance, left over by a straight line: the same numbers in other units; assumption
SHORTEST = 4  # steps of a sequence; assumption
COLUMNS = 64  # of a series, more of which are not looked through; assumption


@dataclass(frozen=True, slots=True)
class Relation:
    """`target[:, i]` is `inputs[:, i + steps]`."""

    steps: int
    share: float  # of the positions, where they are whole numbers; 1 - residual variance, where they are not
    length: int  # steps of the inputs
    width: int  # steps of the target
    leaf: int  # which tensor of the inputs
    column: int | None  # of its last axis, where it has three
    whole: bool


def relation(inputs: Any, target: Tensor, rows: int) -> Relation | None:
    """How the targets follow from the inputs by a shift along axis 1; None where they do not. Rows lie on axis 0."""
    found: list[Relation] = []
    for place, leaf in enumerate(leaves(inputs)):
        if leaf.dim() < 2 or leaf.shape[0] != rows or leaf.shape[1] < SHORTEST or target.numel() % rows:
            continue
        whole = not leaf.is_floating_point() and not target.is_floating_point()
        wanted = target.reshape(rows, -1)
        for column, series in _series(leaf):
            if abs(wanted.shape[1] - series.shape[1]) > FARTHEST or wanted.shape[1] < SHORTEST:
                continue
            found += _shifts(series, wanted, place, column, whole)
    sure = [one for one in found if one.share >= (EQUAL if one.whole else 1 - EXACT)]
    return max(sure, key=lambda one: (round(one.share, 2), one.steps > 0, -abs(one.steps))) if sure else None


def _series(leaf: Tensor) -> list[tuple[int | None, Tensor]]:
    """(N, T) of each column."""
    if leaf.dim() == 2:
        return [(None, leaf)]
    if leaf.dim() == 3 and leaf.shape[2] <= COLUMNS:
        return [(column, leaf[:, :, column]) for column in range(leaf.shape[2])]
    return []


def _shifts(series: Tensor, wanted: Tensor, place: int, column: int | None, whole: bool) -> list[Relation]:
    length, width = series.shape[1], wanted.shape[1]
    told = []
    for steps in range(-2, FARTHEST + 1):
        first, last = max(0, -steps), min(width, length - steps)
        if last - first < max(SHORTEST - 1, width // 2):
            continue
        mine, theirs = series[:, first + steps : last + steps], wanted[:, first:last]
        share = _equal(mine, theirs) if whole else _straight(mine, theirs)
        told.append(Relation(steps, share, length, width, place, column, whole))
    return told


def _equal(series: Tensor, wanted: Tensor) -> float:
    """Share of the known positions that agree; 0 where there is nothing to tell one position from another."""
    known = wanted >= 0
    values = wanted[known]
    if int(known.sum()) < 8 or len(torch.unique(values)) < 3:
        return 0.0
    most = float(torch.unique(values, return_counts=True)[1].max()) / len(values)
    if most >= EQUAL:
        return 0.0
    return float((series == wanted)[known].double().mean())


def _straight(series: Tensor, wanted: Tensor) -> float:
    """1 - variance that a straight line leaves over."""
    one, two = series.reshape(-1).double(), wanted.reshape(-1).double()
    one, two = one - one.mean(), two - two.mean()
    size = float((one**2).sum() * (two**2).sum())
    if size <= 0 or not size < float("inf") or len(torch.unique(two)) < 3:
        return 0.0
    return float((one * two).sum() ** 2) / size


def leaves(tree: Any) -> Iterator[Tensor]:
    """The tensors of a tree that have dimensions."""
    if isinstance(tree, Tensor):
        if tree.dim() > 0:
            yield tree
    elif isinstance(tree, Mapping | tuple | list):
        for value in tree.values() if isinstance(tree, Mapping) else tree:
            yield from leaves(value)
