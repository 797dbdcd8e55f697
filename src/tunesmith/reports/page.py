"""One run, or several, as one self-contained HTML file: nothing is fetched, and without the script it is complete."""

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from tunesmith.reports.facts import Facts, gather
from tunesmith.reports.markup import Html, Section, figure, join, section, table, tag
from tunesmith.reports.sections.classes import confusion, per_class
from tunesmith.reports.sections.curves import curves
from tunesmith.reports.sections.embeddings import embeddings
from tunesmith.reports.sections.headline import headline, scores
from tunesmith.reports.sections.inputs import data, model, settings, sourced
from tunesmith.reports.sections.inside import inside
from tunesmith.reports.sections.made import made as made_samples
from tunesmith.reports.sections.numbers import numbers
from tunesmith.reports.sections.probabilities import probabilities
from tunesmith.reports.sections.samples import samples
from tunesmith.reports.sections.slices import slices
from tunesmith.reports.sections.story import failure, findings, history, onward
from tunesmith.reports.svg import Line, chart
from tunesmith.reports.wording import count, duration, interval, number, score, setting

if TYPE_CHECKING:
    from tunesmith.runs import Run

SECTIONS = (
    failure,
    scores,
    findings,
    curves,
    inside,
    confusion,
    per_class,
    probabilities,
    numbers,
    slices,
    samples,
    made_samples,
    embeddings,
    data,
    settings,
    model,
    history,
    onward,
)
COLOURS = 8  # of the page's palette


def page(run: "Run") -> str:
    """The page of one run. A part that the run never reached is left out."""
    facts = gather(run)
    parts = [part for part in (made(facts) for made in SECTIONS) if part]
    return document(f"{facts.run.get('title') or facts.name} · Tunesmith", headline(facts), parts)


def runs_page(runs: Sequence["Run"]) -> str:
    """Several runs beside each other: scores, curves, and the settings in which they differ."""
    told = [gather(run) for run in runs]
    names = unlike([facts.name for facts in told])
    head = tag("header", tag("h1", f"{len(told)} runs"), tag("p", ", ".join(names), class_="facts"))
    parts = [compared(told, names), overlaid(told, names), differing(told, names)]
    return document("Runs · Tunesmith", head, [part for part in parts if part])


def document(title: str, head: Html, parts: Sequence[Section]) -> str:
    """The whole file: style and script inside."""
    links = [tag("a", part.title, href=f"#{part.anchor}") for part in parts]
    sections = [part.html() for part in parts]
    foot = tag("footer", "Made by Tunesmith. Everything on this page is inside this file.")
    body = join([head, tag("nav", *links), *sections, foot])
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{tag('title', title)}<style>{resource('page.css')}</style></head>\n"
        f"<body><main>{body}</main><script>{resource('page.js')}</script></body></html>\n"
    )


def resource(name: str) -> str:
    return (files("tunesmith.reports") / name).read_text(encoding="utf-8")


def unlike(names: Sequence[str]) -> list[str]:
    """Names made different by a number where two are the same.

    >>> unlike(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    return [name if name not in names[:i] else f"{name} ({names[: i + 1].count(name)})" for i, name in enumerate(names)]


def compared(told: Sequence[Facts], names: Sequence[str]) -> Section:
    """One row a run."""
    metrics = list(dict.fromkeys(metric for facts in told for metric in facts.part().get("scores", {})))
    heads = ["run", "status", "judged on", "model", "parameters", "epochs", "time", *metrics]
    rows = [compared_row(facts, name, metrics) for facts, name in zip(told, names, strict=True)]
    note = tag(
        "p",
        "Below each deciding score stands its 95 % interval: runs whose intervals overlap widely are not told apart.",
        class_="aside",
    )
    return section("runs", "Runs", table(heads, rows, numbers=range(4, len(heads))), note)


def compared_row(facts: Facts, name: str, metrics: Sequence[str]) -> list[Any]:
    judged = facts.part()
    bounds = judged.get("intervals") or {}
    parameters = sum(layer["parameters"] for layer in facts.model.get("layers", ()))
    seconds = sum(row.get("seconds") or 0 for row in facts.evaluations)
    epochs = facts.evaluations[-1]["epoch"] if facts.evaluations else None
    cells: list[Any] = [
        tag("b", name),
        facts.run["status"],
        facts.judged,
        str(facts.model.get("name", "")),
        count(parameters),
    ]
    cells += [number(epochs), duration(seconds or None)]
    for metric in metrics:
        value = score(judged.get("scores", {}).get(metric))
        deciding = metric == facts.metric and metric in bounds
        cells.append(
            join([tag("b", value), tag("small", interval(bounds[metric]), class_="under")]) if deciding else value
        )
    return cells


def overlaid(told: Sequence[Facts], names: Sequence[str]) -> Section | None:
    """Validation loss and score of every run in one chart each."""
    drawings = []
    for field, title in (("val_loss", "Validation loss"), ("score", "Score")):
        lines = []
        for i, (facts, name) in enumerate(zip(told, names, strict=True)):
            rows = [row for row in facts.evaluations if row.get(field) is not None]
            if rows:
                x, y = (np.array([float(row[key]) for row in rows]) for key in ("epoch", field))
                lines.append(Line(name, x, y, i % COLOURS + 1, "line" if i < COLOURS else "dashed"))
        metrics = list(dict.fromkeys(facts.metric for facts in told if facts.metric))
        label = title.lower() if field == "val_loss" else ", ".join(metrics)
        if lines:
            drawings.append(figure(chart(lines, labels=("epochs", label)), title))
    return section("curves", "Curves", tag("div", *drawings, class_="charts")) if drawings else None


def differing(told: Sequence[Facts], names: Sequence[str]) -> Section:
    """The settings that are not the same in all runs."""
    flat = [
        {f"{part}.{name}": value for part, fields in facts.recipe.items() for name, value in fields.items()}
        for facts in told
    ]
    paths = list(dict.fromkeys(path for settings_ in flat for path in settings_))
    rows = []
    for path in paths:
        values = [settings_.get(path) for settings_ in flat]
        if any(value != values[0] for value in values):
            titles = [sourced(facts.sources.get(path)) for facts in told]
            rows.append(
                [
                    tag("code", path),
                    *(tag("span", setting(value), title=title) for value, title in zip(values, titles, strict=True)),
                ]
            )
    same = len(paths) - len(rows)
    told_ = table(["setting", *names], rows) if rows else tag("p", "The runs have the same settings.")
    return section(
        "settings",
        "Settings that differ",
        told_,
        tag("p", f"{same} settings are the same in all runs.", class_="aside"),
    )
