"""Squeeze: an ensemble of what is trained already, kept only where it is better on rows it was not chosen on.

Two ways to choose it stand beside each other: a greedy selection, and equal weights of all that the rows cannot tell from the best. The second
chooses least, which on a few hundred rows is worth more than weights that fit them (docs/log.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.autopilot.flight import Candidate, Flight
from tunesmith.autopilot.judging import Scorer
from tunesmith.blocks.metrics import METRICS
from tunesmith.data.spec import Array
from tunesmith.ensembles.averaging import average
from tunesmith.ensembles.greedy import select
from tunesmith.records import DataError

LIKELY = 0.6  # chance of being better from which an average is kept: less than for other changes, since averages seldom do harm; assumption
FOLDS = 2  # halves of the validation rows: chosen on one, judged on the other, and the other way round
HALVINGS = 3  # of the rows, each by another draw
BAGS, SIZE = 4, 15  # walks of a selection, and models in each; less than the defaults, for it is made thirteen times
MANY = 8  # models from which on there are bags: of a few, half of them would lack the best
APART = 0.1  # a model with less chance of being better than the best is told apart from it, and left out; assumption
ROWS = 4000  # at most, drawn at random, choose; assumption


@dataclass(frozen=True)
class Way:
    """How members are weighted: by a greedy selection that a metric judges, or equally, where there is none."""

    title: str
    metric: str = ""


def squeeze(flight: Flight) -> None:
    """Greedy selection among all candidates; `flight.found["members"]` has the weights of those that are handed over."""
    able = [
        one
        for one in flight.candidates
        if one.kind != "constant" and np.isfinite(one.said).all() and one.score == one.score
    ]
    able = _different(able)
    best = best_single(flight)
    if best is None or len(able) < 2:
        flight.decide("squeeze", "no ensemble", "there are not two models to join", taken=False)
        return
    found = flight.ledger.once("squeeze", lambda: _squeezed(flight, able, best))
    members: Mapping[str, float] = found["members"]
    if len(members) < 2:
        flight.decide(
            "squeeze",
            "no ensemble",
            f"of {len(able)} models the greedy selection takes one alone: {next(iter(members))}",
            evidence={"score": best.score, "models": len(able)},
        )
        return
    said = ", ".join(f"{name} {weight:.2f}" for name, weight in members.items())
    taken = found["gain"] > 0 and found["chance"] >= LIKELY
    flight.decide(
        "squeeze",
        f"an ensemble of {len(members)} is {'handed over' if taken else 'left'}",
        f"chosen {found['way']} on one half of the validation rows and judged on the other, {HALVINGS} times: "
        f"{flight.shown(found['score'])} beside {best.score:.4f} ({best.name}); better in {found['chance']:.0%} of resamples; members: {said}",
        evidence={**found, "times the cost of one": len(members)},
        instead={
            "way": best.name if taken else "the ensemble",
            flight.scorer.name: best.score if taken else found["score"],
        },
        taken=taken,
    )
    if taken:
        flight.found["members"] = members


def _different(able: Sequence[Candidate]) -> list[Candidate]:
    """The first of those that say the same of every row: a change that came after the best epoch left the net as it was."""
    kept: list[Candidate] = []
    for one in able:
        if not any(np.array_equal(one.said, other.said) for other in kept):
            kept.append(one)
    return kept


def best_single(flight: Flight) -> Candidate | None:
    """What is handed over alone: the net that came through the comparisons, or the simple model that is better than it.

    What was tried and left is not among them, though by chance it may be the best on the validation rows.
    """
    nets = [one for one in flight.candidates if one.kind == "net"] if flight.net is None else [flight.net]
    able = [one for one in (*nets, *flight.candidates) if one in nets or one.kind in ("linear", "boosted")]
    known = [one for one in able if one.score == one.score]
    return max(known, key=lambda one: flight.scorer.height(one.score), default=None)


def _squeezed(flight: Flight, able: Sequence[Candidate], best: Candidate) -> dict[str, Any]:
    """The way that is best on rows it did not choose on, and the members it takes on all of them."""
    judged = []
    for way in _ways(flight.scorer):
        try:
            judged.append((way, *_crossed(flight, able, best, way)))
        except DataError:  # the metric is undefined for every model on some half
            continue
    if not judged:
        return {"members": {best.name: 1.0}, "gain": 0.0, "chance": 0.0, "score": best.score, "way": "by none"}
    way, gain, chance, score = max(judged, key=lambda one: one[1])
    weights = _chosen(flight, able, np.arange(len(flight.scorer)), way)
    members = {able[place].name: float(weight) for place, weight in enumerate(weights) if weight > 0}
    return {
        "members": members,
        "models": len(able),
        "way": way.title,
        "gain": gain,
        "chance": chance,
        "score": score,
        "ways": {one.title: {"score": height, "gain": more} for one, more, _, height in judged},
    }


def _ways(scorer: Scorer) -> list[Way]:
    """Equally; by the metric itself; and of classes by log loss too, which counts more than which side of a line a row is on."""
    ways = [Way("with equal weights"), Way(f"by {scorer.name}", scorer.name)]
    if scorer.kind in ("binary", "multiclass") and scorer.name != "log_loss" and "log_loss" in METRICS:
        ways.append(Way("by log_loss", "log_loss"))
    return ways


def _crossed(flight: Flight, able: Sequence[Candidate], best: Candidate, way: Way) -> tuple[float, float, float]:
    """Gain over the best single model, its chance and the score, of ensembles that were chosen on other rows than they are judged on."""
    found = []
    for halving in range(HALVINGS):
        drawn = np.random.default_rng([flight.seed, halving]).permutation(len(flight.scorer))
        whole = np.array(able[0].said, dtype=np.float64)
        for fold in range(FOLDS):
            held = drawn[fold::FOLDS]
            weights = _chosen(flight, able, np.setdiff1d(drawn, held), way)
            whole[held] = average([one.said[held] for one in able], weights, kind=flight.scorer.kind)
        gain = flight.scorer.gain(whole, best.said, flight.seed)
        found.append((gain.value, gain.chance, flight.scorer.score(whole)))
    gain_, chance, score = np.mean(found, axis=0)
    return float(gain_), float(chance), float(score)


def _chosen(flight: Flight, able: Sequence[Candidate], rows: Array, way: Way) -> Any:
    """(M,) weights that some rows choose."""
    scorer = flight.scorer
    if not way.metric:
        return _equal(scorer.on(rows), [one.said[rows] for one in able], flight.seed)
    if len(rows) > ROWS:
        rows = np.sort(np.random.default_rng(flight.seed).permutation(rows)[:ROWS])
    judge = scorer.on(rows, way.metric)
    about: dict[str, Any] = {
        "kind": scorer.kind,
        "better": judge.better,
        "bags": BAGS * (len(able) >= MANY),
        "size": SIZE,
        "seed": flight.seed,
    }
    said = [one.said[rows] for one in able]
    return select(said, judge.target, lambda target, told: judge.score(told), **about).weights


def _equal(scorer: Scorer, said: Sequence[Array], seed: int) -> Array:
    """Equal weights of the best and of all that have a chance to be better."""
    heights = [scorer.height(scorer.score(one)) for one in said]
    best = int(np.argmax(heights))
    kept = [place == best or scorer.gain(one, said[best], seed).chance >= APART for place, one in enumerate(said)]
    return np.array(kept, dtype=np.float64) / sum(kept)
