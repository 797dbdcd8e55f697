"""How the training went: loss, score, learning rate, gradient norm."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tunesmith.reports.facts import Array, Facts
from tunesmith.reports.markup import Html, Section, figure, section, tag
from tunesmith.reports.sections.pins import legend, pinned, pins
from tunesmith.reports.svg import Line, Pin, chart
from tunesmith.reports.wording import count, score

CLIP = 0.01  # share of the extremes of single batches that may leave the chart at either side
SMOOTH = 25  # a running mean spans this share of the curve


def curves(facts: Facts) -> Section | None:
    """All charts over the updates of the run."""
    found = pinned(facts)
    signs = Signs([(float(facts.best["step"]), "best")] if facts.best else [], pins(found, facts.language))
    drawings = [loss(facts, signs), metric(facts, signs), signal(facts, "lr", "learning rate", signs, log=False)]
    drawings.append(signal(facts, "grad_norm", "gradient norm", signs, log=True))
    shown = [drawing for drawing in drawings if drawing]
    if not shown:
        return None
    return section("curves", "Training", *notes(facts), tag("div", *shown, class_="charts"), legend(found, facts))


class Signs(NamedTuple):
    """What stands on every chart: upright lines with a word, and findings."""

    marks: Sequence[tuple[float, str]]
    pins: Sequence[Pin]


def notes(facts: Facts) -> list[Html]:
    if not facts.best:
        return []
    best = facts.best
    name = best.get("metric") or "validation loss"
    value = best.get("score") if best.get("score") is not None else best.get("val_loss")
    where = f"epoch {best['epoch']:g}, update {count(best['step'])}"
    said = f"Best weights: {where}, validation {name} {score(value)}; they are the ones judged above."
    return [tag("p", said)]


def loss(facts: Facts, signs: Signs) -> Html | None:
    """Loss of the single batches as a band with its running mean; validation at each evaluation."""
    lines = []
    if "loss" in facts.curves:
        lines += smooth("training batches", facts.curves["loss"], 1)
    lines += evaluated(
        facts,
        {"train_loss": ("training at evaluations", 3), "val_loss": ("validation", 2)},
        skip="train_loss" if lines else "",
    )
    if not lines:
        return None
    values = np.concatenate([line.y for line in lines])
    values = values[np.isfinite(values)]
    log = bool(
        len(values) and values.min() > 0 and values.max() / values.min() > 20
    )  # beyond that a linear axis hides the end
    return figure(chart(lines, labels=("updates", "loss"), **signs._asdict(), whole=True, clip=CLIP, log_y=log), "Loss")


def metric(facts: Facts, signs: Signs) -> Html | None:
    """The deciding score at each evaluation."""
    lines = evaluated(facts, {"score": (f"validation {facts.metric}", 2)})
    return (
        figure(chart(lines, labels=("updates", facts.metric), **signs._asdict(), whole=True), "Score")
        if lines and facts.metric
        else None
    )


def signal(facts: Facts, name: str, words: str, signs: Signs, *, log: bool) -> Html | None:
    if name not in facts.curves or not np.isfinite(facts.curves[name].mean).any():
        return None
    curve = facts.curves[name]
    positive = curve.mean[np.isfinite(curve.mean)]
    log = log and bool((positive > 0).all()) and positive.max() / positive.min() > 20
    plain = [Line(words, curve.steps.astype(float), curve.mean, 5)]
    lines = smooth(words, curve, 4) if name == "grad_norm" else plain
    drawing = chart(lines, labels=("updates", words), **signs._asdict(), whole=True, clip=CLIP, log_y=log)
    return figure(drawing, words.capitalize())


def evaluated(facts: Facts, wanted: Mapping[str, tuple[str, int]], skip: str = "") -> list[Line]:
    """A curve of the evaluations for each field that was measured."""
    lines = []
    for field, (name, colour) in wanted.items():
        rows = [row for row in facts.evaluations if row.get(field) is not None and field != skip]
        if rows:
            lines.append(Line(name, column(rows, "step"), column(rows, field), colour))
    return lines


def column(rows: Sequence[Mapping[str, Any]], field: str) -> Array:
    return np.array([float(row[field]) for row in rows])


def smooth(name: str, curve: Any, colour: int) -> list[Line]:
    """The running mean, over the single values or, of a long curve, over a band from lowest to highest."""
    steps = curve.steps.astype(float)
    mean = running_mean(curve.mean, max(len(curve.mean) // SMOOTH, 1))
    if np.array_equal(curve.low, curve.high, equal_nan=True):
        return [Line("", steps, curve.mean, colour, "faint"), Line(name, steps, mean, colour)]
    return [Line(name, steps, mean, colour, "line", curve.low, curve.high)]


def running_mean(values: Array, width: int) -> Array:
    """Mean of the finite values within `width` points around each point; NaN where there is none.

    >>> running_mean(np.array([1.0, 3.0, np.nan, 5.0]), 3).tolist()
    [2.0, 2.0, 4.0, 5.0]
    """
    whole = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(whole, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(whole)])
    places = np.arange(len(values))
    starts, ends = np.maximum(places - width // 2, 0), np.minimum(places + width // 2 + 1, len(values))
    many = counts[ends] - counts[starts]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(many > 0, (sums[ends] - sums[starts]) / many, np.nan)
