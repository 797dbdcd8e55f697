"""What of a recipe is worth searching, in which ranges, and where to begin: from the rules of thumb.

What somebody has said of the recipe themselves is not searched: a rate given on the command line stays.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tunesmith.blocks import experience
from tunesmith.records import DataError, Recipe
from tunesmith.search.domains import Choice, Domain, Int, Ordinal, Real
from tunesmith.search.space import Space

DECAY = (1e-6, 1e-1)  # weight decay where no rule has a range; assumption: from none that matters to too much
BATCHES = 4  # the batch is searched from a fourth to four times its start; assumption: beyond, rate and epochs change more than it does
WIDTHS = (0.25, 0.5, 1, 2, 4)  # of the start; assumption
DEEPER = 2  # hidden layers beside the start, to either side; assumption
DROPOUT = 0.5  # most; above, more units are dropped than kept
WARMUPS = ("0dur", "0.02dur", "0.05dur", "0.1dur")  # shares of the run; assumption
LEAST_BATCHES = 8  # batches an epoch shall have at least; assumption: fewer make few updates
ALIKE = (("adamw", "nadam", "radam"),)  # optimizers whose rates are of one size, so that one range serves them all
SAID = ("given", "file", "command line", "revised", "imported")


def auto_space(recipe: Recipe, context: Mapping[str, Any]) -> tuple[Space, dict[str, Any]]:
    """The space of a task, and the values believed good in it.

    `recipe` is resolved: no "auto" is left in what a run settles. `context` holds what is known of the training, by the names in
    `experience.KEYS`, and `depth`, `width`, `dropout` are searched where the recipe has numbers for them. Raises `DataError` where
    everything was said already.

    >>> from tunesmith.records import Source, revise
    >>> recipe = revise(Recipe(), {"optim.lr": 1e-3}, Source("derived", "rules of thumb"))
    >>> space, prior = auto_space(recipe, {"model": "mlp", "rows": 1000})
    >>> space["optim.lr"].low, prior["optim.lr"]
    (1e-05, 0.001)
    """
    found = dict(_fields(recipe, context))
    if not found:
        raise DataError(
            "nothing is left to search: every field worth it was given; leave some of them out, or give a space"
        )
    prior = {path: recipe.get(path) if path != "schedule.warmup" else _warmup(recipe) for path in found}
    return Space(found), {path: value for path, value in prior.items() if found[path].holds(value)}


def _fields(recipe: Recipe, context: Mapping[str, Any]) -> Iterator[tuple[str, Domain]]:
    for path, make in MAKERS.items():
        value = recipe.get(path)
        if value is None or value == "auto" or recipe.source(path).kind in SAID:
            continue
        domain = make(recipe, context)
        if domain is not None:
            yield path, domain


def _known(recipe: Recipe, context: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in context.items() if name in experience.KEYS}
    name = "adamw" if recipe.optim.name == "auto" else recipe.optim.name
    return known | {"optimizer": experience.optimizer_of(name, recipe.optim.extra), "momentum": recipe.optim.momentum}


def _ranged(recipe: Recipe, path: str, known: Mapping[str, Any], usual: tuple[float, float]) -> Domain:
    """The range of the rule that fits, widened to where the recipe stands."""
    rule = experience.find(path, **known)
    low, high = usual if rule is None or rule.low is None or rule.high is None else (rule.low, rule.high)
    value = float(recipe.get(path))
    low = low if low > 0 else usual[0]
    return Real(min(low, value) if value > 0 else low, max(high, value), log=True)


def _rate(recipe: Recipe, context: Mapping[str, Any]) -> Domain:
    rate = float(recipe.optim.lr)
    return _ranged(recipe, "optim.lr", _known(recipe, context), (rate / 30, rate * 30))


def _decay(recipe: Recipe, context: Mapping[str, Any]) -> Domain:
    return _ranged(recipe, "optim.weight_decay", _known(recipe, context), DECAY)


def _optimizer(recipe: Recipe, context: Mapping[str, Any]) -> Domain | None:
    family = next((family for family in ALIKE if recipe.optim.name in family), None)
    return None if family is None else Choice(family)


def _batch(recipe: Recipe, context: Mapping[str, Any]) -> Domain | None:
    start, rows = int(recipe.train.batch_size), context.get("rows")
    most = start * BATCHES if not rows else min(start * BATCHES, max(start, rows // LEAST_BATCHES))
    sizes = sorted({start, *(2**power for power in range(2, 20) if start / BATCHES <= 2**power <= most)})
    return Ordinal(sizes) if len(sizes) > 1 else None


def _width(recipe: Recipe, context: Mapping[str, Any]) -> Domain | None:
    if recipe.model.pretrained is not None:  # its weights have one width
        return None
    start = int(recipe.model.width)
    heads = 1 if recipe.model.heads == "auto" else int(recipe.model.heads)
    widths = sorted({math.ceil(start * factor / heads) * heads for factor in WIDTHS})
    return Ordinal(widths) if len(widths) > 1 else None


def _depth(recipe: Recipe, context: Mapping[str, Any]) -> Domain | None:
    if recipe.model.pretrained is not None:
        return None
    start = int(recipe.model.depth)
    return Int(max(1, start - DEEPER), start + DEEPER)


def _warmups(recipe: Recipe, context: Mapping[str, Any]) -> Domain:
    return Ordinal(WARMUPS)


def _dropout(recipe: Recipe, context: Mapping[str, Any]) -> Domain:
    rule = experience.find("model.dropout", **_known(recipe, context))
    if recipe.model.pretrained is not None and rule is not None and rule.choices:  # reg.dropout_pre
        return Ordinal(sorted({*map(float, rule.choices), float(recipe.model.dropout)}))
    return Real(0.0, max(DROPOUT, float(recipe.model.dropout)))


MAKERS: Mapping[str, Callable[[Recipe, Mapping[str, Any]], Domain | None]] = {
    "optim.lr": _rate,
    "optim.weight_decay": _decay,
    "optim.name": _optimizer,
    "train.batch_size": _batch,
    "schedule.warmup": _warmups,
    "model.width": _width,
    "model.depth": _depth,
    "model.dropout": _dropout,
}


def _warmup(recipe: Recipe) -> str:
    """Where the recipe stands, as one of the shares."""
    asked = recipe.schedule.warmup
    share = float(asked.removesuffix("dur")) if isinstance(asked, str) and asked.endswith("dur") else 0.0
    return min(WARMUPS, key=lambda one: abs(float(one.removesuffix("dur")) - share))
