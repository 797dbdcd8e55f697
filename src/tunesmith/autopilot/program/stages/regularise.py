"""Regularise a program against its validation gap: one change at a time, each kept only with evidence."""

from collections.abc import Iterator
from typing import Any

from tunesmith.autopilot.planning import planned
from tunesmith.autopilot.program.flight import ProgramFlight
from tunesmith.autopilot.program.ways import dropouts, smoothing, standing
from tunesmith.autopilot.stages.plain import standing as standing_of
from tunesmith.autopilot.stages.regularise import GAP
from tunesmith.autopilot.stages.trying import Way, one_by_one
from tunesmith.doctor.causes.swapped_activation import hidden_activations
from tunesmith.records import ModelError

LAST = 0.75  # of the training, from which on weights are averaged: Izmailov et al., arXiv:1803.05407, section 4.1
DROPPED, MOST = 0.2, 0.6  # by which dropout rises, and to which; as for a task
SMOOTHED = 0.1  # Szegedy et al., arXiv:1512.00567, section 7


def regularise(flight: ProgramFlight) -> None:
    """Tries what the program allows, in the order of its promise, while the stage has budget."""
    amount = planned(flight, "regularise")
    if flight.net is None:
        return
    about = standing_of(flight.found["net"])
    over = about["gap"] is None or about["gap"] > GAP or (about["rising"] or 0) > GAP / 2
    tried = one_by_one(
        flight,
        "regularise",
        offers(flight, over),
        amount,
        lambda change: {**flight.recipe, **change},
        lambda step, title, way: flight.net_of(step, f"program with {title}", way),
    )
    if not tried:
        why = "there was no budget for a whole training, or no change that fits this program"
        flight.decide("regularise", "nothing is regularised", why, taken=False)


def offers(flight: ProgramFlight, over: bool) -> Iterator[Way]:
    """What is tried, from the settings as they stand then; of a program that does not know its rows too well the average alone."""
    yield "an average of the weights over the last quarter", {"average": LAST}
    if not over:
        return
    own = flight.program
    now = standing(own) | flight.recipe
    if dropouts(own.model) or _hidden(own.model):
        rate = min(MOST, round(now.get("dropout", 0.0) + DROPPED, 3))
        yield f"dropout {rate:g}", {"dropout": rate}
    if all("weight_decay" in group for group in own.optimizer.param_groups):
        decay = min(1.0, max(1e-3, 10 * now["weight_decay"]))
        yield f"weight decay {decay:.3g}", {"weight_decay": decay}
    if smoothing(own.loss_fn) == 0.0 and flight.bench.kind == "multiclass":
        yield f"labels smoothed by {SMOOTHED}", {"label_smoothing": SMOOTHED}


def _hidden(model: Any) -> bool:
    """Whether there are hidden activations that dropout can stand behind."""
    try:
        return bool(hidden_activations(model))
    except ModelError:  # layers that cannot be followed
        return False
