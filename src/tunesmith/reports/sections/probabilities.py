"""Whether probabilities mean what they say, and what other thresholds would give."""

from typing import Any

import numpy as np

from tunesmith.reports.facts import Array, Facts
from tunesmith.reports.markup import Html, Section, figure, join, section, tag
from tunesmith.reports.svg import BOTTOM, LEFT, RIGHT, TOP, Axis, Frame, Line, axes, bar, chart, hover, legend_of, svg
from tunesmith.reports.wording import score

MOST = 400  # points of a ROC or precision-recall curve


def probabilities(facts: Facts) -> Section | None:
    """Calibration of classes; ROC and precision-recall of a positive class."""
    drawings = [drawing for drawing in (reliability(facts), *ranking(facts)) if drawing]
    if not drawings:
        return None
    return section("probabilities", "Probabilities", *calibrated(facts), tag("div", *drawings, class_="charts thirds"))


def calibrated(facts: Facts) -> list[Html]:
    found = facts.part().get("calibration") or {}
    if found.get("temperature") is None:
        return []
    fitted = f"Temperature {found['temperature']:.3f}, fitted on the validation rows"
    change = f"from {score(found.get('ece_before'))} to {score(found.get('ece_after'))}"
    return [tag("p", f"{fitted}: the expected calibration error goes {change}.")]


def reliability(facts: Facts) -> Html | None:
    """How often the prediction was right, by how sure it was."""
    bins = [bin_ for bin_ in (facts.part().get("calibration") or {}).get("bins", ()) if bin_["count"]]
    if not bins:
        return None
    x, y = Axis(0, 1, LEFT, 380 - RIGHT), Axis(0, 1, 360 - BOTTOM, TOP)
    frame = Frame(x, y, 380, 360, ("confidence", "share that is right"))
    most = max(bin_["count"] for bin_ in bins)
    columns = join(column(frame, bin_, bin_["count"] / most) for bin_ in bins)
    diagonal = Html(f'<line class="diagonal" x1="{x.start}" y1="{y.start}" x2="{x.end}" y2="{y.end}"/>')
    sure = np.array([bin_["confidence"] for bin_ in bins], float)
    right = np.array([bin_["accuracy"] for bin_ in bins], float)
    many = np.array([bin_["count"] for bin_ in bins], float)
    lines = [Line("share that is right", sure, right, 1), Line("rows", sure, many, 8)]
    dots = join(
        Html(f'<circle class="bin c1" cx="{float(x.place(a)):.1f}" cy="{float(y.place(b)):.1f}" r="4"/>')
        for a, b in zip(sure, right, strict=True)
    )
    drawing = svg(380, 360, axes(frame), columns, diagonal, dots, hover=hover(frame, lines), class_="chart square")
    return figure(
        join([legend_of(lines), drawing]), "Reliability, after calibration: on the diagonal, 80 % sure is right in 80 %"
    )


def column(frame: Frame, bin_: Any, share: float) -> Html:
    """The number of rows of a bin, as a faint bar at the bottom of the chart."""
    middle = float(frame.x.place(bin_["confidence"]))
    return bar(middle - 7, frame.y.start - 60 * share, middle + 7, frame.y.start, 8)


def ranking(facts: Facts) -> list[Html]:
    """ROC and precision-recall curve of the positive class of a binary task."""
    found = facts.predictions
    if facts.kind != "binary" or "probabilities" not in found or len(facts.classes) != 2:
        return []
    positive = str(facts.scores.get("positive") or facts.classes[1])
    index = facts.classes.index(positive) if positive in facts.classes else 1
    truth = np.asarray(found["target"]) == index
    if truth.all() or not truth.any():
        return []
    hits, false, thresholds = counts_by_threshold(truth, np.asarray(found["probabilities"])[:, index])
    recall, fall_out = hits / truth.sum(), false / (~truth).sum()
    precision = hits / np.maximum(hits + false, 1)
    values = facts.part().get("scores", {})
    start = np.array([0.0])
    roc = Line(named("ROC", values.get("roc_auc")), np.r_[start, fall_out], np.r_[start, recall], 1)
    chance = Line("chance", np.array([0.0, 1.0]), np.array([0.0, 1.0]), 8, "dashed")
    share = float(truth.mean())
    curve = Line(named("precision", values.get("average_precision")), recall, precision, 1)
    floor = Line("chance", np.array([0.0, 1.0]), np.array([share, share]), 8, "dashed")
    marks = operating(facts, thresholds, (fall_out, recall), (recall, precision))
    unit = (0.0, 1.0)
    return [
        figure(
            chart(
                [roc, chance, *marks[:1]],
                labels=("false positive rate", "true positive rate"),
                x_range=unit,
                y_range=(0.0, 1.02),
                square=True,
            ),
            f"ROC of {positive}",
        ),
        figure(
            chart(
                [curve, floor, *marks[1:]],
                labels=("recall", "precision"),
                x_range=unit,
                y_range=(0.0, 1.02),
                square=True,
            ),
            f"Precision and recall of {positive}",
        ),
    ]


def operating(facts: Facts, thresholds: Array, *curves: tuple[Array, Array]) -> list[Line]:
    """The point of each curve at which the threshold in use lies."""
    used = facts.scores.get("threshold")
    if used is None or not (thresholds >= used).any():
        return []
    at = int(np.flatnonzero(thresholds >= used)[-1])
    return [Line(f"threshold {score(used)}", x[at : at + 1], y[at : at + 1], 2, "points") for x, y in curves]


def named(name: str, value: float | None) -> str:
    return name if value is None else f"{name} ({'area' if name == 'ROC' else 'average precision'} {score(value)})"


def counts_by_threshold(truth: Array, chance: Array) -> tuple[Array, Array, Array]:
    """True and false positives when everything from each threshold on is called positive, and the thresholds, falling.

    >>> truth, chance = np.array([True, False, True, False]), np.array([0.9, 0.8, 0.8, 0.1])
    >>> hits, false, thresholds = counts_by_threshold(truth, chance)
    >>> hits.tolist(), false.tolist(), thresholds.tolist()
    ([1, 2, 2], [0, 1, 2], [0.9, 0.8, 0.1])
    """
    order = np.argsort(-chance, kind="stable")
    ranked = chance[order]
    last = np.r_[np.flatnonzero(np.diff(ranked)), len(ranked) - 1]  # rows of equal probability move together
    hits = np.cumsum(truth[order])[last]
    false = last + 1 - hits
    if len(last) > MOST:
        kept = np.unique(np.linspace(0, len(last) - 1, MOST).round().astype(int))
        return hits[kept], false[kept], ranked[last][kept]
    return hits, false, ranked[last]
