"""The product of schedules: each bends the others. torch's `ChainedScheduler` of multiplying schedulers."""

from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.blocks.schedules.building import made
from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.joining import multiplied
from tunesmith.blocks.schedules.units import length
from tunesmith.records import RecipeError


@SCHEDULES.add("product")
def product(steps: int, parts: Sequence[Schedule | Mapping[str, Any]] = ({"name": "cosine"},)) -> Schedule:
    """The factors of all `parts` multiplied, each counted from step 0.

    A part is a schedule, or a table such as {"name": "step", "gamma": 0.5} of a member and its settings. What a part
    listens to is kept; the momentum is that of the first part that moves it.

    Use: a plateau on top of a cosine, or stairs in a cycle; one curve is easier to reason about.

    >>> both = product(100, parts=[{"name": "linear"}, {"name": "step", "every": 50}])
    >>> [round(both(t), 3) for t in (0, 25, 50, 75)]
    [1.0, 0.75, 0.05, 0.025]
    """
    if isinstance(parts, str | Mapping) or not isinstance(parts, Sequence) or not parts:
        raise RecipeError(f'parts = {parts!r}: a list of tables such as [{{name = "cosine"}}] was expected')
    return multiplied(*(one(part, length(steps)) for part in parts))


def one(part: Schedule | Mapping[str, Any], steps: int) -> Schedule:
    """A part as a schedule."""
    if callable(part):
        return part
    if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
        raise RecipeError(f'the part {part!r} is no schedule, and no table with a name, such as {{name = "cosine"}}')
    settings = {key: value for key, value in part.items() if key != "name"}
    return made(SCHEDULES[part["name"]], part["name"], "schedule.extra.parts", steps, settings)
