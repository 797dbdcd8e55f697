"""Marks, spans and levels as settings name them, checked and in updates."""

import math
import numbers
import operator
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tunesmith.records import RecipeError
from tunesmith.records.derived import updates_of
from tunesmith.records.sections import AMOUNT

WITH_UNIT = re.compile(AMOUNT.replace(")?$", ")$"))


def updates(value: float | str, steps: int, name: str) -> int:
    """A point or span of the run: a share of it below 1, a number of updates, or an amount such as "0.1dur".

    Epochs and samples can be counted only where the data are known: `build` does so for a recipe.

    >>> updates(0.5, 200, "decay"), updates(30, 200, "decay"), updates("0.1dur", 200, "decay")
    (100, 30, 20)
    """
    if isinstance(value, str) and re.fullmatch(AMOUNT, value):
        return amount(value, steps, name)
    if isinstance(value, str) or not _number(value) or value <= 0 or (value >= 1 and value != int(value)):
        raise RecipeError(
            f"{name} = {value!r}: a share of the run between 0 and 1, or a whole number of updates was expected, or an "
            'amount such as "0.1dur"'
        )
    return int(value) if value >= 1 else max(round(value * steps), 1)


def amount(
    value: str, steps: int, name: str, *, per_epoch: int | None = None, effective_batch: int | None = None
) -> int:
    """An amount in updates. Raises `RecipeError` for epochs or samples where it is not known how many updates make one."""
    for unit, known, what in (
        ("ep", per_epoch, "updates an epoch has"),
        ("samples", effective_batch, "rows a batch has"),
    ):
        if value.endswith(unit) and not known:
            raise RecipeError(
                f'{name} = {value!r}: how many {what} is not known here; give a share such as "0.1dur", or "500updates"'
            )
    try:
        found = updates_of(value, steps, per_epoch or 1, effective_batch or 1)
    except RecipeError as error:
        raise RecipeError(f"{name}: {error}") from None
    if not found:
        raise RecipeError(f"{name} = {value!r}: an amount above 0 was expected")
    return found


def resolved(value: Any, steps: int, name: str, *, per_epoch: int | None, effective_batch: int | None) -> Any:
    """A setting with the amounts in it, however deep, in updates; everything else as it is."""
    if isinstance(value, str) and WITH_UNIT.fullmatch(value):
        return amount(value, steps, name, per_epoch=per_epoch, effective_batch=effective_batch)
    if isinstance(value, list | tuple):
        return [resolved(one, steps, name, per_epoch=per_epoch, effective_batch=effective_batch) for one in value]
    if isinstance(value, dict):
        return {
            key: resolved(one, steps, f"{name}.{key}", per_epoch=per_epoch, effective_batch=effective_batch)
            for key, one in value.items()
        }
    return value


def length(steps: Any, least: int = 1, name: str = "steps") -> int:
    """A length in updates, or a count, as an int."""
    try:
        found = operator.index(steps)
    except TypeError:
        found = -1
    if found < least or isinstance(steps, bool):
        raise RecipeError(f"{name} = {steps!r}: a whole number, {least} or more, was expected")
    return found


def decay_factor(gamma: float, name: str = "gamma") -> float:
    """`gamma`, checked to shrink the rate."""
    if not _number(gamma) or not 0 < gamma <= 1:
        raise RecipeError(f"{name} = {gamma!r}: a factor above 0 and at most 1 was expected; 0.1 is usual for steps")
    return float(gamma)


def level(value: float, name: str, most: float = math.inf) -> float:
    """A factor or rate that cannot be negative."""
    if not _number(value) or not 0 <= value <= most or math.isinf(value):
        upper = "" if math.isinf(most) else f" and at most {most:g}"
        raise RecipeError(f"{name} = {value!r}: a number of 0 or more{upper} was expected")
    return float(value)


def above_zero(value: float, name: str, why: str = "") -> float:
    """A number that divides, or an exponent."""
    if not _number(value) or not 0 < value < math.inf:
        raise RecipeError(f"{name} = {value!r}: a number above 0 was expected{why and f'; {why}'}")
    return float(value)


def one_of(value: str, known: Sequence[str], name: str) -> str:
    """A word among those known."""
    if value not in known:
        raise RecipeError(f"{name} = {value!r}, expected one of {', '.join(known)}")
    return value


def marks_of(given: Sequence[float | str], steps: int, name: str, *, strict: bool = False) -> tuple[int, ...]:
    """Marks in updates, sorted; `strict` raises `RecipeError` where they do not rise.

    Two shares of a short run may fall on one update.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise RecipeError(f"{name} = {given!r}: a list of marks was expected, for example [0.5, 0.75]")
    found = [updates(mark, steps, name) for mark in given]
    pairs = pairwise(zip(found, given, strict=True))
    if strict and any(right < left or one == other for (left, one), (right, other) in pairs):
        raise RecipeError(
            f"{name} = {list(given)!r} are the updates {found}, which do not rise; sort them, name each once"
        )
    return tuple(sorted(found))


def heights(given: Sequence[float], peak: float | None, name: str, count: int) -> tuple[float, ...]:
    """Absolute rates as factors of the peak rate; without a `peak` the highest of them is the peak."""
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != count:
        raise RecipeError(f"{name} = {given!r}: {count} numbers were expected, one more than there are marks")
    found = [level(one, name) for one in given]
    top = max(found) if peak is None else peak
    return tuple(one / above_zero(top, "peak" if peak is not None else f"the highest of {name}") for one in found)


def momenta(least: float, most: float) -> tuple[float, float]:
    """The ends between which a momentum is cycled."""
    low, high = level(least, "base_momentum"), level(most, "max_momentum")
    if not low <= high < 1:
        raise RecipeError(f"base_momentum = {least!r}, max_momentum = {most!r}: expected base <= max < 1")
    return low, high


def _number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
