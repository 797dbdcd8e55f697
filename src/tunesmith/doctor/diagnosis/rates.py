"""The course of the rate: where it peaks, falls, is raised again, and what the loss did there."""

from dataclasses import dataclass

import numpy as np

from tunesmith.doctor.diagnosis.views import View
from tunesmith.runs.history import Floats

TWICE = 1.5  # times the rate before: a raise or a cut
NOTHING = 1e-3  # of the peak: below it nothing is learnt; [playbook: 1 %], a decade below


@dataclass(frozen=True, slots=True)
class Course:
    """The rate over the run; `at` on the axis."""

    at: Floats
    values: Floats

    @property
    def peak(self) -> float:
        return float(self.values.max())

    @property
    def constant(self) -> bool:
        return bool(self.values.max() <= self.values.min() * 1.01)

    @property
    def gone(self) -> float | None:
        """Where the rate fell below a thousandth of its peak for good; None where it did not."""
        low = self.values < NOTHING * self.peak
        if not low[-1]:
            return None
        above = np.flatnonzero(~low)
        index = int(above[-1]) + 1 if len(above) else 0
        return float(self.at[index])

    def raises(self) -> list[int]:
        """Where, after its first peak, it is raised again by half or more within a few values."""
        top = int(np.argmax(self.values >= 0.99 * self.peak))
        found: list[int] = []
        for index in range(top + 1, len(self.values)):
            low = float(self.values[max(top, index - 3) : index].min())
            if self.values[index] > TWICE * low and (not found or index - found[-1] > 3):
                found.append(index)
        return found

    def late_raises(self) -> list[int]:
        """Where, after a fifth of the run or more without a raise, it is raised in one step by half or more."""
        ratio = self.values[1:] / np.maximum(self.values[:-1], 1e-300)
        quiet = max(3, len(self.values) // 5)
        found = [int(index) + 1 for index in np.flatnonzero(ratio > TWICE)]
        return [index for index in found if index >= quiet and not (ratio[index - quiet : index - 1] > 1.001).any()]

    def cuts(self) -> list[int]:
        """Where it is cut in one step to two thirds or less, between stretches of no change."""
        ratio = self.values[1:] / np.maximum(self.values[:-1], 1e-300)
        return [int(index) + 1 for index in np.flatnonzero(ratio < 1 / TWICE)]


def course(seen: View) -> Course | None:
    """None where the log has no rate, or fewer than three values of it."""
    if seen.rate is None:
        return None
    kept = seen.rate.finite
    if len(kept) < 3 or float(kept.values.max()) <= 0:
        return None
    return Course(kept.steps, kept.values)


def saw_tooth(seen: View) -> bool:
    """Whether the rate is raised again and again: warm restarts, cycles. The loss then swings with it by design."""
    rate = course(seen)
    return rate is not None and len(rate.raises()) >= 2
