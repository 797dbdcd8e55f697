"""Judge once on the test rows: what is handed over, beside the plain net and the simple models, each with an interval."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.autopilot.flight import Candidate, Flight
from tunesmith.autopilot.handing import raw, softened
from tunesmith.autopilot.stages.refit import refitted
from tunesmith.autopilot.stages.squeeze import best_single
from tunesmith.blocks import metrics
from tunesmith.data.spec import Array, Part
from tunesmith.ensembles.averaging import average
from tunesmith.records import TrainingFailed
from tunesmith.runs.files import write_json
from tunesmith.runs.tuning import HANDED, SCORES, SEEN
from tunesmith.training.judgement import CLASSES, Settled, chosen_threshold, reliability, show_worst
from tunesmith.training.predicting import plain as label_of
from tunesmith.training.slicing import show_slices

RESAMPLES = 1000
PARTS = {"test": "test", "val": "validation"}


def judge(flight: Flight) -> dict[str, Any]:
    """Chooses what is handed over, judges it and its rivals, and writes `handed.json` and `scores.json`."""
    single = best_single(flight)
    members: Mapping[str, float] = flight.found.get("members") or ({} if single is None else {single.name: 1.0})
    if not members:
        raise TrainingFailed(
            "nothing could be trained: every net and every simple model broke; see decisions.json for why"
        )
    chosen = [(refitted(flight, _called(flight, name)), weight) for name, weight in members.items()]
    settled = _settled(flight, chosen)
    write_json(flight.folder / HANDED, settled)
    _looked_at(flight)
    found = flight.ledger.once("judge", lambda: _judged(flight, chosen, settled))
    write_json(flight.folder / SCORES, found)
    part = found["part"]
    told = found["rows"]["handed over"]
    name, value = found["metric"], told["scores"][found["metric"]]
    low, high = told["intervals"][name]
    beside = ", ".join(
        f"{other} {one['scores'][name]:.4f}" for other, one in found["rows"].items() if other != "handed over"
    )
    kinds = {one.kind for one, _ in chosen}
    plain = "" if "net" in kinds else ": no net is as good here"
    flight.decide(
        "judge",
        f"handed over: {' + '.join(one.name for one, _ in chosen)}{plain}",
        f"{name} {value:.4f} [{low:.4f}, {high:.4f}] on {told['count']} {PARTS[part]} rows"
        + (
            " that nothing was chosen on"
            if part == "test"
            else ", the same that everything was chosen on: there is no test part"
        )
        + f", beside {beside}",
        evidence={other: one["scores"][name] for other, one in found["rows"].items()},
    )
    return found


def _looked_at(flight: Flight) -> None:
    """What the rules see in the curves of the best net, for its page."""
    from tunesmith.doctor.diagnosis import diagnosed
    from tunesmith.runs import Run
    from tunesmith.runs.readers.own import history_of

    if flight.net is not None:
        seen = diagnosed(history_of(Run(flight.folder / flight.net.place)))
        write_json(flight.folder / SEEN, {"run": flight.net.place, "findings": [one.as_dict() for one in seen]})


def _called(flight: Flight, name: str) -> Candidate:
    found = flight.called(name)
    assert found is not None
    return found


def _key(one: Candidate) -> str:
    """Two candidates with the same key are the same model."""
    return (one.place or one.name) + ("" if one.step is None else f"@{one.step}")


def _joined(flight: Flight, parts: list[tuple[Array, float]]) -> Array:
    """The average of predictions by their weights."""
    return average([said for said, _ in parts], [weight for _, weight in parts], kind=flight.prepared.kind)


def _settled(flight: Flight, chosen: list[tuple[Candidate, float]]) -> dict[str, Any]:
    """Temperature and threshold, from the validation rows; with the members, what a prediction needs."""
    prepared, scorer = flight.prepared, flight.scorer
    said = _joined(flight, [(one.said, weight) for one, weight in chosen])
    temperature, threshold, rule = 1.0, None, ""
    if prepared.kind in CLASSES:
        if flight.recipe.eval.calibrate:
            logits = np.log(np.clip(said, 1e-12, 1.0))
            temperature = metrics.fit_temperature(prepared.kind, logits, scorer.target, scorer.weight).value
        if prepared.kind == "binary" and prepared.positive is not None:
            truth, chances = scorer.target == prepared.positive, softened(said, temperature)[:, prepared.positive]
            threshold, rule = chosen_threshold(flight.recipe.eval.threshold, truth, chances, scorer.weight)
    return {
        "kind": prepared.kind,
        "classes": None if prepared.classes is None else list(prepared.classes),
        "positive": prepared.positive,
        "outputs": prepared.outputs,
        "temperature": temperature,
        "threshold": threshold,
        "rule": rule,
        "members": [
            {"name": one.name, "kind": one.kind, "place": one.place, "step": one.step, "weight": weight}
            for one, weight in chosen
        ],
    }


def _judged(flight: Flight, chosen: list[tuple[Candidate, float]], settled: Mapping[str, Any]) -> dict[str, Any]:
    prepared = flight.prepared
    name = "test" if prepared.test is not None else "val"
    part = prepared.test if prepared.test is not None else prepared.val
    rivals = {
        one.name: one
        for one in flight.candidates
        if one.name in ("constant answer", "linear model", "gradient boosting", "plain net")
    }
    if flight.net is not None:
        rivals["best net"] = flight.net
    every = [*(one for one, _ in chosen), *rivals.values()]
    truth, weight, said = _said(flight, part, {_key(one): one for one in every})
    rows = {}
    before = _joined(flight, [(said[_key(one)], share) for one, share in chosen])
    whole = softened(before, settled["temperature"])
    for title, prediction, threshold in (
        ("handed over", whole, settled["threshold"]),
        *((other, said[_key(one)], None) for other, one in rivals.items()),
    ):
        about: dict[str, Any] = {
            "classes": prepared.classes,
            "positive": prepared.positive,
            "weight": weight,
            "threshold": threshold,
        }
        rows[title] = {
            "scores": metrics.scores(prepared.kind, truth, prediction, **about),
            "intervals": metrics.intervals(
                prepared.kind,
                truth,
                prediction,
                names=(flight.scorer.name,),
                count=RESAMPLES,
                seed=flight.seed,
                **about,
            ),
            "count": len(truth),
        }
    _kept(flight, name, part, truth, whole, settled)
    how: dict[str, Any] = {
        "metric": flight.scorer.name,
        "weight": weight,
        "threshold": settled["threshold"],
        "seed": flight.seed,
    }
    show_slices(name, part, prepared, truth, whole, _Files(flight.folder), **how)
    rows["handed over"] |= _errors(flight, truth, weight, whole, before, settled)
    return {"part": name, "metric": flight.scorer.name, "better": flight.scorer.better, "rows": rows}


def _kept(flight: Flight, name: str, part: Any, truth: Array, whole: Array, settled: Mapping[str, Any]) -> None:
    """Predictions of the judged rows, and those that are most wrong, as files."""
    numbers = part.rows if isinstance(part, Part) else np.arange(len(truth))
    kind = "probabilities" if flight.prepared.kind not in ("regression", "multi_regression") else "values"
    place = flight.folder / "predictions"
    place.mkdir(exist_ok=True)
    np.savez_compressed(place / f"{name}.npz", allow_pickle=False, rows=numbers, target=truth, **{kind: whole})
    if isinstance(part, Part):
        how = Settled(temperature=settled["temperature"], threshold=settled["threshold"], rule=settled["rule"])
        show_worst(name, part, flight.prepared, flight.task, truth, whole, how, _Files(flight.folder))


class _Files:
    """Writes below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_json(self, name: str, value: Any) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / name, value)

    def write_arrays(self, name: str, **arrays: Any) -> None:
        np.savez_compressed(self.folder / name, allow_pickle=False, **arrays)

    def write_bytes(self, name: str, data: bytes) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(data)


