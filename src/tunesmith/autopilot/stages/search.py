"""Search in rounds: all that is worth it first; then what matters, in a space widened where the best lie at an edge, the rest fixed."""

from collections.abc import Mapping
from typing import Any

from tunesmith.autopilot.flight import Candidate, Flight, Flying
from tunesmith.autopilot.judging import bar
from tunesmith.autopilot.planning import planned
from tunesmith.records import RecipeError, Source, revise
from tunesmith.records.errors import DataError

ROUNDS = (0.6, 0.4)  # of what the search gets; assumption
SURE = (
    0.75  # chance of being better that the best of a search has to reach, which was chosen on the same rows; assumption
)
FEWEST = 3.0  # full trainings, below which there is no search
MATTERS = 0.05  # of all importance: below, a parameter is fixed in the second round; assumption
NUISANCE = ("optim.lr", "optim.weight_decay")  # searched again with whatever else changes
KEPT = 3
WHY = Source("revised", "autopilot, search")


def search(flight: Flight) -> None:
    """Two rounds of the default search, the second warm from the first; its best net is trained to the end, and stays where it is better."""
    amount = planned(flight, "search")
    if flight.net is None or not _enough(flight, amount):
        flight.decide("search", "no search", f"what is left pays fewer than {FEWEST:.0f} full trainings", taken=False)
        return
    first = _round(flight, 1, amount * ROUNDS[0], None, None)
    if first is None:
        return
    found, space = first
    tell_round(flight, 1, found)
    second = _second(flight, found, space, amount * ROUNDS[1])
    best = found
    if second is not None:
        tell_round(flight, 2, second)
        best = min(found, second, key=lambda one: one["score"] if one["score"] is not None else float("inf"))
    _adopt(flight, best)
    _members(flight, found, second)


def _enough(flight: Flight, amount: float) -> bool:
    return amount >= FEWEST * flight.price(flight.epochs)


def _round(
    flight: Flight, number: int, amount: float, space: Any, prior: Mapping[str, Any] | None
) -> tuple[dict[str, Any], Any] | None:
    """One round as a step; None where nothing is left to search."""
    from tunesmith.search.auto_space import auto_space

    if space is None:
        try:
            space, prior = auto_space(flight.recipe, flight.context)
        except DataError as error:
            flight.decide("search", "no search", str(error), taken=False)
            return None
    name = f"search/{number}"
    return flight.ledger.once(name, lambda: _searched(flight, name, number, amount, space, prior)), space


def _searched(flight: Flight, name: str, number: int, amount: float, space: Any, prior: Any) -> dict[str, Any]:
    place = flight.ledger.place(name)
    resume = (place / "study.json").is_file()
    left = max(1.0, amount - (flight.ledger.before(name) if flight.purse.timed else 0.0))
    budget = f"{left:.1f}s" if flight.purse.timed else f"{max(1, int(amount))} epochs"
    warm = [flight.ledger.place(f"search/{number - 1}")] if number > 1 else None
    study = flight.hands.search(
        flight.task,
        space,
        prior=prior,
        budget=budget,
        recipe=flight.recipe,
        folder=place,
        resume=resume,
        seed=flight.seed + number,
        confirm=0,
        keep=KEPT,
        warm=None if resume else warm,
    )
    return told_of(flight, study)


def told_of(flight: Flying, study: Any) -> dict[str, Any]:
    """What a study found, as plain data."""
    from tunesmith.records import RunError
    from tunesmith.search.understanding import edges

    status = study.status()
    scored = study.best_rows(KEPT)
    try:
        importance = study.importance() if len(study.trials) >= 10 else {}
    except (RunError, DataError):  # too few trials that differ
        importance = {}
    runs = {row["trial"]: study.trial_folder(row["trial"]) / "run" for row in scored}
    return {
        "epochs": study.trials.spent,
        "trials": status["trials"],
        "states": {state: status[state] for state in ("done", "paused", "stopped", "failed")},
        "reasons": status["reasons"],
        "score": scored[0]["score"] if scored else None,
        "best": dict(study.best_config) if scored else {},
        "best units": scored[0]["units"] if scored else 0,
        "importance": importance,
        "edges": [one.as_dict() for one in edges(study.space, study.trials)],
        "kept": [
            {
                "trial": row["trial"],
                "run": str(runs[row["trial"]].relative_to(flight.folder)),
                "config": {name: row[name] for name in study.space if row[name] is not None},
                "units": row["units"],
            }
            for row in scored
            if (runs[row["trial"]] / "checkpoints").is_dir()
        ],
    }


