"""One change after the other on the best net, while a stage has budget, each kept only with evidence."""

from collections.abc import Iterable, Mapping
from typing import Any

from tunesmith.autopilot.flight import Flight
from tunesmith.autopilot.stages.search import compare
from tunesmith.records import RecipeError, Source, revise

Way = tuple[str, Mapping[str, Any]]  # its title, and the change of the recipe


def one_by_one(flight: Flight, stage: str, ways: Iterable[Way], amount: float, why: Source) -> int:
    """Trains a net for each way, whole; how many were trained. `ways` may look at the recipe as it stands when it is asked for the next."""
    price = flight.price(flight.epochs)
    tried = 0
    for title, change in ways:
        if amount < price or not flight.pays(f"{stage}/{tried + 1}", flight.epochs):
            about = {"taken": False, "evidence": {"change": dict(change)}}
            flight.decide(stage, f"{title} is not tried", "the budget of this stage is spent", **about)
            break
        try:
            recipe = revise(flight.recipe, change, why)
        except RecipeError as error:
            flight.decide(stage, f"{title} is not tried", str(error), taken=False)
            continue
        tried += 1
        amount -= price
        made, found = flight.net_of(f"{stage}/{tried}", f"net with {title}", recipe)
        if made is None:
            flight.decide(stage, f"{title} is left", f"the training broke: {found.get('failed', '')}", taken=False)
            continue
        compare(flight, stage, made, recipe, title, found, demanding=True)
    return tried
