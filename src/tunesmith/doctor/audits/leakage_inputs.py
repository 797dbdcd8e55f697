"""Every input as a column of its own, in numbers: what audits of leakage, shift and usefulness look through. No network.

A column of a table is one input; an array (N, ...) is one input a place, named `x[3]`. Words are the places of their
sorted levels. Nothing is scaled: a copy of the target is to be seen as such. Pictures, texts and identifiers are left out.
"""

from dataclasses import dataclass

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.material import NUMERIC, Material, View
from tunesmith.records.check import Inapplicable

WIDEST = 20_000  # inputs of a row that are looked at one by one; assumption
MOST_LEVELS = 1000  # words of a column that are told apart, the frequent ones; assumption: recipe data.max_categories
CELLS = 8_000_000  # rows × inputs that are looked at together; assumption: 64 MB


@dataclass(frozen=True, slots=True)
class Input:
    """One input: what a user calls it, and where it stands."""

    name: str
    column: str  # key of `View.table`
    place: int = -1  # in the flat row of an array
    levels: tuple[str, ...] = ()  # of words, in order; () for numbers


def inputs_of(material: Material) -> list[Input]:
    """What a model will see, one number each. Raises `Inapplicable` without any."""
    found: list[Input] = material.kept("leakage inputs", lambda: _inputs(material))
    if not found:
        raise Inapplicable("no column is a number or a category")
    return found


def _inputs(material: Material) -> list[Input]:
    made: list[Input] = []
    for name, column in material.columns.items():
        values = material.train.table.get(name)
        if values is None:
            continue
        if column.kind in NUMERIC:
            made.append(Input(name, name))
        elif column.kind == "category":
            made.append(Input(name, name, levels=_levels(material, name)))
        elif column.kind == "array" and values.dtype.kind in "fiub" and not is_pictures(values):
            made += _places(name, values)
    return made


def is_pictures(values: Array) -> bool:
    """Whether an array looks like pictures: (N, C, H, W), (N, H, W, C), or bytes (N, H, W)."""
    if values.ndim == 4:
        return bool(min(values.shape[2:]) >= 4 or (min(values.shape[1:3]) >= 4 and values.shape[3] <= 4))
    return values.ndim == 3 and values.dtype == np.uint8 and min(values.shape[1:]) >= 8


def _places(name: str, values: Array) -> list[Input]:
    width = values[:1].size
    if values.ndim == 1:
        return [Input(name, name, 0)]
    if width > WIDEST:
        return []
    spots = np.ndindex(*values.shape[1:])
    return [Input(f"{name}[{','.join(map(str, spot))}]", name, place) for place, spot in enumerate(spots)]


def _levels(material: Material, name: str) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for view in material.parts.values():
        for value in view.table[name].tolist() if name in view.table else ():
            if value is not None:
                counts[value] = counts.get(value, 0) + 1
    frequent = sorted(counts, key=lambda level: (-counts[level], level))[:MOST_LEVELS]
    return tuple(sorted(frequent))


def matrix(inputs: list[Input], view: View, rows: Array | None = None) -> Array:
    """float64 (N, D) of the inputs that `view` has, NaN for gaps, infinite values and rare words; `rows` chooses some."""
    made = np.full((len(view) if rows is None else len(rows), len(inputs)), np.nan)
    for column in dict.fromkeys(one.column for one in inputs):
        values = view.table.get(column)
        if values is None:
            continue
        chosen = values if rows is None else values[rows]
        flat = chosen.reshape(len(chosen), -1)
        own = [place for place, one in enumerate(inputs) if one.column == column]
        if flat.dtype == object:
            made[:, own[0]] = _numbers(flat, inputs[own[0]])
        elif own[-1] - own[0] == len(own) - 1 == flat.shape[1] - 1:
            made[:, own[0] : own[-1] + 1] = flat
        else:
            made[:, own] = flat[:, [max(0, inputs[place].place) for place in own]]
    made[~np.isfinite(made)] = np.nan
    return made


def _numbers(flat: Array, one: Input) -> Array:
    codes = {level: float(code) for code, level in enumerate(one.levels)}
    gap = float("nan")
    return np.fromiter((codes.get(value, gap) for value in flat[:, 0].tolist()), np.float64, len(flat))


def some_rows(material: Material, most: int, name: str, among: Array | None = None) -> Array:
    """At most `most` places of `material.whole`, drawn at random, in order. `among` marks those that may be drawn."""
    places = np.arange(len(material.whole)) if among is None else np.flatnonzero(among)
    fitting = max(500, min(most, CELLS // max(1, len(inputs_of(material)))))
    if len(places) <= fitting:
        return places
    return np.sort(material.rng(name).choice(places, fitting, replace=False))


@dataclass(frozen=True, slots=True)
class Goal:
    """One target: numbers, or places of classes."""

    name: str
    values: Array  # float64 (N,); of classes their place, NaN where there is none
    classes: tuple[str, ...] = ()


def goals_of(material: Material) -> list[Goal]:
    """The targets of the rows of `material.whole`, at most 64. Raises `Inapplicable` without any that audits can compare."""
    view = material.whole
    material.need_target("binary", "multiclass", "regression", "multi_regression", "multilabel")
    if material.classed and view.codes is not None:
        values = np.where(view.codes < 0, np.nan, view.codes.astype(np.float64))
        return [Goal(material.targets[0] if material.targets else "y", values, tuple(map(str, material.classes)))]
    if view.target is None or view.target.dtype.kind not in "fiub":
        raise Inapplicable("the targets are neither numbers nor classes")
    flat = view.target.reshape(len(view), -1)[:, :64].astype(np.float64)
    flat[~np.isfinite(flat)] = np.nan
    labels = ("no", "yes") if material.kind == "multilabel" else ()
    named = len(material.targets) == flat.shape[1]
    names = material.targets if named else [f"y[{place}]" for place in range(flat.shape[1])]
    return [Goal(name, flat[:, place], labels) for place, name in enumerate(names)]


def columns_of(inputs: list[Input]) -> list[str]:
    """Their names, for the subject of a finding."""
    return [one.name for one in inputs]
