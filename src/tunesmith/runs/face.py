"""How a run shows itself at a prompt and in a notebook."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from tunesmith.records import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

    from tunesmith.runs.reading import Reading

PARTS = ("train", "val", "test")


def facts(run: "Reading") -> Iterator[tuple[str, str]]:
    """What a glance should catch: status, progress, scores, findings."""
    yield "status", str(run.status)
    rows = run.evaluations
    if rows:
        last = rows[-1]
        yield "progress", ", ".join(f"{name} {last[name]}" for name in ("epoch", "step") if last.get(name) is not None)
        best = next((row for row in reversed(rows) if row.get("best")), None)
        if best and isinstance(best.get("score"), int | float):
            yield "best", f"{best.get('metric', 'score')} {best['score']:.4g} at step {best.get('step')}"
    scores = run.scores or {}
    for part in PARTS:
        numbers = scores.get(part)
        if isinstance(numbers, dict):
            shown = [f"{name} {value:.4g}" for name, value in numbers.items() if isinstance(value, int | float)]
            yield part, ", ".join(shown[:6])
    yield "findings", str(len(run.findings))


def table(run: "Reading", title: str) -> "Table":
    from rich.table import Table

    made = Table(title=title, show_header=False, title_justify="left")
    for name, value in facts(run):
        made.add_row(name, value)
    return made


def html(run: "Reading", title: str) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts(run))
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def plot(run: "Reading", title: str) -> "Figure":
    """Loss and metric over the updates, as a matplotlib figure."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("plots need matplotlib, which is not here; pip install 'tunesmith[plots]'") from error
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title)
    _losses(left, run)
    _scores(right, run.evaluations)
    return figure


def _losses(axes: "Axes", run: "Reading") -> None:
    if ("loss", "") in run.signals.names():
        curve = run.signals.curve("loss", points=500)
        axes.fill_between(curve.steps, curve.low, curve.high, alpha=0.2, linewidth=0)
        axes.plot(curve.steps, curve.mean, label="training loss, step by step")
    for name, label in (("train_loss", "training loss"), ("val_loss", "validation loss")):
        _line(axes, run.evaluations, name, label)
    axes.set(xlabel="step", ylabel="loss")
    if axes.has_data():
        axes.legend()


def _scores(axes: "Axes", rows: list[dict[str, Any]]) -> None:
    metric = next((str(row["metric"]) for row in rows if row.get("metric")), "score")
    _line(axes, rows, "score", f"validation {metric}")
    axes.set(xlabel="step", ylabel=metric)
    for row in rows[::-1]:
        if row.get("best") and row.get("step") is not None:
            axes.axvline(row["step"], linestyle=":", label=f"best, step {row['step']}")
            break
    if axes.has_data():
        axes.legend()


def _line(axes: "Axes", rows: list[dict[str, Any]], name: str, label: str) -> None:
    points = [(row["step"], row[name]) for row in rows if row.get(name) is not None and row.get("step") is not None]
    if points:
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
