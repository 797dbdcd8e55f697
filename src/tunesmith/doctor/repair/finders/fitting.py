"""How many rows fit into memory at once, tried: forward, backward and two updates of a copy on the worst case."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.doctor.preflight.forecast import free_bytes, memory
from tunesmith.doctor.repair.finders.worst import worst_batch
from tunesmith.training.recovery.exhausted import out_of_memory, release

Fault = Callable[
    [int, int], None
]  # rows and bytes of an update; raises torch.OutOfMemoryError beyond what there shall be
Bound = Literal["memory", "rows", "time"]

EXACT = 16  # the limit is known to a sixteenth of itself; assumption
STATES = 2  # numbers an optimizer may keep for each weight: Adam's


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try."""

    rows: int
    fits: bool
    bytes: int  # the most that was held: measured on a GPU; else what autograd keeps, weights, gradients and optimizer state
    why: str = ""  # it does not fit


@dataclass(frozen=True, slots=True)
class Fitting:
    """What fits, and what the search was bounded by."""

    most: int  # rows; 0 where not even one fits
    bound: Bound
    attempts: tuple[Attempt, ...]


def fitting(bench: Bench, *, most: int, seconds: float, margin: float, fault: Fault | None = None) -> Fitting:
    """Doubles the rows, from the program's own batch on, until they do not fit; then halves the distance (from 0, where its own does not).

    `most` bounds the rows, `seconds` the time.

    Where the machine gives memory until it falls over (a CPU), what would take more than is free less the `margin` is forecast from the
    try before, and not tried.
    """
    made: list[Attempt] = []
    began, rows, fits = bench.clock.spent(), max(1, min(bench.program.batch_size, most)), 0
    bound: Bound = "rows"
    while rows <= most:
        if fits and bench.clock.spent() - began > seconds:
            bound = "time"
            break
        made.append(_tried(bench, rows, made, margin, fault))
        if not made[-1].fits:
            bound = "memory"
            break
        fits = rows
        rows = min(2 * rows, most) if rows < most else most + 1
    low, high = fits, made[-1].rows if bound == "memory" else 0
    while bound == "memory" and high - low > max(1, low // EXACT) and bench.clock.spent() - began <= 2 * seconds:
        middle = (low + high) // 2
        made.append(_tried(bench, middle, made, margin, fault))
        low, high = (middle, high) if made[-1].fits else (low, middle)
    return Fitting(low, bound, tuple(made))


def _tried(bench: Bench, rows: int, before: list[Attempt], margin: float, fault: Fault | None) -> Attempt:
    device = bench.device
    known = [one for one in before if one.fits]
    if device.type != "cuda" and len(known) > 1:
        first, last = known[0], max(known, key=lambda one: one.rows)
        each = (last.bytes - first.bytes) / max(1, last.rows - first.rows)
        needed, free = int(last.bytes + each * (rows - last.rows)), free_bytes(device)
        if free and needed - last.bytes > (1 - margin) * free:
            return Attempt(rows, False, needed, "forecast")
    with undisturbed(bench):
        try:
            attempt = Attempt(rows, True, _held(bench, rows, fault))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            attempt = Attempt(rows, False, 0, " ".join(str(error).split())[:160])
    if device.type == "cuda" or not attempt.fits:
        release(device)
    return attempt


def _held(bench: Bench, rows: int, fault: Fault | None) -> int:
    """The most bytes held by two updates: the second has the optimizer's state beside it."""
    twin, batch = bench.twin(), worst_batch(bench, rows)
    cuda = bench.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(bench.device)
    counted = 0 if cuda and fault is None else _counted(twin, batch)
    if fault is not None:
        fault(rows, counted)
    for _ in range(2):
        twin.step(batch)
    if not cuda:
        return counted
    torch.cuda.synchronize(bench.device)
    return int(torch.cuda.max_memory_allocated(bench.device))


def _counted(twin: Twin, batch: object) -> int:
    parts = memory(twin, batch)  # type: ignore[arg-type]
    return int(sum(parts.values()) + STATES * parts["gradients"])
