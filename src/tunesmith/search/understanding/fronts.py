"""Trials that no other beats in everything: score against time, size, or whatever was measured."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith.records import DataError, Trial
from tunesmith.search.history import SCORE, History, as_history

Floats = npt.NDArray[np.float64]


def pareto(trials: Sequence[Trial], names: Sequence[str] = (SCORE, "seconds")) -> list[int]:
    """Ids of the trials that are on the front, by the first name rising. Smaller is better; a minus before a name turns it around.

    A value is that of the record with the best score, or of the trial's `values`, or its `spent`. Trials that lack one, and failed ones,
    are left out. Raises `DataError` for fewer than two names, and for one that no trial has.

    >>> told = [(1.0, 9), (2.0, 5), (3.0, 6), (4.0, 1)]
    >>> pareto([Trial(id=i, change={}, records=({"score": s, "seconds": t},), state="done") for i, (s, t) in enumerate(told)])
    [0, 1, 3]
    """
    ids, points = objectives(trials, names)
    return [ids[row] for row in front(points)]


def objectives(trials: Sequence[Trial], names: Sequence[str]) -> tuple[list[int], Floats]:
    """Ids, and (N, M) values to be made small, of the trials that have all of them."""
    if len(names) < 2:
        raise DataError(f"a front of {list(names)}; expected two names or more")
    history = as_history(trials)
    signs = np.array([-1.0 if name.startswith("-") else 1.0 for name in names])
    plain = [name.removeprefix("-") for name in names]
    rows, ids = [], []
    for trial in history:
        if trial.state == "failed" or not math.isfinite(history.value(trial.id)):
            continue
        values = [_value(history, trial, name) for name in plain]
        if all(map(math.isfinite, values)):
            rows.append(values)
            ids.append(trial.id)
    if not rows and len(history):
        raise DataError(f"no trial has finite {' and '.join(plain)}; expected names of what the records hold")
    return ids, np.array(rows, dtype=np.float64).reshape(len(rows), len(plain)) * signs


def _value(history: History, trial: Trial, name: str) -> float:
    if name == SCORE:
        return history.value(trial.id)
    if name == "spent":
        return float(trial.spent)
    scores = np.where(np.isfinite(history.scores(trial.id)), history.scores(trial.id), math.inf)
    record: Mapping[str, Any] = trial.records[int(scores.argmin())]
    value = record.get(name, trial.values.get(name))
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def front(points: Floats) -> list[int]:
    """Rows that no other row is as good as in all columns and better in one, by the first column rising. Equal rows all stay."""
    if not len(points):
        return []
    order = np.lexsort(points.T[::-1])
    kept: list[int] = []
    standing = np.empty((0, points.shape[1]))
    for row in order:
        point = points[row]
        beaten = (standing <= point).all(1) & (standing < point).any(1)
        if not beaten.any():
            kept.append(int(row))
            standing = np.vstack([standing, point])
    return kept
