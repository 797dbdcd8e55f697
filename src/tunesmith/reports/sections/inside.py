"""What the watch measured inside the network, layer by layer and over the run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tunesmith.reports.facts import Facts
from tunesmith.reports.markup import Html, Section, details, figure, section, table, tag
from tunesmith.reports.svg import Line, chart
from tunesmith.reports.wording import number, percent

LINES = 6  # layers drawn in one chart: the first, the last, and some between them
BY_LAYER = {  # quantity: heading of its chart and column, whether its axis is logarithmic
    "update_ratio": ("Update over weight", True),
    "grad_norm": ("Gradient norm", True),
    "activation_std": ("Spread of activations", True),
    "dead_fraction": ("Dead units", False),
    "saturated_fraction": ("Saturated units", False),
}
SHARES = ("dead_fraction", "saturated_fraction")
OF_ANSWERS = {"confidence": "confidence of the answers", "confidence_high": "answers with more than 0.99"}
RULE = "About 0.001 is usual for the update of a layer over its weights; far above, a run is unsteady, far below, it stands."


def inside(facts: Facts) -> Section | None:
    """Charts by layer, the answers, and a table of all layers at the end; None where nothing was watched."""
    drawings = [by_layer(facts, name) for name in BY_LAYER]
    drawings += [answers(facts), classes(facts)]
    shown = [drawing for drawing in drawings if drawing]
    if not shown:
        return None
    rows = layers(facts)
    named = [heading for name, (heading, _) in BY_LAYER.items() if facts.placed.get(name)]
    listed = table(("layer", *named), rows, numbers=range(1, len(named) + 1), class_="dense") if rows else None
    parts = [details("all layers at the end of the run", listed)] if listed is not None else []
    aside = [tag("p", RULE, class_="aside")] if facts.placed.get("update_ratio") else []
    return section("inside", "Inside the network", *aside, tag("div", *shown, class_="charts"), *parts)


def by_layer(facts: Facts, name: str) -> Html | None:
    """One line a layer, from the input (1) to the output."""
    found = facts.placed.get(name) or {}
    places = chosen([where for where in in_order(facts, found) if np.isfinite(found[where].mean).any()])
    if not places:
        return None
    heading, log = BY_LAYER[name]
    lines = [
        Line(where or "the model", found[where].steps.astype(float), found[where].mean, place + 1)
        for place, where in enumerate(places)
    ]
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    log = log and bool((values > 0).all())
    bounds = (0.0, 1.0) if name in SHARES else None
    return figure(chart(lines, labels=("updates", heading.lower()), whole=True, log_y=log, y_range=bounds), heading)


def answers(facts: Facts) -> Html | None:
    """How sure the answers are as the run goes on."""
    lines = [
        Line(words, facts.curves[name].steps.astype(float), facts.curves[name].mean, place + 1)
        for place, (name, words) in enumerate(OF_ANSWERS.items())
        if name in facts.curves
    ]
    drawn = chart(lines, labels=("updates", "share"), whole=True, y_range=(0.0, 1.0)) if lines else None
    return None if drawn is None else figure(drawn, "How sure the answers are")


def classes(facts: Facts) -> Html | None:
    """The share of each class among the answers."""
    found = facts.placed.get("predicted_share") or {}
    places = chosen(list(found))
    if not places:
        return None
    lines = [
        Line(f"class {where}", found[where].steps.astype(float), found[where].mean, place + 1)
        for place, where in enumerate(places)
    ]
    return figure(
        chart(lines, labels=("updates", "share"), whole=True, y_range=(0.0, 1.0)), "Classes among the answers"
    )


def layers(facts: Facts) -> list[list[Any]]:
    """The last value of each quantity, a row a layer."""
    names = [name for name in BY_LAYER if facts.placed.get(name)]
    places = in_order(facts, {where: None for name in names for where in facts.placed[name]})
    return [[where or "the model", *(last(facts, name, where) for name in names)] for where in places]


def last(facts: Facts, name: str, where: str) -> str:
    curve = facts.placed[name].get(where)
    if curve is None or not np.isfinite(curve.mean).any():
        return ""
    value = float(curve.mean[np.isfinite(curve.mean)][-1])
    return percent(value) if name in SHARES else number(value)


def in_order(facts: Facts, found: Mapping[str, Any]) -> list[str]:
    """Places in the order of the model's layers; those it does not list after them, as they came."""
    order = {str(layer.get("name", "")): place for place, layer in enumerate(facts.model.get("layers", ()))}
    return sorted(found, key=lambda where: order.get(where, len(order)))


def chosen(places: Sequence[str]) -> list[str]:
    """At most `LINES` of them: the first, the last, and some at equal distances between."""
    if len(places) <= LINES:
        return list(places)
    return [places[round(place)] for place in np.linspace(0, len(places) - 1, LINES)]
