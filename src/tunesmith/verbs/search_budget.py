"""How much a search may spend, in words: trainings, epochs, trials or seconds."""

import math
import re
from dataclasses import dataclass

from tunesmith.records import DataError

SECONDS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
}
UNITS = ("epoch", "unit", "step", "row")
TRAININGS = ("", "training", "x")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """One of these is set."""

    trainings: float | None = None
    units: int | None = None
    trials: int | None = None
    seconds: float | None = None

    def total(self, max_budget: int) -> int | None:
        """Budget units in all, where these are what is limited."""
        if self.trainings is not None:
            return max(1, math.ceil(self.trainings * max_budget))
        return self.units


def amount_of(asked: int | float | str) -> Amount:
    """`20` or "20" full trainings, "540 epochs" (or units), "100 trials", "10m". Raises `DataError` for anything else.

    >>> amount_of("540 epochs").units, amount_of(2.5).trainings, amount_of("10m").seconds, amount_of("100 trials").trials
    (540, 2.5, 600.0, 100)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(asked).lower())
    amount, word = (float(found.group(1)), found.group(2)) if found else (0.0, "")
    unit = word if word in SECONDS or word in TRAININGS else word.removesuffix("s")
    whole = amount.is_integer()
    if amount > 0 and unit in TRAININGS:
        return Amount(trainings=amount)
    if amount > 0 and unit in SECONDS:
        return Amount(seconds=amount * SECONDS[unit])
    if amount > 0 and whole and unit in UNITS:
        return Amount(units=int(amount))
    if amount > 0 and whole and unit == "trial":
        return Amount(trials=int(amount))
    raise DataError(
        f"budget = {asked!r}; expected a number of full trainings such as 20, or text such as '540 epochs', '100 trials' or '10m'"
    )