def _errors(
    flight: Flight, truth: Array, weight: Array | None, whole: Array, before: Array, settled: Mapping[str, Any]
) -> dict[str, Any]:
    """Of classes: confusion, scores by class, and calibration before and after the temperature."""
    prepared = flight.prepared
    if prepared.kind not in CLASSES:
        return {}
    decided: dict[str, Any] = {"positive": prepared.positive, "weight": weight, "threshold": settled["threshold"]}
    rows = metrics.class_report(prepared.kind, truth, whole, classes=prepared.classes, **decided)
    return {
        "confusion": metrics.confusion_matrix(prepared.kind, truth, whole, **decided).tolist(),
        "per_class": [{**row, "label": str(label_of(row["label"]))} for row in rows],
        "calibration": {
            "temperature": settled["temperature"],
            "ece_before": metrics.calibration_error(prepared.kind, before, truth, weight),
            "ece_after": metrics.calibration_error(prepared.kind, whole, truth, weight),
            "bins": reliability(whole, truth),
        },
    }


def _said(flight: Flight, part: Any, wanted: Mapping[str, Candidate]) -> tuple[Array, Array | None, dict[str, Array]]:
    """The truth, the weights of the rows, and what each candidate says of a part."""
    from tunesmith.training.judgement import baseline, in_units

    truth: Array | None = None
    weight: Array | None = None
    found: dict[str, Array] = {}
    for name, one in wanted.items():
        if one.kind == "net":
            found[name], truth, weight = flight.nets.said(one.place, part, one.step)
        elif one.kind != "constant":
            found[name] = raw(flight.folder / one.place, part, flight.prepared)
    if truth is None:
        truth = in_units(np.asarray(part.target), flight.prepared)
        weight = part.weight
    for name, one in wanted.items():
        if one.kind == "constant":
            found[name] = baseline(flight.prepared, truth)
    return truth, weight, found
