"""Run folders as a training would leave them, made from closed forms."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tunesmith.records import Evidence, Finding, Recipe, Remedy, Safety, Source, revise
from tunesmith.runs import Run, RunWriter

EPOCHS, UPDATES = 12, 150
LAYERS = [
    {"name": "stem", "kind": "Conv2d", "shape": [32, 1, 3, 3], "parameters": 320, "init_std": 0.4714, "decay": True},
    {"name": "norm", "kind": "BatchNorm2d", "shape": [32], "parameters": 64, "init_std": None, "decay": False},
    {"name": "head", "kind": "Linear", "shape": [10, 32], "parameters": 330, "init_std": 0.102, "decay": True},
]
OVERFIT = Finding(
    fault="fit.overfit",
    severity="warning",
    message="validation loss rose from {low:.3f} to {high:.3f} since epoch {epoch} while training fell",
    values={"low": 0.312, "high": 0.377, "epoch": 8},
    evidence=(Evidence(name="val_loss", value=0.377, threshold=0.33, source="noise of the evaluations", step=1800),),
    remedies=(Remedy(title="stronger dropout", safety=Safety.RISKY, change={"model.dropout": 0.3}),),
    confidence=0.8,
)
MakeRun = Callable[..., Run]


def trained(writer: RunWriter, metric: str) -> None:
    """Signals and evaluations of a run whose validation loss turns at epoch 8."""
    rng = np.random.default_rng(0)
    steps = np.arange(1, EPOCHS * UPDATES + 1)
    writer.begin_attempt()
    writer.add("loss", steps, 2.3 * np.exp(-steps / 400) + 0.25 + 0.08 * rng.standard_normal(len(steps)))
    writer.add("lr", steps, 1e-3 * (1 + np.cos(np.pi * steps / len(steps))) / 2)
    writer.add("grad_norm", steps, np.exp(0.5 * rng.standard_normal(len(steps))) * (0.4 + 4 * np.exp(-steps / 90)))
    lowest = np.inf
    for epoch in range(1, EPOCHS + 1):
        value = 0.3 + 0.9 * np.exp(-epoch / 2) + 0.012 * max(epoch - 8, 0)
        row: dict[str, Any] = {"epoch": epoch, "step": epoch * UPDATES, "train_loss": 0.25 + 2 * np.exp(-epoch / 2.5)}
        row |= {"val_loss": value, "metric": metric, "score": 1 - value / 2, "best": value < lowest, "lr": 1e-3}
        writer.evaluation(row | {"seconds": 3.25, "memory_mb": 410.0, "eta_seconds": 3.0 * (EPOCHS - epoch)})
        lowest = min(lowest, value)
    writer.finding(OVERFIT, step=1800)
    writer.decision("stop early", "no gain beyond the noise since epoch 8", {"train.epochs": 12}, step=1800)


def classified(writer: RunWriter, labels: list[str], rows: int = 2000, seed: int = 1) -> dict[str, Any]:
    """Judgement and predictions of a classifier that is right in about nine of ten."""
    rng = np.random.default_rng(seed)
    classes = len(labels)
    target = rng.integers(0, classes, rows)
    logits = rng.standard_normal((rows, classes)) * 1.2
    logits[np.arange(rows), target] += 3.4
    chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    guess = chance.argmax(1)
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (target, guess), 1)
    right = np.diag(confusion)
    precision, recall = right / np.maximum(confusion.sum(0), 1), right / np.maximum(confusion.sum(1), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    writer.write_arrays("predictions/test", rows=np.arange(rows), target=target, probabilities=chance)
    edges = np.linspace(0, 1, 11)
    sure, hit = chance.max(1), guess == target
    bins = [
        {"confidence": float(sure[at].mean()), "accuracy": float(hit[at].mean()), "count": int(at.sum())}
        for at in ((sure > low) & (sure <= low + 0.1) for low in edges[:-1])
        if at.any()
    ]
    accuracy = float(right.sum() / rows)
    per_class = [
        {"label": label, "precision": p, "recall": r, "f1": f, "support": int(n)}
        for label, p, r, f, n in zip(labels, precision, recall, f1, confusion.sum(1), strict=True)
    ]
    return {
        "scores": {"accuracy": accuracy, "f1_macro": float(f1.mean()), "log_loss": 0.31},
        "intervals": {"accuracy": [accuracy - 0.013, accuracy + 0.012], "log_loss": [0.28, 0.35]},
        "rows": rows,
        "confusion": confusion.tolist(),
        "per_class": per_class,
        "baseline": {"accuracy": 1 / classes, "log_loss": float(np.log(classes))},
        "calibration": {"temperature": 1.31, "ece_before": 0.046, "ece_after": 0.011, "bins": bins},
    }


def regressed(writer: RunWriter, rows: int = 3000) -> dict[str, Any]:
    """Judgement and predictions of a regression with noise of 0.4."""
    rng = np.random.default_rng(2)
    target = rng.gamma(3.0, 0.8, rows)
    values = 0.85 * target + 0.3 + 0.4 * rng.standard_normal(rows)
    writer.write_arrays("predictions/test", rows=np.arange(rows), target=target, values=values)
    scores = {"r2": 0.81, "rmse": 0.6, "mae": 0.42}
    return {"scores": scores, "intervals": {"r2": [0.79, 0.83]}, "rows": rows, "baseline": {"r2": 0.0, "rmse": 1.38}}


def pictured(writer: RunWriter, folder: Path, labels: list[str], many: int = 12) -> None:
    """Pictures of the rows most wrong."""
    items = []
    (folder / "samples").mkdir(exist_ok=True)
    for i in range(many):
        y, x = np.mgrid[0:28, 0:28]
        pixels = (127 * (1 + np.sin((x + i * y) / 5.0)) * (np.hypot(x - 14, y - 14) < 12)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "samples" / f"test-{i + 1:04d}.png")
        item = {"row": 37 * i, "truth": labels[i % len(labels)], "prediction": labels[(i + 3) % len(labels)]}
        item |= {"probability": 0.99 - 0.01 * i, "loss": 6.1 - 0.2 * i, "name": f"part-{i}.png", "text": None}
        items.append(item | {"values": None, "picture": f"samples/test-{i + 1:04d}.png"})
    writer.write_json("samples/test", {"kind": "pictures", "items": items})


def judged(writer: RunWriter, part: dict[str, Any], metric: str, labels: list[str], **more: Any) -> None:
    halves = {"scores": {name: value * 0.99 for name, value in part["scores"].items()}, "rows": part["rows"]}
    told = {"parts": {"test": part, "val": halves}, "metric": metric, "classes": labels, "threshold": None}
    writer.write_json("scores", told | {"best": {"step": 8 * UPDATES, "epoch": 8, "score": 0.83}} | more)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes a finished run: `kind` as of a task, `labels` of its classes."""

    def make(kind: str = "multiclass", labels: list[str] | None = None, name: str = "run-1", **changes: Any) -> Run:
        recipe = revise(Recipe(), {"optim.lr": 2e-3}, Source("command line"))
        recipe = revise(recipe, {"train.batch_size": 128}, Source("derived", "2 ** round(log2(34189 / 250))"))
        recipe = revise(recipe, changes, Source("file", "my.toml:3"))
        info = {"title": "fashion.csv → label", "command": ["tunesmith", "fit", "fashion.csv", "--target", "label"]}
        info["rows"] = {"train": 700, "val": 150, "test": 150}
        run = Run.create(tmp_path / name, recipe=recipe, info=info | {"versions": {"python": "3.11", "torch": "2.13"}})
        labels = [f"class {i}" for i in range(10)] if labels is None else labels
        with run.writer() as writer:
            fill(writer, run.folder, kind, labels)
            writer.set_status("finished")
        return run

    return make


