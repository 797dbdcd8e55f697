"""The groups of rows on which a model is worse than on the rest, in words: only those that chance does not explain."""

from collections.abc import Mapping
from typing import Any

from tunesmith.reports.wording import counted, score

NAMED = 3  # in one line


def worse(told: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Those that are worse beyond chance, the surest first."""
    return [one for one in told["slices"] if one["worse"]] if told else []


def named(one: Mapping[str, Any]) -> str:
    """
    >>> named({"by": "age", "name": "28 or less"})
    'age 28 or less'
    """
    return f"{one['by']} {one['name']}"


def worst_groups(told: Mapping[str, Any] | None) -> str:
    """One line about the surest ones; "" where there are none.

    >>> young = {"by": "age", "name": "28 or less", "count": 412, "score": 0.81, "rest": 0.88, "worse": True}
    >>> worst_groups({"metric": "accuracy", "slices": [young]})
    'age 28 or less (412 rows): accuracy 0.8100 beside 0.8800 of the rest'
    """
    if told is None:
        return ""
    found = worse(told)
    shown = [
        f"{named(one)} ({counted(one['count'], 'row')}): {told['metric']} {score(one['score'])} beside {score(one['rest'])} of the rest"
        for one in found[:NAMED]
    ]
    more = len(found) - len(shown)
    return "; ".join([*shown, f"{counted(more, 'more group')}, see the report"] if more else shown)
