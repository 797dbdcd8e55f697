"""Distances between all pairs of many points, tile by tile, so that memory does not grow with the number of pairs.

Beside one centred copy of each set, a tile of distances takes at most `TILE_BYTES`, and up to four of that size are alive at
once (distances, what they are compared with, what is sorted of them). All distances of 50,000 by 50,000 points would take 20 GB
in double precision. Torch carries out the products, in as many threads as it was given.

Legend: |a - b|² = |a|² + |b|² - 2 a·b, with the mean of the first set taken off before: far from the origin the three terms are
large, and what is left of them is rounding.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

TILE_BYTES = 8 * 2**20  # measured: of 4 to 128 MiB the smaller are the faster, by up to a half; docs/log.md
NARROW = 64  # columns up to which single precision is made double; measured: docs/log.md


class Cloud(NamedTuple):
    """Centred points (N, D) and their squared norms (N,)."""

    points: Tensor
    norms: Tensor

    @property
    def rows(self) -> int:
        return len(self.points)

    def part(self, rows: slice) -> "Cloud":
        return Cloud(self.points[rows], self.norms[rows])

    def outward(self) -> "Cloud":
        """The same, its squared distances to another cloud larger by what rounding may have taken off them."""
        return Cloud(self.points, self.norms * (1 + rounding(self.points)))


def clouds(*sets: Tensor) -> list[Cloud]:
    """Sets of one width around the mean of the first; of few columns in double precision, where rounding moves counts."""
    centre = sets[0].mean(dim=0, dtype=torch.float64)
    kind = torch.float64 if len(centre) <= NARROW else sets[0].dtype
    moved = [each.to(kind) - centre.to(kind) for each in sets]
    return [Cloud(each, torch.linalg.vecdot(each, each)) for each in moved]


def rounding(points: Tensor) -> float:
    """By how much of |a|² + |b|² two computations of one squared distance may differ.

    In double precision by √D units and less (measured: docs/log.md), so twice that. In single precision so much would move the
    border of a ball in many dimensions more than rounding does: 4 units, which was enough wherever it was tried.
    """
    units = max(4.0, 2 * points.shape[1] ** 0.5) if points.dtype == torch.float64 else 4.0
    return units * torch.finfo(points.dtype).eps


def side(like: Tensor) -> int:
    """How many rows and columns a tile has, one at least."""
    return max(1, int((TILE_BYTES / like.element_size()) ** 0.5))


def slices(rows: int, each: int, start: int = 0) -> Iterator[slice]:
    """The rows in order, `each` at a time.

    >>> list(slices(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    yield from (slice(one, min(one + each, rows)) for one in range(start, rows, each))


def squared(one: Cloud, other: Cloud) -> Tensor:
    """Squared distances (N, M) of two clouds around one centre, never below 0."""
    found = one.norms[:, None] + other.norms
    return found.addmm_(one.points, other.points.T, alpha=-2).clamp_(min=0)


def across(one: Cloud, other: Cloud) -> Iterator[tuple[slice, slice, Tensor]]:
    """Tiles of squared distances between two clouds, with their rows and columns; all columns of some rows come together."""
    for rows in slices(one.rows, side(one.points)):
        for columns in slices(other.rows, side(one.points)):
            yield rows, columns, squared(one.part(rows), other.part(columns))


def within(cloud: Cloud) -> Iterator[tuple[slice, slice, Tensor]]:
    """Tiles on and above the diagonal of the squared distances of a cloud; `rows == columns` on the diagonal."""
    for rows in slices(cloud.rows, side(cloud.points)):
        for columns in slices(cloud.rows, side(cloud.points), start=rows.start):
            yield rows, columns, squared(cloud.part(rows), cloud.part(columns))


def neighbours(cloud: Cloud, k: int) -> Tensor:
    """Squared distance (N,) of each point to its k-th nearest other point: each tile is asked by rows and by columns."""
    best = torch.full((cloud.rows, k), torch.inf, dtype=cloud.norms.dtype, device=cloud.norms.device)
    for rows, columns, tile in within(cloud):
        if rows == columns:
            tile.fill_diagonal_(torch.inf)  # no point is its own neighbour
        best[rows] = _nearest(best[rows], tile, k)
        if rows != columns:
            best[columns] = _nearest(best[columns], tile.T, k)
    return best.max(dim=1).values


def _nearest(known: Tensor, tile: Tensor, k: int) -> Tensor:
    """The k smallest of what is known (N, k) and of a tile (N, M), in no order."""
    found = tile.topk(min(k, tile.shape[1]), dim=1, largest=False, sorted=False).values
    return torch.cat([known, found], dim=1).topk(k, dim=1, largest=False, sorted=False).values
