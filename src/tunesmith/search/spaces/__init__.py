"""Spaces from elsewhere: one file a source, none of which imports its library.

A member takes anything and gives a `Space`, or None where the thing is none of its kind.

>>> space_from({"lr": {"type": "float", "low": 1e-4, "high": 1, "log": True}, "depth": [1, 2, 3]})["depth"]
Choice(choices=(1, 2, 3), when=None)
"""

from collections.abc import Callable
from typing import Any

from tunesmith.records import Catalog, DataError
from tunesmith.search.space import Space

Source = Callable[[Any], Space | None]
SOURCES: Catalog[Source] = Catalog("source of spaces")
SOURCES.load(__path__, __name__)


def space_from(given: Any) -> Space:
    """The space that `given` describes.

    A dict of our domains, their plain forms, lists, frozen distributions of SciPy, distributions of Optuna or expressions of Hyperopt; a
    function `def space(trial): trial.suggest_float(…)` as for Optuna; an expression of Hyperopt; a `ConfigurationSpace`. Raises `DataError`
    for anything else, and for what a space of ours cannot hold.
    """
    if isinstance(given, Space):
        return given
    for name in SOURCES:
        space = SOURCES[name](given)
        if space is not None:
            return space
    raise DataError(
        f"a space came as {type(given).__name__}; expected a dict of parameters, a function of an Optuna trial, "
        "an expression of Hyperopt or a ConfigurationSpace"
    )


def is_of(given: Any, library: str) -> bool:
    """Whether the class of `given` comes from a library, asked without importing it."""
    return type(given).__module__.partition(".")[0] == library
