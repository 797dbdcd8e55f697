"""One column as it is read: kept whole while short, in stretches with lowest, mean and highest once long."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tunesmith.runs.history import LONGEST, Floats

FIELDS = ("rows", "steps", "epochs", "values", "low", "high")
PENDING = 8192  # assumption: points gathered before they are put away; numpy pays from some thousands on


@dataclass(frozen=True, slots=True)
class Column:
    """What came of a column: arrays of equal length in the order of the log, first row, step and epoch of each stretch."""

    rows: Floats
    steps: Floats  # NaN where the log had told none
    epochs: Floats
    values: Floats
    low: Floats
    high: Floats
    counted: int
    broken: int = 0  # values that are not finite

    def __len__(self) -> int:
        return len(self.values)

    def part(self, kept: npt.NDArray[np.bool_] | slice) -> "Column":
        cut = replace(self, **{name: getattr(self, name)[kept] for name in FIELDS})
        return cut if self.counted > len(self) else replace(cut, counted=len(cut))


class Points:
    """Grows by arrays and holds at most twice `longest` stretches.

    A stretch is the mean of its finite values; the one with the first value that is not finite keeps that value, so that
    a long log does not lose it.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self.longest, self.width, self.counted, self.broken = longest, 1, 0, 0
        self.waiting: list[npt.NDArray[np.float64]] = []
        self.number_waiting = 0
        self.kept = np.empty((7, 0))  # row, step, epoch, mean, low, high, finite values
        self.first_broken: tuple[float, float] | None = None

    def extend(self, rows: Floats, steps: Floats, epochs: Floats, values: Floats) -> None:
        """Arrays (N,) in the order of the log."""
        self.waiting.append(np.stack([rows, steps, epochs, values]))
        self.number_waiting += len(values)
        self.counted += len(values)
        if self.number_waiting >= max(PENDING, self.width):
            self._settle()

    def column(self) -> Column:
        """What has been read so far."""
        self._settle(whole=True)
        while self.kept.shape[1] > self.longest:
            self.kept = merged(self.kept, 2)
        rows, steps, epochs, values, low, high, _ = self.kept
        if self.first_broken and self.counted > len(values):
            row, value = self.first_broken
            values = values.copy()
            values[max(int(np.searchsorted(rows, row, "right")) - 1, 0)] = value
        return Column(rows, steps, epochs, values, low, high, self.counted, self.broken)

    def _settle(self, whole: bool = False) -> None:
        if not self.waiting:
            return
        new = np.concatenate(self.waiting, axis=1)
        full = new.shape[1] if whole else new.shape[1] // self.width * self.width
        self.waiting, self.number_waiting = [new[:, full:]] if full < new.shape[1] else [], new.shape[1] - full
        new = new[:, :full]
        finite = np.isfinite(new[3])
        if not finite.all():
            first = int(np.argmin(finite))
            self.first_broken = self.first_broken or (float(new[0, first]), float(new[3, first]))
            self.broken += int((~finite).sum())
        kept = np.concatenate([new, new[3:4], new[3:4], finite[None].astype(np.float64)])
        self.kept = np.concatenate([self.kept, merged(kept, self.width) if self.width > 1 else kept], axis=1)
        while self.kept.shape[1] > 2 * self.longest:
            self.kept, self.width = merged(self.kept, 2), 2 * self.width


def merged(kept: Floats, width: int) -> Floats:
    """Stretches (7, N) put together by `width` neighbours, the last perhaps of fewer."""
    starts = np.arange(0, kept.shape[1], width)
    if not len(starts):
        return kept
    finite, shares = np.add.reduceat(kept[6], starts), kept[6]
    mean, low, high = (np.where(np.isfinite(row), row, np.nan) for row in kept[3:6])
    weight = shares / np.repeat(
        np.maximum(finite, 1), np.diff(starts, append=kept.shape[1])
    )  # at most 1: no sum overflows
    low, high = np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts)
    mean = np.add.reduceat(np.where(shares > 0, mean * weight, 0.0), starts)
    mean = np.where(finite > 0, np.clip(mean, low, high), np.nan)
    return np.stack([*(row[starts] for row in kept[:3]), mean, low, high, finite])
