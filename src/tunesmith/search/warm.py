"""What a new search is told of earlier ones: `Search(…, warm="studies/first")`.

Earlier trials must have the same score on the same scale: another metric, other validation rows or other units of a budget make them
mislead. They count no units and are not the best of the new search, whose own trials must come to that.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tunesmith.records import DataError, Trial
from tunesmith.search.optuna_study import from_optuna, warm
from tunesmith.search.space import Space


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
        return from_optuna(source)[1]
    raise DataError(
        f"warm has a {type(source).__name__}; expected the folder of a study, a Study, an Optuna study, or a list of trials"
    )
