"""Where a training pauses. The schedule's horizon does not depend on it."""

import re
from dataclasses import dataclass

from tunesmith.records.errors import RecipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """The first of these that is reached; all None for the end of the run."""

    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None


def until_of(asked: "int | str | Until | None") -> Until:
    """`3` or "3 epochs", "200 steps", "30 seconds". Raises `RecipeError` for anything else.

    >>> until_of("200 steps")
    Until(epochs=None, steps=200, seconds=None)
    """
    if asked is None:
        return Until()
    if isinstance(asked, Until):
        return asked
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(asked))
    amount, unit = (found.group(1), found.group(2)) if found else ("", "")
    if unit in ("", "epoch", "epochs", "ep") and amount.isdigit():
        return Until(epochs=int(amount))
    if unit in ("step", "steps", "update", "updates") and amount.isdigit():
        return Until(steps=int(amount))
    if unit in ("s", "second", "seconds") and amount:
        return Until(seconds=float(amount))
    raise RecipeError(
        f"until = {asked!r}: expected a number of epochs, or text such as '3 epochs', '200 steps' or '30 seconds'"
    )
