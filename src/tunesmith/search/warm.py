"""What a new search is told of earlier ones: `Search(…, warm="studies/first")`.

Earlier trials must have the same score on the same scale: another metric, other validation rows or other units of a budget make them
mislead. They count no units and are not the best of the new search, whose own trials must come to that.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunesmith.records import DataError, Trial
from tunesmith.search.domains import Domain
from tunesmith.search.history import score_of
from tunesmith.search.space import Space, as_space


def earlier_trials(sources: Any, space: Space, max_budget: int) -> list[Trial]:
    """The trials of `sources` that fit the space, numbered from 0.

    A source is the folder of a study, a `Study` or a `Search`, an Optuna study, or trials; `sources` is one of them or a list. Left out are
    trials with values outside of the space or without one of its parameters that is not fixed, and those that never came to a score.
    Raises `DataError` where a source is none, or where nothing of all of them fits; `RunError` for a folder without a study.
    """
    found = [trial for source in _each(sources) for trial in _of(source)]
    kept = warm(space, found, max_budget)
    if found and not kept:
        names = Counter(name for trial in found for name in trial.change)
        raise DataError(
            f"none of the {len(found)} earlier trials fits the space: they have {', '.join(names)}, the space has {', '.join(space)}; "
            "give studies of the same parameters, or leave warm out"
        )
    return kept


def warm(space: Space | Mapping[str, Domain], trials: Iterable[Trial], max_budget: int | None = None) -> list[Trial]:
    """Trials of an earlier search as a new one may begin with them: those that fit the space and are over, numbered from 0.

    What the space has more than theirs must be fixed, or they are left out, as are values outside of it and trials without a score; what
    it has less is dropped. Trials that were at rest are so here, though nothing is left to go on with. With `max_budget` records beyond it are
    dropped.

    >>> from tunesmith.search.domains import Real
    >>> old = [Trial(id=7, change={"x": 0.5, "old": 1}, records=({"score": 1.0},), state="done"), Trial(id=8, change={"x": 9.0}, state="done")]
    >>> [(trial.id, trial.change) for trial in warm({"x": Real(0, 1)}, old)]
    [(0, {'x': 0.5})]
    """
    whole = as_space(space)
    kept: list[Trial] = []
    for trial in trials:
        config = whole.active({name: value for name, value in trial.change.items() if name in whole})
        if not whole.holds(config):
            continue
        records = trial.records[:max_budget]
        failed = trial.state == "failed"
        if not failed and not any(math.isfinite(score_of(record)) for record in records):
            continue
        state = trial.state if trial.state in ("done", "failed", "stopped") else "paused"
        if state == "done" and max_budget is not None and len(records) < max_budget:
            state = "paused"
        kept.append(
            replace(
                trial,
                id=len(kept),
                change=config,
                records=records,
                state=state,
                reason=trial.reason,
                spent=float(len(records)),
                checkpoint=None,
                parent=None,
            )
        )
    return kept


def _each(sources: Any) -> Sequence[Any]:
    if isinstance(sources, list | tuple) and not all(isinstance(one, Trial) for one in sources):
        return sources
    return [sources]


def _of(source: Any) -> Iterable[Trial]:
    from tunesmith.search.ask import Search
    from tunesmith.search.study import Study

    if isinstance(source, str | Path):
        return list(Study(source).trials)
    if isinstance(source, Study | Search):
        return list(source.trials)
    if isinstance(source, Sequence) and all(isinstance(one, Trial) for one in source):
        return source
    if hasattr(source, "study_name") and hasattr(source, "trials"):
        from tunesmith.search.optuna_study import from_optuna

        return from_optuna(source)[1]
    raise DataError(
        f"warm has a {type(source).__name__}; expected the folder of a study, a Study, an Optuna study, or a list of trials"
    )
