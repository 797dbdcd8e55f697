"""Rows a second by the size of the batch, and from which size on more rows bring nothing."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tunesmith.doctor.preflight import Bench
from tunesmith.doctor.preflight.courses import undisturbed

UPDATES = 5  # that are timed at each size, after one that is not; assumption: the median bears two disturbed ones
KNEE = 0.9  # of the most rows a second: the smallest batch that reaches it; assumption


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one size is."""

    rows: int
    seconds: float  # of an update, the median
    rows_a_second: float


def paces(bench: Bench, sizes: Sequence[int]) -> list[Pace]:
    """Times updates of a copy at each size, on rows drawn at random."""
    found = []
    with undisturbed(bench):
        twin = bench.twin()
        for rows in sizes:
            places = torch.from_numpy(bench.rng(f"pace {rows}").integers(0, len(bench.train), rows))
            batch, taken = bench.train.take(places), []
            for _ in range(UPDATES + 1):
                began = time.perf_counter()
                twin.step(batch)
                if bench.device.type == "cuda":
                    torch.cuda.synchronize(bench.device)
                taken.append(time.perf_counter() - began)
            seconds = sorted(taken[1:])[UPDATES // 2]
            found.append(Pace(rows, seconds, rows / max(seconds, 1e-9)))
    return found


def knee_of(found: Sequence[Pace]) -> int:
    """The smallest size that reaches nine tenths of the most rows a second.

    >>> knee_of([Pace(8, 0.1, 80.0), Pace(16, 0.1, 160.0), Pace(32, 0.19, 168.0)])
    16
    """
    most = max(one.rows_a_second for one in found)
    return min(one.rows for one in found if one.rows_a_second >= KNEE * most)


def sizes_up_to(most: int) -> list[int]:
    """Powers of two, and the last one.

    >>> sizes_up_to(20)
    [1, 2, 4, 8, 16, 20]
    """
    return sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {most})
