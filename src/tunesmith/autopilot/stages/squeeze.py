"""Squeeze: an ensemble of what is trained already, kept only where it is better on rows it was not chosen on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.autopilot.flight import Candidate, Flight
from tunesmith.autopilot.judging import Scorer
from tunesmith.data.spec import Array
from tunesmith.ensembles.averaging import average
from tunesmith.ensembles.greedy import select

LIKELY = 0.7  # chance of being better from which an average is kept: less than for other changes, since averages seldom do harm; assumption
FOLDS = 2  # halves of the validation rows: chosen on one, judged on the other, and the other way round


def squeeze(flight: Flight) -> None:
    """Greedy selection among all candidates; `flight.found["members"]` has the weights of those that are handed over."""
    able = [
        one
        for one in flight.candidates
        if one.kind != "constant" and np.isfinite(one.said).all() and one.score == one.score
    ]
    best = best_single(flight)
    if best is None or len(able) < 2:
        flight.decide("squeeze", "no ensemble", "there are not two models to join", taken=False)
        return
    honest = _crossed(flight, able)
    gain = flight.scorer.gain(honest, best.said, flight.seed)
    score = flight.scorer.score(honest)
    weights = _chosen(flight.scorer, able, np.arange(len(flight.scorer)))
    members = {able[place].name: float(weight) for place, weight in enumerate(weights) if weight > 0}
    if len(members) < 2:
        flight.decide(
            "squeeze",
            "no ensemble",
            f"of {len(able)} models the greedy selection takes one alone: {next(iter(members))}",
            evidence={"score": flight.scorer.score(best.said), "models": len(able)},
        )
        return
    said = ", ".join(f"{name} {weight:.2f}" for name, weight in members.items())
    taken = gain.value > 0 and gain.chance >= LIKELY
    flight.decide(
        "squeeze",
        f"an ensemble of {len(members)} is {'handed over' if taken else 'left'}",
        f"chosen on one half of the validation rows and judged on the other: {flight.shown(score)} beside {best.score:.4f} ({best.name}); better "
        f"in {gain.chance:.0%} of resamples; members: {said}",
        evidence={"score": score, **gain.as_dict(), "members": members, "times the cost of one": len(members)},
        instead={"way": best.name if taken else "the ensemble", flight.scorer.name: best.score if taken else score},
        taken=taken,
    )
    if taken:
        flight.found["members"] = members


def best_single(flight: Flight) -> Candidate | None:
    """The candidate with the best score on the validation rows."""
    able = [one for one in flight.candidates if one.kind != "constant" and one.score == one.score]
    return max(able, key=lambda one: flight.scorer.height(one.score), default=None)


def _crossed(flight: Flight, able: Sequence[Candidate]) -> Array:
    """Predictions of ensembles that were chosen on other rows."""
    drawn = np.random.default_rng(flight.seed).permutation(len(flight.scorer))
    whole = np.array(able[0].said, dtype=np.float64)
    for fold in range(FOLDS):
        held = drawn[fold::FOLDS]
        chosen = np.setdiff1d(drawn, held)
        weights = _chosen(flight.scorer, able, chosen)
        whole[held] = average([one.said[held] for one in able], weights, kind=flight.scorer.kind)
    return whole


def _chosen(scorer: Scorer, able: Sequence[Candidate], rows: Array) -> Any:
    """(M,) weights of the greedy selection on some rows."""
    about: dict[str, Any] = {"classes": scorer.classes, "positive": scorer.positive}
    weight = None if scorer.weight is None else scorer.weight[rows]

    def judged(target: Array, said: Array) -> float:
        return Scorer(scorer.kind, scorer.name, target, weight=weight, **about).score(said)

    said = [one.said[rows] for one in able]
    better = scorer.better
    return select(said, scorer.target[rows], judged, kind=scorer.kind, better=better, bags=0).weights
