"""The page of a check: findings, samples as the network sees them, filters, activations, the dynamics of a fixed batch."""

import base64
import io
from collections.abc import Sequence

import numpy as np

from tunesmith.records import Findings
from tunesmith.records.look import Dynamics, Look, Sample, Tiles
from tunesmith.reports.beside import beside
from tunesmith.reports.checked import summary
from tunesmith.reports.markup import Html, Section, details, figure, join, section, table, tag
from tunesmith.reports.page import document
from tunesmith.reports.sections.story import finding
from tunesmith.reports.svg import Line, chart
from tunesmith.reports.wording import counted, duration, number, score, visible

SORTS = (
    ("suspicion", "most suspicious first"),
    ("loss", "loss"),
    ("label", "label"),
    ("size", "size or length"),
    ("row", "row"),
)
PIECE = 24  # letters of a token that are shown


def page(title: str, found: Findings, look: Look | None, language: str = "en") -> str:
    """The whole file."""
    head = tag(
        "header",
        tag("h1", f"Check of {title}"),
        tag("p", " ".join(summary(found)), class_="facts"),
    )
    parts = [listed(found, language), compared(found), *(seen(look) if look is not None else ()), carried_out(found)]
    return document(f"Check of {title} · Tunesmith", head, [part for part in parts if part is not None])


def listed(found: Findings, language: str) -> Section:
    """The findings, most likely cause first."""
    if not len(found):
        return section("findings", "Findings", tag("p", "Nothing to report: no check found a fault.", class_="aside"))
    return section("findings", "Findings", *(finding(one, language) for one in found))


def compared(found: Findings) -> Section | None:
    """What a score of this task is to be held against."""
    rows = [(name, visible(said)) for name, said in beside(found.measured)]
    if not rows:
        return None
    return section("beside", "What a score stands beside", table(("", ""), rows))


def carried_out(found: Findings) -> Section:
    """Every check with its seconds, and why the others had nothing to look at."""
    rows = [
        (name, duration(seconds), found.skipped.get(name, "") or ("broke" if name in found.failed else ""))
        for name, seconds in sorted(found.seconds.items(), key=lambda item: -item[1])
    ]
    rows += [(name, "", "not reached") for name in found.unreached]
    notes = [tag("p", visible(notice), class_="aside") for notice in found.notices]
    return section(
        "checks", "What was checked", *notes, table(("check", "time", ""), rows, numbers=(1,), class_="dense")
    )


def seen(look: Look) -> list[Section | None]:
    return [samples(look), filters(look), activations(look), dynamics(look.dynamics)]


def samples(look: Look) -> Section | None:
    """The rows as cards, to be sorted and filtered."""
    if not look.samples:
        return None
    told = (
        f"The {len(look.samples)} training rows shown were chosen from {look.rows}: those that findings name, those of the largest "
        f"loss, and some at random. Losses and predictions are those of a copy after {counted(look.steps, 'update')}. "
        "Values are exactly those the network is given."
    )
    scale = f" Of pictures, {look.scale}." if look.scale else ""
    cards = [card(one, place) for place, one in enumerate(look.samples)]
    return section(
        "samples",
        "What the network sees",
        tag("p", told + scale, class_="aside"),
        controls(look.samples),
        tag("div", *cards, class_="cards wide" + (" rows" if look.samples[0].values else ""), id="cards"),
    )


def controls(shown: Sequence[Sample]) -> Html:
    """Order and filters; without the script the cards stand in their order."""
    order = tag("select", *(tag("option", word, value=key) for key, word in SORTS), id="sort")
    labels = sorted({one.label for one in shown})
    few = labels if len(labels) <= 50 else []
    label = tag(
        "select", tag("option", "all labels", value=""), *(tag("option", one, value=one) for one in few), id="by-label"
    )
    faults = sorted({fault for one in shown for fault in one.found})
    fault = tag(
        "select", tag("option", "all rows", value=""), *(tag("option", one, value=one) for one in faults), id="by-fault"
    )
    wrong = tag("label", Html('<input type="checkbox" id="wrong">'), " predicted wrongly")
    least = tag("label", "loss from ", Html('<input type="number" id="least" step="any" size="6">'))
    length = tag("label", "size from ", Html('<input type="number" id="shortest" size="6">'))
    count = tag("output", counted(len(shown), "row"), id="count")
    return tag(
        "form",
        tag("label", "order ", order),
        label,
        fault,
        wrong,
        least,
        length,
        count,
        class_="controls",
        id="controls",
    )


