"""One change after the other on the best net, while a stage has budget, each kept only with evidence."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tunesmith.autopilot.flight import Candidate, Flight, Flying
from tunesmith.autopilot.stages.search import compare
from tunesmith.records import RecipeError, Source, revise

Way = tuple[str, Mapping[str, Any]]  # its title, and the change of the recipe
Trained = tuple[Candidate | None, dict[str, Any]]


def one_by_one(
    flight: Flying,
    stage: str,
    ways: Iterable[Way],
    amount: float,
    changed: Callable[[Mapping[str, Any]], Any],
    train: Callable[[str, str, Any], Trained],
) -> int:
    """Trains whole for each way, and keeps it where it is better; how many were trained.

    `changed(change)` is the recipe as it stands with the change, or raises `RecipeError` where it does not fit; `train(step, title, recipe)` is the
    candidate, None where the training broke. `ways` may look at the recipe as it stands when it is asked for the next.
    """
    price = flight.price(flight.epochs)
    tried = 0
    for title, change in ways:
        if amount < price or not flight.pays(f"{stage}/{tried + 1}", flight.epochs):
            about = {"taken": False, "evidence": {"change": dict(change)}}
            flight.decide(stage, f"{title} is not tried", "the budget of this stage is spent", **about)
            break
        try:
            recipe = changed(change)
        except RecipeError as error:
            flight.decide(stage, f"{title} is not tried", str(error), taken=False)
            continue
        tried += 1
        amount -= price
        made, found = train(f"{stage}/{tried}", title, recipe)
        if made is None:
            flight.decide(stage, f"{title} is left", f"the training broke: {found.get('failed', '')}", taken=False)
            continue
        compare(flight, stage, made, recipe, title, found, demanding=True)
    return tried


def nets_one_by_one(flight: Flight, stage: str, ways: Iterable[Way], amount: float, why: Source) -> int:
    """`one_by_one` with nets of a task; `why` is the source of what they change."""
    return one_by_one(
        flight,
        stage,
        ways,
        amount,
        lambda change: revise(flight.recipe, change, why),
        lambda step, title, recipe: flight.net_of(step, f"net with {title}", recipe),
    )
