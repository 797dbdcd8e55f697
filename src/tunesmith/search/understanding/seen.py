"""What the functions of this folder look at: places of configurations and comparable scores."""

import math
from collections.abc import Sequence

import numpy as np

from tunesmith.records import Trial
from tunesmith.search.history import History, as_history
from tunesmith.search.samplers.observed import Observed, observe
from tunesmith.search.space import Space


def compared(space: Space, trials: Sequence[Trial], enough: int | None = None) -> tuple[History, Observed]:
    """All trials, and those that can be compared: at the largest budget that `enough` of them have reached; half, where not said."""
    history = as_history(trials)
    begun = sum(1 for trial in history if trial.records)
    return history, observe(space, history, max(1, math.ceil(begun / 2)) if enough is None else enough, earlier=False)


def ranked(history: History) -> list[int]:
    """Ids of the trials with a finite score, best first; those that were stopped or failed are left out."""
    values = history.values()
    order = np.argsort(values, kind="stable")
    return [int(id) for id in order if np.isfinite(values[id]) and history[int(id)].state not in ("failed", "stopped")]
