"""Numbers that follow from a recipe and the data, each with its equation."""

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from tunesmith.records.errors import RecipeError
from tunesmith.records.recipe import Recipe
from tunesmith.records.sections import AMOUNT

UNITS = {
    "dur": "a share of the run",
    "ep": "epochs",
    "samples": "samples",
    "updates": "optimizer updates",
    "": "optimizer updates",
}


@dataclass(frozen=True, slots=True)
class Derived:
    """A number nobody set, and how it came about: `effective batch = … = 8 x 4 x 1 = 32`."""

    name: str
    value: float
    equation: str


def derived(recipe: Recipe, rows: int) -> list[Derived]:
    """What follows from the recipe for `rows` training rows, on any number of ranks; what is still "auto" is left out.

    The last window of an epoch is short where the micro-batches do not divide by the accumulation, so it is rounded up.
    """
    batch, accumulate, epochs = recipe.train.batch_size, recipe.train.accumulate, recipe.train.epochs
    if batch == "auto":
        return []
    effective = batch * accumulate
    found = [
        Derived(
            "effective batch",
            effective,
            f"train.batch_size x train.accumulate = {batch} x {accumulate} = {effective}",
        )
    ]
    micro = math.ceil(rows / batch)
    per_epoch = math.ceil(micro / accumulate)
    equation = f"ceil(micro-batches / train.accumulate) = ceil(ceil({rows} / {batch}) / {accumulate}) = ceil({micro} / {accumulate}) = {per_epoch}"
    found.append(Derived("updates per epoch", per_epoch, equation))
    steps = recipe.train.steps
    if steps is not None:
        found.append(Derived("total updates", steps, f"train.steps = {steps}"))
    elif epochs != "auto":
        total = epochs * per_epoch
        found.append(
            Derived("total updates", total, f"train.epochs x updates per epoch = {epochs} x {per_epoch} = {total}")
        )
    else:
        return found
    return [*found, _warm_up(recipe.schedule.warmup, int(found[-1].value), per_epoch, effective)]


def _warm_up(amount: int | str, total: int, per_epoch: int, effective_batch: int) -> Derived:
    value = updates_of(amount, total, per_epoch, effective_batch)
    number, unit = _split(amount)
    shown = f"{float(number):g}"
    equation = {
        "dur": f"ceil(share x total updates) = ceil({shown} x {total}) = {value}",
        "ep": f"ceil(epochs x updates per epoch) = ceil({shown} x {per_epoch}) = {value}",
        "samples": f"ceil(samples / effective batch) = ceil({shown} / {effective_batch}) = {value}",
    }.get(unit, f"schedule.warmup = {value}")
    return Derived("warm-up updates", value, equation)


def updates_of(amount: int | str, total: int, per_epoch: int, effective_batch: int) -> int:
    """An amount of training in optimizer updates, rounded up: 500, "500updates", "0.05dur", "2ep", "10000samples".

    >>> updates_of("0.1dur", total=1005, per_epoch=67, effective_batch=32)
    101
    """
    number, unit = _split(amount)
    if unit == "dur" and number > 1:
        raise RecipeError(
            f'{amount!r} is longer than the run; a share of the run lies between 0 and 1, for example "0.05dur"'
        )
    each = {"dur": Fraction(total), "ep": Fraction(per_epoch), "samples": Fraction(1, effective_batch)}.get(
        unit, Fraction(1)
    )
    return math.ceil(number * each)


def _split(amount: int | str) -> tuple[Fraction, str]:
    """The number, exactly (0.05 of 100 is 5, not 5.000001), and the unit."""
    if isinstance(amount, int):
        return Fraction(amount), ""
    parts = re.fullmatch(AMOUNT, amount)
    if parts is None:
        units = ", ".join(f"{unit} ({meaning})" for unit, meaning in UNITS.items() if unit)
        raise RecipeError(f"the amount {amount!r} is no number with a unit; units: {units}")
    unit = parts.groups()[-1] or ""
    return Fraction(amount.removesuffix(unit)), unit
