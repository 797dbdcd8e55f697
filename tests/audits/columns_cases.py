"""Data with and without a planted fault, and how an audit of them is called."""

import numpy as np
import polars as pl

from tunesmith.doctor.audits import material_of, material_of_arrays
from tunesmith.records import Recipe, Task, revise
from tunesmith.records.check import Inapplicable


def rng(seed=0):
    return np.random.default_rng(seed)


def of(train, target=None, recipe=None, **about):
    """The material of a task; `recipe` by paths."""
    settled = Recipe() if recipe is None else revise(Recipe(), recipe)
    return material_of(Task(train=train, target=target, **about), settled)


def as_is(X, y=None, outputs=None, kind="auto", **parts):
    """Arrays that go to a network as they are, as those of a program."""
    found = material_of_arrays({"train": (X, y), **parts}, kind=kind)
    found.outputs = outputs
    return found


def found(look, material):
    """The findings of one audit; none where it has nothing to look at. Each says its sentence in both languages."""
    try:
        listed = list(look(material))
    except Inapplicable:
        return []
    for finding in listed:
        assert len(finding.text("en")) > 20, finding.message
        assert len(finding.text("zh")) > 8, finding.message
        assert all(np.isfinite(one.value) for one in finding.evidence), finding.evidence
        for remedy in finding.remedies:
            remedy.text("zh")
    return listed


def graver(findings):
    return [finding for finding in findings if finding.severity != "note"]


def table(rows=400, seed=0):
    """A sound table: numbers of several scales, a flag, a category, a date, and a target that follows from them."""
    draw = rng(seed)
    age = draw.integers(18, 90, rows)
    income = np.exp(draw.normal(10, 0.5, rows))
    day = np.datetime64("2020-01-01") + draw.integers(0, 900, rows)
    colour = draw.choice(["red", "green", "blue"], rows)
    flag = draw.integers(0, 2, rows)
    score = 0.04 * age + np.log(income) + flag + draw.normal(0, 0.5, rows)
    label = np.where(score > np.median(score), "yes", "no")
    return pl.DataFrame(
        {"age": age, "income": income, "day": day, "colour": colour, "flag": flag, "score": score, "label": label}
    )


def with_cells(frame, column, places, values, dtype=pl.String):
    cells = [str(cell) if dtype == pl.String else cell for cell in frame[column].to_list()]
    for place, value in zip(places, values, strict=True):
        cells[place] = value
    return frame.with_columns(pl.Series(column, cells, dtype=dtype))
