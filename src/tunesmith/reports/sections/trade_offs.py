"""A study: score against time, size and whatever else costs something."""

import numpy as np

from tunesmith.records import DataError
from tunesmith.reports.markup import Html, Section, figure, section, table, tag
from tunesmith.reports.study_charts import cloud
from tunesmith.reports.study_facts import StudyFacts
from tunesmith.reports.wording import count, duration, number, score
from tunesmith.search.understanding.fronts import front, objectives

COSTS = ("seconds", "fit_seconds", "parameters", "size", "bytes", "latency")  # names under which costs are measured
ROWS = 12


def trade_offs(facts: StudyFacts) -> Section | None:
    """A chart for each cost that was measured."""
    parts = [drawing for name in COSTS if (drawing := _front(facts, name))]
    words = "On the line are the trials that no other beats in both."
    return (
        section("front", "Score against cost", tag("p", words, class_="aside"), tag("div", *parts, class_="charts"))
        if parts
        else None
    )


def _front(facts: StudyFacts, name: str) -> Html | None:
    if not any(name in record for id in facts.order[:50] for record in facts.trials[id].records[-1:]) and not any(
        name in facts.trials[id].values for id in facts.order[:50]
    ):
        return None
    try:
        ids, points = objectives(facts.trials, (name, "score"))
    except DataError:
        return None
    if len(ids) < 2 or np.ptp(points[:, 0]) == 0:
        return None
    chosen = front(points)
    written = duration if "seconds" in name else number
    rows = [
        [count(ids[row]), score(points[row, 1]), written(float(points[row, 0]))] for row in reversed(chosen[-ROWS:])
    ]
    drawing = figure(cloud(points[:, 0], points[:, 1], np.array(chosen), (name, "score")), f"Score against {name}")
    return tag("div", drawing, table(["trial", "score", name], rows, numbers=(0, 1, 2)))
