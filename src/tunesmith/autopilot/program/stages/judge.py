"""Judge the tuned program beside the one that was brought, and say what to change in the script."""

from typing import Any

import numpy as np

from tunesmith.autopilot.flight import Candidate
from tunesmith.autopilot.program.flight import ProgramFlight
from tunesmith.autopilot.program.losses import Losses
from tunesmith.autopilot.program.reading import Reading, constant, own_metric
from tunesmith.autopilot.program.stages.plain import NAME
from tunesmith.autopilot.program.ways import lines
from tunesmith.autopilot.stages.judge import RESAMPLES
from tunesmith.blocks import metrics
from tunesmith.records import TrainingFailed
from tunesmith.runs.files import write_json
from tunesmith.runs.tuning import HANDED, SCORES

PARTS = {
    "test": "test rows that nothing was chosen on",
    "held": "validation rows that nothing was chosen on: the other half chose",
    "val": "validation rows, the same that everything was chosen on: the score flatters itself",
}


def judge(flight: ProgramFlight) -> dict[str, Any]:
    """Writes `handed.json` and `scores.json`. Raises `TrainingFailed` where no training came to a score."""
    best = flight.net
    if best is None:
        raise TrainingFailed("the program broke in every way it was tried; see decisions.json for why")
    patch = [*flight.patch, *lines(best.recipe, flight.program)]
    member = {"name": best.name, "kind": best.kind, "place": best.place, "weight": 1.0}
    handed = {"kind": flight.bench.kind, "members": [member], "way": best.recipe, "lines": patch}
    write_json(flight.folder / HANDED, handed | {"classes": flight.reading.classes})
    found = flight.ledger.once("judge", lambda: _judged(flight, best))
    write_json(flight.folder / SCORES, found)
    row, name = found["rows"]["handed over"], found["metric"]
    low, high = row["intervals"][name]
    others = {other: one["scores"][name] for other, one in found["rows"].items() if other != "handed over"}
    flight.decide(
        "judge",
        f"handed over: {best.name}",
        f"{name} {row['scores'][name]:.4f} [{low:.4f}, {high:.4f}] on {row['count']} {PARTS[found['part']]}; beside "
        + ", ".join(f"{other} {score:.4f}" for other, score in others.items())
        + (f"; to change in the script: {'; '.join(one for one in patch if one[:1] != '#')}" if patch else ""),
        evidence={"handed over": row["scores"][name], **others},
    )
    return found


def _judged(flight: ProgramFlight, best: Candidate) -> dict[str, Any]:
    reading = Reading(flight.brought, flight.parts.judged)
    plain = flight.called(NAME)
    rows = {"handed over": _row(flight, reading, best, flight.bench)}
    if plain is not None:
        rows[NAME] = _row(flight, reading, plain, flight.brought)
    dumb = constant(reading, flight.brought.target)
    if dumb is not None:
        rows["constant answer"] = _scored(flight, reading, dumb)
    scorer = reading.scorer
    return {"part": flight.parts.name, "metric": scorer.name, "better": scorer.better, "rows": rows}


def _row(flight: ProgramFlight, reading: Reading, one: Candidate, bench: Any) -> dict[str, Any]:
    training = flight.trained(one, bench)
    seen = reading.look(training.twin)
    row = _scored(flight, reading, seen.said)
    row["scores"] |= {"loss": seen.loss} | own_metric(bench.program, training.twin.model, reading.rows)
    return row


def _scored(flight: ProgramFlight, reading: Reading, said: np.ndarray[Any, Any]) -> dict[str, Any]:
    scorer = reading.scorer
    if isinstance(scorer, Losses):
        bounds = scorer.interval(said, RESAMPLES, flight.seed)
        return {"scores": {"loss": scorer.score(said)}, "intervals": {"loss": bounds}, "count": len(reading.rows)}
    about: dict[str, Any] = {"classes": scorer.classes, "positive": scorer.positive}
    names = [scorer.name] if flight.program.predict is not None else None  # of labels alone nothing else is known
    scores = metrics.scores(scorer.kind, scorer.target, said, names=names, **about)
    bounds_of = metrics.intervals(
        scorer.kind, scorer.target, said, names=(scorer.name,), count=RESAMPLES, seed=flight.seed, **about
    )
    return {"scores": scores, "intervals": bounds_of, "count": len(reading.rows)}
