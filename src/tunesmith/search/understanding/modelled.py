"""The surrogate of the default search, taught by any trials: what it believes of a configuration at the end of a training."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from tunesmith.records import DataError, Trial
from tunesmith.search.budgets.auto import Manner
from tunesmith.search.freeze_thaw.encoding import Encoding
from tunesmith.search.freeze_thaw.scale import best_and_latest, time_left, warp
from tunesmith.search.freeze_thaw.surrogate import STRANGER, Points, Surrogate
from tunesmith.search.history import History, as_history
from tunesmith.search.space import Space

Floats = npt.NDArray[np.float64]
TRIES = 120  # of fitting its lengths: twice those of the default search, which fits anew on the way
LEAST = 3  # trials with a score
GRID = 2001  # points of the table by which its scale is turned around


@dataclass(frozen=True)
class Modelled:
    """`of`: mean and deviation, on the process's scale, at rows of units (N, D). `score`: scores of values on that scale."""

    encoding: Encoding
    of: Callable[[Floats], tuple[Floats, Floats]]
    score: Callable[[Floats], Floats]
    best: float  # of the scores, on the process's scale
    history: History


def modelled(space: Space, trials: Sequence[Trial], *, max_budget: int | None = None, seed: int = 0) -> Modelled:
    """The process of `trials`; failed ones count as bad at their end. `max_budget`: units of a whole training; None: the longest seen.

    Raises `DataError` for fewer than 3 trials with a score.
    """
    history = as_history(trials)
    values = history.values()
    known = [trial.id for trial in history if math.isfinite(values[trial.id]) or trial.state == "failed"]
    if np.isfinite(values).sum() < LEAST:
        raise DataError(
            f"{np.isfinite(values).sum()} trials have a score; expected {LEAST} or more for a model of them"
        )
    known = best_and_latest(values, known, Manner().seen)
    encoding = Encoding(space)
    end = max_budget or max(len(history.scores(id)) for id in known)
    units = np.array([encoding.units(history[id].change) for id in known]).reshape(len(known), len(encoding))
    failed = np.array([history[id].state == "failed" or not math.isfinite(values[id]) for id in known])
    latest = np.array([math.inf if bad else values[id] for id, bad in zip(known, failed, strict=True)])
    scaled = warp(latest)
    spent = np.array([end if bad else len(history.scores(id)) for id, bad in zip(known, failed, strict=True)])
    left = time_left(np.minimum(spent, end).astype(np.float64), end)
    points = Points(encoding.features(units), left, np.arange(len(known)), np.zeros(len(known)))
    model = Surrogate(encoding.group, len(encoding))
    model.fit(points, scaled(latest), np.random.default_rng(seed), TRIES)
    model.condition(points, scaled(latest))

    def of(rows: Floats) -> tuple[Floats, Floats]:
        strangers = np.full(len(rows), STRANGER)
        return model.predict(Points(encoding.features(rows), np.zeros(len(rows)), strangers, np.zeros(len(rows))))

    return Modelled(encoding, of, _turned_around(scaled, latest), float(scaled(latest).min()), history)


def _turned_around(scaled: Callable[[Floats], Floats], values: Floats) -> Callable[[Floats], Floats]:
    """From the process's scale to scores, by a table: a little below the best seen to well above the worst."""
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    room = max(high - low, 1e-12)
    if low > 0:
        scores = np.geomspace(low * (low / (low + room)), high + room, GRID)
    else:
        scores = np.linspace(low - room, high + room, GRID)
    table = scaled(scores)
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(table)) > 0])
    return lambda wanted: np.interp(wanted, table[rising], scores[rising])


def expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """How far below `best` a value of this mean and deviation lies on average, 0 where it lies above. Jones et al. (1998), eq. 15.

    >>> expected_improvement(np.array([0.0]), np.array([1.0]), 0.0).round(4).tolist()
    [0.3989]
    """
    z = (best - mean) / deviation
    found: Floats = deviation * (z * ndtr(z) + np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))
    return found
