"""Members for an ensemble: the best recipe again from other seeds, and one training in cycles whose ends are kept.

Nets that differ in start and order alone: Lakshminarayanan et al., arXiv:1612.01474, section 2.4. Cycles: Huang et al., arXiv:1704.00109.
"""

from tunesmith.autopilot.flight import Flight
from tunesmith.autopilot.planning import planned
from tunesmith.records import Recipe, Source, revise

MOST = 5  # trainings: of what eight bring over one, most comes with the first; docs/benchmarks/ensembles.md
CYCLES = 3
SHORTEST = 5  # epochs of a cycle, below which its net is far from its end; assumption
SEVENTH = 7919  # seeds lie this far apart; assumption
WHY = Source("revised", "autopilot, seeds")


def seeds(flight: Flight) -> None:
    """While the stage has budget: two seeds, one training in cycles where it is long enough, more seeds. What they are worth is seen by `squeeze`."""
    amount = planned(flight, "seeds")
    if flight.net is None or flight.net.recipe is None:
        return
    recipe, epochs = flight.net.recipe, int(flight.net.recipe.train.epochs)
    price = flight.price(epochs)
    told: dict[str, float] = {}
    for number in range(1, MOST + 1):
        if amount < price or not flight.pays(f"seeds/{number}", epochs):
            break
        amount -= price
        if number == CYCLES and epochs // CYCLES >= SHORTEST:
            told |= _cycles(flight, recipe, epochs)
            continue
        other = revise(recipe, {"train.seed": int(recipe.train.seed) + SEVENTH * number}, WHY)
        made, _ = flight.net_of(f"seeds/{number}", f"best net, seed {other.train.seed}", other, epochs)
        told |= {} if made is None else {made.name: made.score}
    if not told:
        flight.decide("seeds", "no further members", "the budget of this stage pays no whole training", taken=False)
        return
    scores = ", ".join(f"{name} {score:.4f}" for name, score in told.items())
    flight.decide(
        "seeds",
        f"{len(told)} more nets of the best recipe",
        f"{flight.scorer.name} {flight.net.score:.4f} ({flight.net.name}), {scores}: what differs is the chance of start and order",
        evidence=told,
    )


def _cycles(flight: Flight, recipe: Recipe, epochs: int) -> dict[str, float]:
    """One training whose rate falls and rises again; the nets at the ends of its cycles."""
    length = epochs // CYCLES
    whole = length * CYCLES
    change = {
        "schedule.name": "cosine_restarts",
        "schedule.warmup": 0,
        "schedule.floor": 0.0,
        "schedule.extra": {"first": 1 / CYCLES, "t_mul": 1.0},
        "train.epochs": whole,
        "train.swa": None,
        "train.ema": None,
    }
    changed = revise(recipe, change, WHY)
    ends = [length * number for number in range(1, CYCLES + 1)]
    made, found = flight.net_of("seeds/cycles", "net of cycles", changed, whole, kept=ends)
    if made is None:
        return {}
    return {one.name: one.score for one in flight.snapshots("end of cycle", changed, found)}