def fill(writer: RunWriter, folder: Path, kind: str, labels: list[str]) -> None:
    metric = "r2" if kind == "regression" else "accuracy"
    trained(writer, metric)
    writer.write_json("model", {"name": "cnn", "kind": kind, "outputs": len(labels), "layers": LAYERS})
    parts = {"train": np.arange(700), "val": np.arange(150), "test": np.arange(150)}
    writer.write_arrays("data/split", method=np.array("stratified"), **parts)
    columns = [
        {"name": f"feature {i}", "kind": "number", "missing": i, "distinct": 40, "values": "0 to 9"} for i in range(3)
    ]
    writer.write_json("data/columns", [{**column, "encoding": "standard", "source": "inferred"} for column in columns])
    if kind == "regression":
        judged(writer, regressed(writer), metric, [])
        values = {"age": 30.5, "town": "<b>Köln</b>"}
        item = {"row": 3, "truth": "2.5", "prediction": "9.1", "probability": None, "loss": 43.6, "values": values}
        writer.write_json("samples/test", {"kind": "table", "items": [item]})
        return
    more = {"threshold": 0.41, "threshold_rule": "best f1 on val", "positive": labels[1]} if kind == "binary" else {}
    judged(writer, classified(writer, labels), metric, labels, **more)
    pictured(writer, folder, labels)
