"""What a search has done: trials in the order they were begun, with their scores as arrays.

Everything that proposes is a function of this alone (and of a generator), so that the same history gives the same proposal, on one
machine or fifty, now or in a replay.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from tunesmith.records import Trial

Floats = npt.NDArray[np.float64]
SCORE = "score"


class History(Sequence[Trial]):
    """Trials by number. A trial's id is its place; its `spent` counts the budget units it was trained for.

    `promised[id]`: the units a trial that runs was told to reach. A score that is no finite number is kept in the records, and the
    trial counts as failed.
    """

    def __init__(self, trials: Sequence[Trial] = ()) -> None:
        self._trials: list[Trial] = []
        self._scores: list[Floats] = []
        self._values: list[float] = []
        self._spent = 0
        self.promised: dict[int, int] = {}
        self.memo: dict[str, Any] = {}  # what the budget noted with its proposals, the latest of each name
        self.events = 0  # begun and told, in all
        self.earlier: tuple[Trial, ...] = ()  # of other studies: known to those that learn, and not of this search
        for trial in trials:
            self.put(trial)

    @overload
    def __getitem__(self, place: int) -> Trial: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Trial]: ...
    def __getitem__(self, place: int | slice) -> Trial | Sequence[Trial]:
        return self._trials[place]

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._trials)

    def put(self, trial: Trial) -> None:
        """Adds a trial, or puts it in the place of that of the same id."""
        scores = np.array([score_of(record) for record in trial.records], dtype=np.float64)
        if trial.id == len(self._trials):
            self._trials.append(trial)
            self._scores.append(scores)
            self._values.append(math.inf)
        else:
            self._spent -= len(self._scores[trial.id])
            self._trials[trial.id], self._scores[trial.id] = trial, scores
        self._spent += len(scores)
        finite = scores[np.isfinite(scores)]
        self._values[trial.id] = float(finite.min()) if len(finite) else math.inf
        self.events += 1

    def scores(self, id: int) -> Floats:
        """The scores of a trial by budget unit, (spent,); not finite where the trial went wrong."""
        return self._scores[id]

    def value(self, id: int) -> float:
        """The best finite score of a trial so far; infinite where there is none."""
        return self._values[id]

    def values(self) -> Floats:
        """The best finite score of every trial, (N,)."""
        return np.array(self._values, dtype=np.float64)

    @property
    def spent(self) -> int:
        """Budget units told of, over all trials."""
        return self._spent

    @property
    def promised_units(self) -> int:
        """Budget units that running trials were told to train and have not reported."""
        return sum(max(0, upto - len(self._scores[id])) for id, upto in self.promised.items())

    def best(self) -> Trial | None:
        """The trial with the best score of all; the earlier of two that are equal. None before the first score."""
        if not self._values or not math.isfinite(min(self._values)):
            return None
        return self._trials[self._values.index(min(self._values))]

    def begun(self, id: int, upto: int) -> None:
        """Trial `id` runs now, up to `upto`."""
        self.promised[id] = upto
        self._trials[id] = replace(self._trials[id], state="running")
        self.events += 1


def with_earlier(trials: Sequence[Trial]) -> History:
    """The history with the trials of earlier studies before its own, all numbered anew; itself where there are none."""
    history = as_history(trials)
    return as_history([*history.earlier, *history]) if history.earlier else history


def score_of(record: Mapping[str, Any]) -> float:
    """The score of one record; NaN where it has none."""
    value = record.get(SCORE)
    return math.nan if value is None else float(value)


def as_history(trials: Sequence[Trial]) -> History:
    """A history of any trials, numbered anew where their ids are no places; a `History` as it is."""
    if isinstance(trials, History):
        return trials
    return History([trial if trial.id == place else replace(trial, id=place) for place, trial in enumerate(trials)])