def tell_round(flight: Flying, number: int, found: Mapping[str, Any]) -> None:
    """What a round tried, and what it found."""
    words = ", ".join(f"{name} = {_short(value)}" for name, value in found["best"].items()) or "no trial with a score"
    matters = ", ".join(f"{name} {share:.0%}" for name, share in list(found["importance"].items())[:3])
    flight.decide(
        "search",
        f"round {number}: {found['trials']} configurations in {found['epochs']:.0f} epochs",
        f"best: {words}" + (f"; what matters: {matters}" if matters else ""),
        evidence={name: found[name] for name in ("trials", "epochs", "score", "states", "reasons", "importance")},
    )


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _second(flight: Flight, found: Mapping[str, Any], space: Any, amount: float) -> dict[str, Any] | None:
    """The second round: what does not matter is fixed at its best value, what lies at an edge is widened."""
    from tunesmith.search import Space
    from tunesmith.search.understanding.at_edges import widened

    if not found["best"] or not _enough(flight, amount):
        return None
    fixed = [
        name
        for name, share in found["importance"].items()
        if share < MATTERS and name not in NUISANCE and name in found["best"]
    ]
    at_edge = {one["subject"]["parameter"]: one["subject"]["side"] for one in found["edges"]}
    kept = {
        name: widened(space[name], at_edge[name]) if name in at_edge else space[name]
        for name in space
        if name not in fixed
    }
    if not kept:
        return None
    if fixed or at_edge:
        flight.decide(
            "search",
            "the second round asks a narrower question",
            "; ".join(
                part
                for part in (
                    f"fixed, for they matter little: {', '.join(fixed)}" if fixed else "",
                    f"widened, for the best lie at an edge: {', '.join(at_edge)}" if at_edge else "",
                )
                if part
            ),
            evidence={
                "fixed": fixed,
                "at an edge": at_edge,
                "scientific": [n for n in kept if n not in NUISANCE],
                "nuisance": [n for n in kept if n in NUISANCE],
            },
        )
    before = flight.recipe
    flight.recipe = revise(before, {name: found["best"][name] for name in fixed}, WHY) if fixed else before
    prior = {name: found["best"][name] for name in kept if name in found["best"]}
    try:
        round_ = _round(flight, 2, amount, Space(kept), prior)
    finally:
        flight.recipe = before
    if round_ is None:
        return None
    return round_[0] | {"best": {name: found["best"][name] for name in fixed} | round_[0]["best"]}


def _adopt(flight: Flight, best: Mapping[str, Any]) -> None:
    """Trains the best configuration to its end, and keeps it where it is better than the net so far."""
    assert flight.net is not None
    if not best["best"]:
        flight.decide(
            "search", "the search found nothing", f"its trials ended with {best['reasons'] or 'no score'}", taken=False
        )
        return
    try:
        recipe = revise(flight.recipe, best["best"], WHY)
    except RecipeError as error:
        flight.decide("search", "the best configuration is no recipe", str(error), taken=False)
        return
    made, found = flight.net_of("search/net", "net of the search", recipe)
    if made is None:
        flight.decide(
            "search",
            "the best configuration broke when it was trained again",
            str(found.get("failed", "")),
            taken=False,
        )
        return
    compare(flight, "search", made, recipe, "the best of the search", found)


def compare(
    flight: Flying,
    stage: str,
    made: Candidate,
    recipe: Any,
    title: str,
    found: Mapping[str, Any],
    *,
    demanding: bool = False,
) -> bool:
    """Takes a net in the place of the best so far, where it is better on the validation rows beyond their choice.

    `demanding`: one of several changes tried on the same rows, for which the bar rises with each.
    """
    assert flight.net is not None
    gain = flight.scorer.gain(made.said, flight.net.said, flight.seed)
    flight.tries += demanding
    wanted = bar(flight.tries) if demanding else SURE
    better = gain.at_least(wanted)
    before = flight.net
    how = (
        f"{flight.shown(made.score)} beside {before.score:.4f} ({before.name}); better in {gain.chance:.0%} of resamples of the "
        f"validation rows, {wanted:.1%} wanted"
    )
    cut = f"; cut {found['cut']}" if found.get("cut") else ""
    flight.decide(
        stage,
        f"{title} is {'taken' if better else 'left'}",
        how + cut,
        evidence={"score": made.score, **gain.as_dict(), "wanted": wanted},
        instead={
            "way": before.name if better else made.name,
            flight.scorer.name: before.score if better else made.score,
        },
        taken=better,
    )
    if better:
        flight.net, flight.recipe = made, recipe
        flight.found["net"] = found
    return better


def _members(flight: Flight, *rounds: Mapping[str, Any] | None) -> None:
    """Whole trainings of the search that are still there are candidates of an ensemble."""
    for number, found in enumerate(rounds, start=1):
        for one in [] if found is None else found["kept"]:
            if one["units"] < flight.epochs:
                continue
            said, _, _ = flight.nets.said(one["run"], flight.prepared.val)
            flight.add(
                Candidate(
                    name=f"trial {one['trial']} of round {number}",
                    kind="net",
                    place=one["run"],
                    said=said,
                    score=flight.scorer.score(said),
                )
            )
