"""Settings of a simulation, checked as they come in: one sentence says what came and what was expected."""

import math
from typing import Any

import numpy as np

from tunesmith.generative.recursive.subject import Array
from tunesmith.records import DataError, RecipeError


def whole(least: int = 1, **given: Any) -> None:
    """Raises `RecipeError` for what is no whole number of `least` or more."""
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise RecipeError(f"{name} = {value!r}: a whole number, {least} or more, was expected")


def variance(name: str, given: Any, *, zero: bool = False) -> float:
    """A variance above 0, or 0 where that is allowed. Raises `RecipeError`."""
    sound = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
    if not sound or given < 0 or (given == 0 and not zero):
        raise RecipeError(f"{name} = {given!r}: a variance {'of 0 or more' if zero else 'above 0'} was expected")
    return float(given)


def numbers(given: Any, what: str, expected: str, dimensions: int) -> Array:
    """Finite numbers as float64 in so many dimensions. Raises `DataError`."""
    try:
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} came as {given!r:.60}; expected {expected}") from error
    if found.ndim != dimensions or not np.isfinite(found).all():
        raise DataError(f"{what} came with shape {found.shape}; expected {expected}, all finite")
    return found
