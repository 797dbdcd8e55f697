"""Short trainings of copies at one rate each, made once, on the same rows in the same order."""

import math
import time
from dataclasses import dataclass

from tunesmith.doctor.preflight import Bench, Twin
from tunesmith.doctor.preflight.courses import (
    Course,
    Each,
    Variation,
    course,
    flatten,
    judge_rows,
    scale_rates,
)
from tunesmith.doctor.preflight.scoring import judged
from tunesmith.doctor.repair.finders.groups import main_group, peaks
from tunesmith.doctor.repair.finders.schedule import at, hold, written_down
from tunesmith.training.batch import Batch

HELD_ROWS = (
    4000  # validation rows that a training is judged on; assumption: a loss is known to a hundredth of its spread
)
A_DECADE = 8  # places of the grid of rates: neighbours are a factor of 1.33 apart


def rate_at(place: int) -> float:
    """The rate at a place of the grid.

    >>> rate_at(-16), rate_at(0)
    (0.01, 1.0)
    """
    return float(f"{10.0 ** (place / A_DECADE):.3g}")


def place_of(rate: float) -> int:
    """The place of the grid nearest to a rate."""
    return round(A_DECADE * math.log10(rate))


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a training at one rate."""

    rate: float  # of the main group, at the peak of the schedule
    steps: int
    seed: int
    loss: float  # on training rows, evaluation mode
    held: float  # on validation rows; nan where there are none
    fell: float  # by how much the training loss fell from where the program began
    seconds: float
    broke: str = ""

    @property
    def merit(self) -> float:
        """The loss that rates are compared by, lower is better: on validation rows where there are any."""
        value = self.loss if math.isnan(self.held) else self.held
        return value if not self.broke and math.isfinite(value) else math.inf


class Trials:
    """The trainings, and what they cost."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.top = peaks(bench)
        self.unit = self.top[main_group(bench)]
        self.schedule = written_down(bench)
        self.made: dict[tuple[int, int, int], Tried] = {}
        self.updates = 0  # made in all
        self.seconds = 0.0
        self.rows = self._rows()
        self.start, self.start_held = self._judged(bench.twin())

    def _rows(self) -> Batch | None:
        return None if self.bench.val is None else self.bench.batch(HELD_ROWS, "finders", self.bench.val)

    def _judged(self, twin: Twin) -> tuple[float, float]:
        """The loss on training and on validation rows."""
        held = math.nan if self.rows is None else judged(self.bench, twin, self.rows)[0]
        return judged(self.bench, twin, judge_rows(self.bench))[0], held

    def at(self, place: int, steps: int, seed: int = 0) -> Tried:
        """A training of `steps` updates at the rate of a place of the grid."""
        key = (place, steps, seed)
        if key not in self.made:
            self.made[key] = self._trained(rate_at(place), steps, seed)
        return self.made[key]

    def _trained(self, rate: float, steps: int, seed: int) -> Tried:
        began = time.perf_counter()
        bench, factor = self.bench, rate / self.unit
        twin = bench.twin()
        told = course(bench, Variation(), steps, seed=seed, start=twin, each=self._followed(twin, factor, steps))
        held = math.nan
        if not told.broke and self.rows is not None:
            held = judged(bench, twin, self.rows)[0]
        self.updates += told.steps
        taken = time.perf_counter() - began
        self.seconds += taken
        return Tried(rate, steps, seed, told.loss, held, self.start - told.loss, taken, told.broke)

    def _followed(self, twin: Twin, factor: float, steps: int) -> Each:
        """Sets the first rates, and gives what sets the next ones after each update."""
        if self.bench.program.loop is not None:
            scale_rates(twin, factor)
            return _nothing
        if self.schedule is None:
            flatten(twin)
            twin.scheduler = None
            scale_rates(twin, factor)
            return _nothing
        table, twin.scheduler = self.schedule, None
        hold(twin, at(table, 0, steps), self.top, factor)

        def follow(twin: Twin, told: Course) -> None:
            hold(twin, at(table, told.steps, steps), self.top, factor)

        return follow


def _nothing(twin: Twin, told: Course) -> None:
    """The rates stay, or are the loop's own affair."""
