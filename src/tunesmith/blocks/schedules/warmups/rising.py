"""What the warm-ups that rise by a shape have in common."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.curve import Curve, Maths, Value
from tunesmith.blocks.schedules.units import length, level

Start: TypeAlias = float | Literal["auto"]


def rising(steps: int, start: Start, shape: Callable[[Value, Maths], Value]) -> Schedule:
    """`start` + (1 - `start`) shape(t / W), or shape((t + 1) / W) for "auto"; shape goes from 0 at 0 to 1 at 1."""
    span = length(steps, 0)
    if not span:
        return Curve(lambda t, m: 1.0)
    if start == "auto":
        return Curve(lambda t, m: shape(m.minimum((t + 1) / span, 1.0), m))
    low = level(start, "start", 1.0)
    return Curve(
        lambda t, m: m.either(t >= span, lambda: 1.0, lambda: low + (1 - low) * shape(m.minimum(t / span, 1.0), m))
    )


def first(start: Start, usual: float) -> float:
    """The factor at the beginning of a warm-up that does not rise by itself."""
    return usual if start == "auto" else level(start, "start", 1.0)
