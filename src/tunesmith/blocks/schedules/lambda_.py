"""Your own factor: torch's `LambdaLR`."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Steps, Value
from tunesmith.records import RecipeError


@SCHEDULES.add("lambda")
def lambda_(steps: int = 1, rule: Callable[[int], float] | None = None) -> Schedule:
    """`rule`(t), checked at every step to be a finite number of 0 or more.

    `rule` takes the number of updates made, not the epoch. A recipe holds plain data and so no `rule`; there give the
    function as the schedule of the task, `Task(..., schedule=rule)`, which any function of the step may be.

    Use: a curve that the catalogue has not, with the checks that a plain function has not.

    >>> lambda_(rule=lambda step: 0.95 ** (step // 10))(10)
    0.95
    """
    if not callable(rule):
        raise RecipeError(
            f"lambda got the rule {rule!r}, a function of the step was expected; a recipe cannot hold one: use "
            "Task(..., schedule=your_function)"
        )

    def checked(step: int) -> float:
        value: Any = rule(step)
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not 0 <= found < math.inf:
            raise RecipeError(f"the rule gave {value!r} at step {step}; a finite number of 0 or more was expected")
        return found

    def factor(t: Steps, m: Maths) -> Value:
        if isinstance(t, int):
            return checked(t)
        return np.array([checked(one) for one in t.ravel().tolist()], np.float64).reshape(t.shape)

    return Curve(factor)