def card(one: Sample, place: int) -> Html:
    """One row."""
    shown: list[Html] = []
    if one.picture is not None:
        shown.append(Html(f'<img alt="row {one.row}" loading="lazy" src="{png(one.picture)}">'))
    if one.tokens:
        shown.append(tag("p", *(token(piece, trained) for piece, trained in one.tokens), class_="tokens"))
    if one.values:
        rows = [(name, cell, tag("small", given)) for name, cell, given in one.values]
        inner = table(("", "", ""), rows, class_="dense")
        shown.append(inner if one.picture is None and not one.tokens else details(counted(len(rows), "value"), inner))
    wrong = one.label != one.predicted
    lines = [
        tag("b", one.label),
        join([" as ", tag("b", one.predicted, class_="wrong")]) if wrong else "",
        tag("small", f" loss {score(one.loss)} · row {one.row}" + (f" · size {one.size}" if one.size else "")),
    ]
    marks = [tag("span", fault, class_="chip warning") for fault in one.found]
    return tag(
        "div",
        *shown,
        tag("div", *lines),
        tag("div", *marks) if marks else "",
        class_="card",
        data_suspicion=place,
        data_loss=one.loss,
        data_label=one.label,
        data_size=one.size,
        data_row=one.row,
        data_found=" ".join(one.found),
        data_wrong="1" if wrong else "0",
    )


def token(piece: str, trained: bool) -> Html:
    """A piece of text; underlined where the loss is taken on it."""
    written = visible(piece)[:PIECE] or "·"
    return tag("span", written, class_="trained" if trained else None)


def filters(look: Look) -> Section | None:
    """First-layer weights."""
    if not look.filters:
        return None
    return section("filters", "Filters of the first layer", *(strip(one, "filters") for one in look.filters))


def activations(look: Look) -> Section | None:
    """What the first layers make of one row."""
    if not look.activations:
        return None
    said = tag(
        "p",
        "One row of a fixed batch; each tile is a channel. All tiles alike, or all flat, is a bad sign.",
        class_="aside",
    )
    return section("activations", "Activations", said, *(strip(one, "channels") for one in look.activations))


def strip(one: Tiles, what: str) -> Html:
    """A row of tiles on one scale."""
    pictures = [Html(f'<img alt="" loading="lazy" src="{png(tile)}">') for tile in one.tiles]
    more = f", {len(one.tiles)} shown" if len(one.tiles) < one.total else ""
    caption = f"{one.layer}: {one.total} {what}{more}; black is {number(one.low)}, white is {number(one.high)}"
    return figure(tag("div", *pictures, class_="tiles-strip"), caption)


def dynamics(found: Dynamics | None) -> Section | None:
    """The fixed batch over the updates."""
    if found is None or len(found.steps) < 2:
        return None
    loss = chart([Line("loss", found.steps, found.loss, 1)], labels=("updates", "loss"), legend=False)
    lines = [Line(f"{i + 1}: {name}", found.steps, found.right[:, i], i % 8 + 1) for i, name in enumerate(found.names)]
    what = "probability of the right class" if found.of_classes else "prediction"
    curves = chart(lines, labels=("updates", what))
    said = "Jittery lines mean an unstable training: a learning rate too high for this batch, most often."
    charts = [figure(loss, "Loss of the fixed batch"), figure(curves, f"Each row: {what}")]
    return section(
        "dynamics",
        "A fixed batch while it trains",
        tag("p", said, class_="aside"),
        tag("div", *charts, class_="charts"),
    )


def png(pixels: np.ndarray) -> str:
    """A picture as a data address."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(held, "PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"
