"""Configurations that were tried more than once."""

from collections.abc import Mapping, Sequence

import numpy as np

from tunesmith.records import Evidence, Finding, Trial
from tunesmith.search.domains import Domain
from tunesmith.search.history import as_history
from tunesmith.search.samplers.observed import encode
from tunesmith.search.space import Space, as_space

DIGITS = 9  # places in [0, 1] that agree so far are the same


def groups(space: Space | Mapping[str, Domain], trials: Sequence[Trial]) -> list[list[int]]:
    """Ids of trials with one configuration, each group of two or more; in the order in which they came.

    >>> from tunesmith.search import Choice
    >>> groups({"a": Choice(["x", "y"])}, [Trial(id=i, change={"a": a}) for i, a in enumerate("xyxyx")])
    [[0, 2, 4], [1, 3]]
    """
    whole = as_space(space)
    rows = encode(whole, [trial.change for trial in trials], tuple(whole.searched))
    keys = np.round(np.nan_to_num(rows, nan=-1.0), DIGITS) + 0.0
    found: dict[bytes, list[int]] = {}
    for trial, key in zip(trials, keys, strict=True):
        found.setdefault(key.tobytes(), []).append(trial.id)
    return [ids for ids in found.values() if len(ids) > 1]


def duplicates(space: Space | Mapping[str, Domain], trials: Sequence[Trial]) -> list[Finding]:
    """One note where configurations came more than once: how many trainings were repeats, and how far their scores lie apart.

    The scores of repeats are worth something: they tell what two trainings of one configuration differ by.
    """
    history = as_history(trials)
    same = groups(space, history)
    if not same:
        return []
    repeats = sum(len(ids) - 1 for ids in same)
    spans = [float(np.ptp(known)) for ids in same if len(known := _finite(history.values()[ids])) > 1]
    values = {"repeats": repeats, "of": len(history), "groups": len(same), "apart": max(spans, default=0.0)}
    seen = Evidence(name="repeats", value=repeats, threshold=0)
    return [
        Finding(
            fault="search.duplicate",
            severity="note",
            message="search.duplicate",
            values=values,
            evidence=(seen,),
            status="confirmed",
            subject={"trials": [ids[:20] for ids in same[:20]]},
        )
    ]


def _finite(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return values[np.isfinite(values)]
