"""Search the settings of a program in two rounds; the best is trained whole, and stays where it is better."""

from collections.abc import Mapping
from typing import Any

from tunesmith.autopilot.planning import planned
from tunesmith.autopilot.program.flight import ProgramFlight
from tunesmith.autopilot.program.subject import ProgramSubject
from tunesmith.autopilot.program.ways import space_of
from tunesmith.autopilot.stages.search import FEWEST, KEPT, MATTERS, ROUNDS, compare, tell_round, told_of
from tunesmith.search import Space
from tunesmith.search.understanding.at_edges import widened

RATE = "lr"  # searched again with whatever else changes


def search(flight: ProgramFlight) -> None:
    """All that is worth it first; then what matters, wider where the best lie at an edge, the rest fixed at its best."""
    amount = planned(flight, "search")
    if flight.net is None or amount < FEWEST * flight.price(flight.epochs):
        flight.decide("search", "no search", f"what is left pays fewer than {FEWEST:.0f} full trainings", taken=False)
        return
    space, prior = space_of(flight.bench, flight.recipe)
    first = _round(flight, 1, amount * ROUNDS[0], space, prior, {})
    second = _second(flight, first, space, amount * ROUNDS[1])
    best = min((one for one in (first, second) if one is not None), key=_score)
    if not best["best"]:
        why = f"its trials ended with {best['reasons'] or 'no score'}"
        flight.decide("search", "the search found nothing", why, taken=False)
        return
    way = {**flight.recipe, **best["best"]}
    made, found = flight.net_of("search/net", "program of the search", way)
    if made is None:
        why = str(found.get("failed", ""))
        flight.decide("search", "the best configuration broke when it was trained again", why, taken=False)
        return
    compare(flight, "search", made, way, "the best of the search", found)


def _score(found: Mapping[str, Any]) -> float:
    return float("inf") if found["score"] is None else float(found["score"])


def _round(
    flight: ProgramFlight, number: int, amount: float, space: Space, prior: Mapping[str, Any], fixed: Mapping[str, Any]
) -> dict[str, Any]:
    """One round as a step, and what it says."""
    name = f"search/{number}"
    found = flight.ledger.once(name, lambda: _searched(flight, name, number, amount, space, prior, fixed))
    found |= {"best": {**fixed, **found["best"]} if found["best"] else {}}
    tell_round(flight, number, found)
    return found


def _searched(
    flight: ProgramFlight,
    name: str,
    number: int,
    amount: float,
    space: Space,
    prior: Mapping[str, Any],
    fixed: Mapping[str, Any],
) -> dict[str, Any]:
    place = flight.ledger.place(name)
    resume = (place / "study.json").is_file()
    left = max(1.0, amount - (flight.ledger.before(name) if flight.purse.timed else 0.0))
    whole = flight.epochs if flight.looped else 1  # epochs of a unit
    study = flight.hands.search(
        ProgramSubject(flight.bench, {**flight.recipe, **fixed}, flight.reading, flight.over),
        space,
        prior=prior,
        budget=f"{left:.1f}s" if flight.purse.timed else f"{max(1, int(amount / whole))} units",
        max_budget=1 if flight.looped else flight.epochs,
        folder=place,
        resume=resume,
        seed=flight.seed + number,
        confirm=0,
        keep=KEPT,
        warm=[flight.ledger.place(f"search/{number - 1}")] if number > 1 and not resume else None,
    )
    told = told_of(flight, study)
    return told | {"epochs": told["epochs"] * whole}


def _second(flight: ProgramFlight, found: Mapping[str, Any], space: Space, amount: float) -> dict[str, Any] | None:
    """The second round: what does not matter is fixed at its best value, what lies at an edge is widened."""
    if not found["best"] or amount < FEWEST * flight.price(flight.epochs):
        return None
    shares = found["importance"]
    fixed = {one: found["best"][one] for one in space if one != RATE and shares.get(one, 1.0) < MATTERS}
    edges = {one["subject"]["parameter"]: one["subject"]["side"] for one in found["edges"]}
    edges = {one: side for one, side in edges.items() if one == RATE}  # other settings have ends of their own
    kept = Space(
        {one: widened(space[one], edges[one]) if one in edges else space[one] for one in space if one not in fixed}
    )
    if fixed or edges:
        said = [f"fixed, for they matter little: {', '.join(fixed)}" if fixed else ""]
        said += [f"widened, for the best lie at an edge: {', '.join(edges)}" if edges else ""]
        flight.decide(
            "search",
            "the second round asks a narrower question",
            "; ".join(one for one in said if one),
            evidence={"fixed": list(fixed), "at an edge": edges, "searched": list(kept)},
        )
    prior = {one: found["best"][one] for one in kept if one in found["best"]}
    return _round(flight, 2, amount, kept, prior, fixed)
