"""Coarser levels of a long curve: lowest, mean and highest value of 256 points, and of 256 times 256."""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]

WIDTH = 256  # points a bucket; a bucket of level 2 holds as many of level 1
LEVELS = 2


class Buckets(NamedTuple):
    """Runs of neighbouring points. `finite` of `size` points enter low, mean and high; without any these are NaN."""

    first: Whole  # step of the first point
    last: Whole
    size: Whole
    finite: Whole
    low: Floats
    mean: Floats
    high: Floats

    def part(self, start: int, stop: int | None = None) -> "Buckets":
        return Buckets._make(field[start:stop] for field in self)


class Curve(NamedTuple):
    """A curve ready to be drawn, one entry a bucket, `steps` the first step of each."""

    steps: Whole
    low: Floats
    mean: Floats
    high: Floats


def of_points(steps: Whole, values: Floats) -> Buckets:
    """Every point a bucket of its own."""
    finite = np.isfinite(values)
    kept = np.where(finite, values, np.nan)
    return Buckets(steps, steps, np.ones_like(steps), finite.astype(np.int64), kept, kept, kept)


def joined(pieces: list[Buckets]) -> Buckets:
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return of_points(np.empty(0, np.int64), np.empty(0, np.float64))
    return Buckets._make(np.concatenate(field) for field in zip(*pieces, strict=True))


def merged(buckets: Buckets, starts: Whole) -> Buckets:
    """One bucket for each stretch that begins at an index of `starts`; the first of them is 0."""
    if not len(starts):
        return buckets.part(0, 0)
    lengths = np.diff(starts, append=len(buckets.first))
    finite = np.add.reduceat(buckets.finite, starts)
    share = buckets.finite / np.repeat(np.maximum(finite, 1), lengths)  # weights of at most 1: no sum overflows
    low, high = np.fmin.reduceat(buckets.low, starts), np.fmax.reduceat(buckets.high, starts)
    mean = np.add.reduceat(np.where(buckets.finite > 0, buckets.mean * share, 0.0), starts)
    mean = np.where(finite > 0, np.clip(mean, low, high), np.nan)
    last = buckets.last[starts + lengths - 1]
    return Buckets(buckets.first[starts], last, np.add.reduceat(buckets.size, starts), finite, low, mean, high)


def coarser(buckets: Buckets) -> tuple[Buckets, Buckets]:
    """Full buckets of the next level, and what is left over for the next one."""
    whole = len(buckets.first) // WIDTH * WIDTH
    if not whole:
        return joined([]), buckets
    return merged(buckets.part(0, whole), np.arange(0, whole, WIDTH)), buckets.part(whole)


def thinned(buckets: Buckets, points: int) -> Curve:
    """At most `points` buckets, each of about as many points."""
    if len(buckets.first) > points:
        position = np.cumsum(buckets.size) - buckets.size
        group = position * points // int(buckets.size.sum())
        buckets = merged(buckets, np.flatnonzero(np.diff(group, prepend=-1)))
    return Curve(buckets.first, buckets.low, buckets.mean, buckets.high)


def packed(buckets: Buckets) -> bytes:
    """As bytes: the columns one after the other, eight bytes a number, lowest byte first."""
    return b"".join(field.astype(field.dtype.newbyteorder("<")).tobytes() for field in buckets)


def unpacked(data: bytes) -> Buckets:
    columns = np.frombuffer(data, dtype="<i8").reshape(len(Buckets._fields), -1)
    whole, real = columns[:4].astype(np.int64, copy=False), columns[4:].view("<f8").astype(np.float64, copy=False)
    return Buckets(*whole, *real)
