"""Where a pretrained start is given: how it is best used, one way beside the other, and whether it is better than a net drawn anew."""

from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.autopilot.flight import Flight
from tunesmith.autopilot.planning import planned
from tunesmith.autopilot.stages.trying import Way, nets_one_by_one
from tunesmith.blocks import experience
from tunesmith.records import Recipe, Source, revise

SLOWER = (
    0.1  # rate of the body over that of the head: the far end of lr.parts, 1 to 10 times; the other is the plain net
)
UNFROZEN = 0.5  # of the run, at the end of which the whole net trains; assumption
WHOLE: Mapping[str, Any] = {"model.freeze": "none", "model.unfreeze_every": None}
OURS = "autopilot"  # how the sources of what was chosen here begin
WHY = Source("revised", f"{OURS}, pretrained")


def pretrained(flight: Flight) -> None:
    """The frozen body, a slower body, a net drawn anew, gradual unfreezing, other dropout: each kept only where the net is better for it."""
    if flight.recipe.model.pretrained is None:
        return
    amount = planned(flight, "pretrained")
    if flight.net is None:
        return
    asked = said_by_the_user(flight.recipe)
    layers, dropouts = _about(flight)
    open_ = (way for way in ways(flight, layers, dropouts) if not asked & set(way[1]) or "model.pretrained" in way[1])
    nets_one_by_one(flight, "pretrained", open_, amount, WHY)


def ways(flight: Flight, layers: int, dropouts: bool) -> Iterator[Way]:
    """What is tried, from the recipe as it stands then: the cheap one first, then whether the start is worth anything at all."""
    yield "the body frozen", {"model.freeze": "body", "model.unfreeze_every": None}
    yield f"the body at {SLOWER:g} of the rate", {**WHOLE, "optim.rates": {**flight.recipe.optim.rates, "body": SLOWER}}
    rates = {name: factor for name, factor in flight.recipe.optim.rates.items() if name != "body"}
    yield "all weights drawn anew", {**WHOLE, "model.pretrained": None, "optim.rates": rates}
    if flight.recipe.model.pretrained is None:
        return
    if layers:
        every = max(1, round(UNFROZEN * flight.epochs / layers))
        yield (
            f"a layer unfrozen every {every} epoch{'' if every == 1 else 's'}",
            {"model.freeze": "body", "model.unfreeze_every": every},
        )
    rule = experience.find("model.dropout", **{**flight.context, "pretrained": True})
    for rate in rule.choices if rule is not None and dropouts else ():
        if rate != flight.recipe.model.dropout:
            yield f"dropout {rate:g}", {"model.dropout": float(rate)}


def said_by_the_user(recipe: Recipe) -> set[str]:
    """The paths that somebody has set: these are left as they are."""
    return {
        path
        for path, source in recipe.sources().items()
        if source.kind not in ("default", "derived") and not source.detail.startswith(OURS)
    }


def _about(flight: Flight) -> tuple[int, bool]:
    """Layers of the body, and whether the net has any dropout."""
    from tunesmith.training.plan import make
    from tunesmith.training.pretrained.dropout import dropouts
    from tunesmith.training.session import seeded

    recipe = revise(flight.recipe, {"model.freeze": "body"})
    with seeded(recipe.train.seed):
        made = make(flight.task, recipe, flight.prepared)
    freezing = made.plan.freezing
    return 0 if freezing is None else len(freezing.layers), bool(dropouts(made.plan.state.model))
