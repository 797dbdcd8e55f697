"""The final judgement: the best weights on rows not seen, with intervals, beside a trivial baseline.

Temperature and threshold are chosen on the validation part alone; the test part is only looked at.
"""

import io
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from tunesmith.blocks import metrics
from tunesmith.data.spec import Part, Prepared
from tunesmith.records import Task
from tunesmith.training.evaluate import Evaluated, batches_of, evaluate, labelled, probabilities
from tunesmith.training.loop import Plan
from tunesmith.training.plan import evaluation_part
from tunesmith.training.predicting import as_logits, calibrated, chosen_classes, plain
from tunesmith.training.slicing import show_slices

Array = np.ndarray[Any, Any]
CLASSES = ("binary", "multiclass")
VALUES = ("regression", "multi_regression")
WORST = 24  # samples shown
Rule = Literal["auto", "f1", "accuracy", "balanced_accuracy"]
RARE = 0.2  # assumption: below this share of the positive class F1 chooses the threshold, above it 0.5 stands
CELLS = 12  # columns shown of a wrong row


class Writer(Protocol):
    """What the judgement writes to."""

    def write_json(self, name: str, value: Any) -> None: ...
    def write_arrays(self, name: str, **arrays: Any) -> None: ...
    def write_bytes(self, name: str, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Settled:
    """What the validation part decided: temperature and threshold, and how."""

    temperature: float = 1.0
    fitted: bool = False
    threshold: float | None = None
    rule: str = ""


def judge_run(plan: Plan, prepared: Prepared, task: Task, writer: Writer, *, quiet: bool = False) -> None:
    """Judges the weights in the plan's state on validation and test rows, and writes scores, predictions and samples.

    `quiet` leaves out intervals and samples: a search wants the score alone.
    """
    if not getattr(plan.update.loss, "scored", True):
        return
    if prepared.kind == "language":
        from tunesmith.training.token_judgement import token_judgement

        found = token_judgement(plan, prepared, quiet=quiet)
        if found is not None:
            writer.write_json("scores.json", found)
        return
    seen = {
        name: _seen(plan, prepared, part)
        for name, part in (("val", prepared.val), ("test", prepared.test))
        if part is not None
    }
    settled = settle(plan, prepared, seen.get("val"))
    told: dict[str, Any] = {
        "parts": {},
        "metric": plan.recipe.eval.metric,
        "temperature": settled.temperature,
        "threshold": settled.threshold,
        "threshold_rule": settled.rule,
        "positive": None
        if prepared.positive is None or prepared.classes is None
        else plain(prepared.classes[prepared.positive]),
        "classes": None if prepared.classes is None else [plain(label) for label in prepared.classes],
        "best": plan.state.progress.get("best"),
        "loss": plan.update.loss.name,
    }
    for name, evaluated in seen.items():
        prediction = predicted(evaluated, plan, prepared, settled)
        target = in_units(labelled(evaluated, prepared.kind), prepared)
        told["parts"][name] = {
            "loss": evaluated.loss,
            **judged(plan, prepared, evaluated, target, prediction, settled, quiet=quiet),
        }
        part = getattr(prepared, name)
        if isinstance(part, Part) and part.human is not None:
            told["parts"][name]["human"] = human(prepared, target, part.human)
        rows = part.rows if isinstance(part, Part) else np.arange(len(target))
        kind = "values" if prepared.kind in VALUES else "probabilities"
        writer.write_arrays(f"predictions/{name}.npz", rows=rows, target=target, **{kind: prediction})
        if not quiet and isinstance(part, Part):
            show_worst(name, part, prepared, task, target, prediction, settled, writer)
        if not quiet and name == list(seen)[-1]:  # on the rows that the scores are about
            about: dict[str, Any] = {"metric": plan.recipe.eval.metric, "threshold": settled.threshold}
            show_slices(
                name,
                part,
                prepared,
                target,
                prediction,
                writer,
                **about,
                weight=evaluated.weight,
                seed=plan.recipe.train.seed,
            )
    writer.write_json("scores.json", told)


def _seen(plan: Plan, prepared: Prepared, part: Any) -> Evaluated:
    precision = plan.update.precision
    held = evaluation_part(part, prepared, precision.device, precision)
    batches = batches_of(held, int(plan.recipe.eval.batch_size), precision.device, precision.dtype)
    room = None if plan.recovery is None else plan.recovery.room
    return evaluate(plan.state.model, plan.update.loss, batches, precision, room=room)


def settle(plan: Plan, prepared: Prepared, val: Evaluated | None) -> Settled:
    """Temperature and threshold from the validation part; without one, 1 and the recipe's number or none."""
    wanted = plan.recipe.eval.threshold
    if prepared.kind not in CLASSES:
        return Settled()
    if val is None:
        return Settled(
            threshold=wanted if isinstance(wanted, float) else None,
            rule="given" if isinstance(wanted, float) else "no validation rows to choose it on",
        )
    loss = plan.update.loss.name
    temperature = 1.0
    if plan.recipe.eval.calibrate:
        logits = as_two_logits(as_logits(val.outputs, prepared.kind, loss))
        temperature = metrics.fit_temperature(prepared.kind, logits, labelled(val, prepared.kind), val.weight).value
    if prepared.kind != "binary" or prepared.positive is None:
        return Settled(temperature, plan.recipe.eval.calibrate)
    truth = labelled(val, prepared.kind) == prepared.positive
    chances = calibrated(val.outputs, prepared.kind, loss, temperature)[:, prepared.positive]
    threshold, because = chosen_threshold(wanted, truth, chances, val.weight)
    return Settled(temperature, plan.recipe.eval.calibrate, threshold, because)


def chosen_threshold(wanted: float | Rule, truth: Array, chances: Array, weight: Array | None) -> tuple[float, str]:
    """The least probability of the positive class for a yes, and why: a number, the best by a score, or one half.

    `truth` (N,) whether a row is positive, `chances` (N,) its probability; "auto" is the best F1 where the positive class is rare.
    """
    if isinstance(wanted, float):
        return wanted, "given"
    share = float(np.average(truth, weights=weight))
    rule = wanted if wanted != "auto" else ("f1" if share < RARE else "")
    if not rule:
        return 0.5, "one half"
    threshold, _ = metrics.best_threshold(rule, truth, chances, weight)
    because = f"highest {rule} on the validation rows" + (
        f" (the positive class has a share of {share:.3f})" if wanted == "auto" else ""
    )
    return threshold, because


def as_two_logits(logits: Array) -> Array:
    """One logit z of two classes as (0, z): the same probabilities."""
    if logits.ndim == 2 and logits.shape[1] > 1:
        return logits
    return np.stack([np.zeros(len(logits)), logits.reshape(-1)], axis=1)


def predicted(seen: Evaluated, plan: Plan, prepared: Prepared, settled: Settled) -> Array:
    """Calibrated probabilities, or values in the target's unit."""
    if prepared.kind in VALUES:
        values = probabilities(seen.outputs, prepared.kind, plan.update.loss.name).reshape(seen.target.shape)
        return in_units(values, prepared)
    return calibrated(seen.outputs, prepared.kind, plan.update.loss.name, settled.temperature)


def in_units(target: Array, prepared: Prepared) -> Array:
    """A regression target as the data have it; class indices as they are."""
    if prepared.kind not in VALUES or prepared.pipeline is None:
        return target
    return np.asarray(prepared.pipeline.decode(target), dtype=np.float64)


def judged(
    plan: Plan, prepared: Prepared, seen: Evaluated, target: Array, prediction: Array, settled: Settled, *, quiet: bool
) -> dict[str, Any]:
    """Scores, intervals, baseline, and for classes confusion, scores by class and calibration."""
    kind = prepared.kind
    about: dict[str, Any] = {
        "classes": prepared.classes,
        "positive": prepared.positive,
        "weight": seen.weight,
        "threshold": settled.threshold,
    }
    told: dict[str, Any] = {"rows": len(target), "scores": metrics.scores(kind, target, prediction, **about)}
    if plan.recipe.eval.bootstrap and not quiet:
        told["intervals"] = metrics.intervals(
            kind, target, prediction, count=plan.recipe.eval.bootstrap, seed=plan.recipe.train.seed, **about
        )
    told["baseline"] = metrics.scores(kind, target, baseline(prepared, target), **{**about, "threshold": None})
    if kind not in CLASSES:
        return told
    decided = {name: about[name] for name in ("positive", "weight", "threshold")}
    told["confusion"] = metrics.confusion_matrix(kind, target, prediction, **decided).tolist()
    rows = metrics.class_report(kind, target, prediction, classes=prepared.classes, **decided)
    told["per_class"] = [{**row, "label": str(plain(row["label"]))} for row in rows]
    before = calibrated(seen.outputs, kind, plan.update.loss.name, 1.0)
    told["calibration"] = {
        "temperature": settled.temperature,
        "ece_before": metrics.calibration_error(kind, before, target, seen.weight),
        "ece_after": metrics.calibration_error(kind, prediction, target, seen.weight),
        "bins": reliability(prediction, target),
    }
    return told


def reliability(chances: Array, target: Array, bins: int = 10) -> list[dict[str, float]]:
    """Mean confidence and accuracy of the rows in each of `bins` equal ranges of confidence; empty ranges are left out."""
    confidence, right = chances.max(axis=1), chances.argmax(axis=1) == target
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    held = [(place == number) for number in range(bins)]
    return [
        {"confidence": float(confidence[rows].mean()), "accuracy": float(right[rows].mean()), "count": int(rows.sum())}
        for rows in held
        if rows.any()
    ]


def baseline(prepared: Prepared, target: Array) -> Array:
    """What a model says that looks at no input: class shares of the training rows, or their mean."""
    train = prepared.train
    if prepared.kind in CLASSES:
        counts = np.asarray(prepared.counts if prepared.counts is not None else np.bincount(target), dtype=np.float64)
        return np.tile(counts / counts.sum(), (len(target), 1))
    seen = (
        np.asarray(train.target, dtype=np.float64)
        if isinstance(train, Part) and train.target is not None
        else np.asarray(target, dtype=np.float64)
    )
    mean = in_units(np.asarray(np.nanmean(seen, axis=0, keepdims=True)), prepared)
    return np.broadcast_to(mean, target.shape).copy()


def human(prepared: Prepared, target: Array, second: Array) -> dict[str, Any]:
    """The scores of a second annotation taken as a prediction, on the rows that have one: the human line."""
    if prepared.kind in CLASSES:
        there = second >= 0
        given: Array = np.eye(prepared.outputs if prepared.outputs > 1 else 2)[second[there]]
    else:
        given = np.asarray(second, np.float64)
        there = np.isfinite(given).reshape(len(given), -1).all(axis=1)
        given = given[there]
    if not there.any():
        return {"rows": 0, "scores": {}}
    found = metrics.scores(prepared.kind, target[there], given, classes=prepared.classes, positive=prepared.positive)
    graded = ("log_loss", "roc_auc", "average_precision")  # an annotation gives no probabilities
    return {"rows": int(there.sum()), "scores": {name: value for name, value in found.items() if name not in graded}}


def row_losses(kind: str, target: Array, prediction: Array) -> Array:
    """How wrong each row is: -log p of its class, summed over labels for several; the absolute error, scaled, for values."""
    tiny = 1e-15
    if kind in CLASSES:
        return np.asarray(-np.log(np.clip(prediction[np.arange(len(target)), target], tiny, 1.0)))
    if kind == "multilabel":
        chance = np.clip(np.where(target > 0.5, prediction, 1 - prediction), tiny, 1.0)
        return np.asarray(-np.log(chance).sum(axis=1))
    spread = np.nanstd(target, axis=0)
    wrong = np.abs(target - prediction) / np.where(spread > 0, spread, 1.0)
    return np.asarray(wrong if wrong.ndim == 1 else np.nanmean(wrong, axis=1))


def show_worst(
    name: str,
    part: Part,
    prepared: Prepared,
    task: Task,
    target: Array,
    prediction: Array,
    settled: Settled,
    writer: Writer,
) -> None:
    """The rows that are most wrong, as the network sees them."""
    losses = row_losses(prepared.kind, target, prediction)
    worst = np.argsort(-losses, kind="stable")[:WORST]
    form = next((form for key, form in (("pictures", "pictures"), ("tokens", "text")) if key in part.inputs), "table")
    items = []
    for place, row in enumerate(worst, start=1):
        truth, said, chance = _said(prepared, target[row], prediction[row], settled)
        item: dict[str, Any] = {
            "row": int(part.rows[row]),
            "truth": truth,
            "prediction": said,
            "probability": chance,
            "loss": float(losses[row]),
        }
        item |= {"name": None, "text": None, "values": None, "picture": None}
        if form == "pictures":
            item["picture"] = f"samples/{name}-{place:04d}.png"
            writer.write_bytes(item["picture"], png(part.inputs["pictures"][row]))
        elif prepared.pipeline is not None:
            seen = prepared.pipeline.inverse(part, int(row))
            if form == "text":
                item["text"] = (
                    str(next(iter(seen.values())))[:600]
                    if len(seen) == 1
                    else "; ".join(f"{key}: {str(value)[:400]}" for key, value in seen.items())
                )
            else:
                item["values"] = {key: _cell(value) for key, value in list(seen.items())[:CELLS]}
        items.append(item)
    writer.write_json(f"samples/{name}.json", {"kind": form, "items": items})


def _said(prepared: Prepared, target: Any, prediction: Array, settled: Settled) -> tuple[str, str, float | None]:
    if prepared.kind in VALUES:
        return _cell(target), _cell(prediction), None
    classes = prepared.classes if prepared.classes is not None else tuple(range(len(prediction)))
    if prepared.kind == "multilabel":
        held = ", ".join(str(plain(classes[place])) for place in np.flatnonzero(target > 0.5))
        said = ", ".join(str(plain(classes[place])) for place in np.flatnonzero(prediction >= 0.5))
        return held or "none", said or "none", None
    chosen = int(chosen_classes(prediction[None], prepared.positive, settled.threshold)[0])
    return str(plain(classes[int(target)])), str(plain(classes[chosen])), float(prediction[chosen])


def _cell(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if isinstance(value, np.ndarray):
        return ", ".join(_cell(item) for item in value.reshape(-1)[:6])
    return "missing" if value is None else str(plain(value))


def png(picture: Array) -> bytes:
    """A picture (C, H, W) of bytes as PNG."""
    from PIL import Image

    channels = picture.shape[0]
    if channels == 1:
        image = Image.fromarray(picture[0])
    else:
        image = Image.fromarray(
            np.ascontiguousarray(picture[: 4 if channels == 4 else 3].transpose(1, 2, 0))
            if channels > 2
            else picture[0]
        )
    data = io.BytesIO()
    image.save(data, format="PNG")
    return data.getvalue()
