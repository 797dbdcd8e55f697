"""A leap of the training loss that lasts, against the robust noise of the losses before it.

The bar is that of the rule loss.spike, with more of what was won to be lost before anything is done; three of five losses must
be above it: one batch alone is a batch.
"""

import math
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tunesmith.records.state import State

KEY = "recent"  # its key in `state.progress`
WINDOW = 32  # losses that the bar is made of
EVERY = 16  # losses between two bars: sorting them at each update would cost more than it tells
MAD = 1.4826  # median absolute deviation to standard deviation, for a Gaussian
HEIGHT = 8.0  # robust deviations, as in the rule loss.spike
EXCURSION = 3.0  # times the largest excursion among the recent ones, as there
WON = 0.25  # of what the run had won by then; assumption: what is done costs more than what is said
FLOOR = 0.1  # of the level, as there
FEW = 8  # losses that the run began with
LASTS = 5  # updates that are looked at before anything is done,
MOST = 3  # and how many of them lie above the bar
FASTER = 2.0  # times the recent rate: then a rise is the schedule's own, unless all that was won is lost twice over; assumption


@dataclass(slots=True)
class Spikes:
    """Sees each loss once, in order; what it knows lies in `state.progress` and goes back with it."""

    losses: list[float] = field(default_factory=list)  # the latest that were no leap
    rates: list[float] = field(default_factory=list)  # theirs
    first: list[float] = field(default_factory=list)
    taken: int = 0
    bar: float = math.inf
    level: float = math.nan
    onset: int = -1  # the update whose loss leapt; -1 where none is in doubt
    since: list[float] = field(default_factory=list)  # losses from the onset on

    def see(self, step: int, loss: float, rate: float) -> bool:
        """Whether it is now certain that the loss leapt at `onset`, and stays up."""
        if self.onset < 0:
            if not self._above(loss, rate):
                self._take(loss, rate)
                return False
            self.onset, self.since = step, []
        self.since.append(loss)
        if len(self.since) < LASTS:
            return False
        if sum(self._above(one, rate) for one in self.since) >= MOST:
            return True
        passed, self.since, self.onset = self.since, [], -1
        for one in passed:
            self._take(one, rate)
        return False

    def _above(self, loss: float, rate: float) -> bool:
        if not loss <= self.bar:  # NaN is above
            if self.rates and rate > FASTER * median(self.rates):
                begun = median(self.first)
                return not loss <= max(self.bar, begun + abs(begun - self.level))
            return math.isfinite(self.bar)
        return False

    def _take(self, loss: float, rate: float) -> None:
        if not math.isfinite(loss):
            return
        if len(self.first) < FEW:
            self.first.append(loss)
        self.losses.append(loss)
        self.rates.append(rate)
        self.taken += 1
        if len(self.losses) > WINDOW:
            del self.losses[0], self.rates[0]
        if self.taken % EVERY == 0:  # a count, not the clock: the same run has the same bars
            self._set_bar()

    def _set_bar(self) -> None:
        level = median(self.losses)
        noise = MAD * median(abs(one - level) for one in self.losses)
        won = max(0.0, median(self.first) - level)
        reach = max(self.losses) - level
        self.level = level
        self.bar = level + max(HEIGHT * noise, EXCURSION * reach, WON * won, FLOOR * abs(level))
        if len(self.losses) < WINDOW:  # too few to know their noise: what leaps must be far beyond where the run began
            self.bar = max(self.bar, EXCURSION * max(abs(one) for one in self.losses))

    @property
    def usual_rate(self) -> float:
        return median(self.rates)

    def forget(self) -> None:
        """The leap in doubt was dealt with."""
        self.onset, self.since = -1, []

    def write(self, state: State) -> None:
        state.progress[KEY] = self.as_dict()

    def as_dict(self) -> dict[str, Any]:
        """Plain data; `dataclasses.asdict` copies number by number, which is felt at each snapshot."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(value) if isinstance(value, list) else value for name, value in told.items()}

    def read(self, state: State) -> None:
        told: dict[str, Any] = state.progress.get(KEY, Spikes().as_dict())
        for name, value in told.items():
            setattr(self, name, list(value) if isinstance(value, list) else value)
