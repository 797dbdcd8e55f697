"""Groups of rows that a person can name: levels and quarters of columns, missing values, lengths and scripts of texts, light of pictures.

Quarters are those of the rows that are looked at. Names of columns and values come back from what the model sees, so that a group is what
the model could have told apart.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tunesmith.data.pipeline import Pipeline
from tunesmith.data.spec import Array, Categories, Part
from tunesmith.data.tokenizers.scripts import script_of

COLUMNS = 40  # of a part, the first ones: the more groups are looked at, the surer each has to be
LEVELS = 20  # of a category, the most frequent ones
FEW = 6  # distinct numbers that are groups of their own
QUARTERS = (0.25, 0.5, 0.75)
CHUNK = 4096  # pictures at once, to bound the memory


def groups(part: Part, pipeline: Pipeline | None) -> Iterator[tuple[str, str, Array]]:
    """Each group as column or property, its values, and the rows (N,) of bool; a group may be empty or hold every row."""
    spec = {} if pipeline is None else pipeline.spec()
    blocks = {} if pipeline is None else {block.kind: block for block in pipeline.blocks}
    dates = set() if pipeline is None else {reading.name for reading in pipeline.readings if reading.kind == "date"}
    left = COLUMNS
    for key, values in part.inputs.items():
        inverse = getattr(blocks.get(key), "inverse", None)
        if key == "pictures":
            yield from of_pictures(values)
        elif key == "tokens":
            yield from of_tokens(values, getattr(spec.get(key), "padding", 0), inverse)
        else:
            named = _columns(key, values, inverse)[:left]
            left -= len(named)
            for name, column in named:
                numbers = not isinstance(spec.get(key), Categories)
                yield from of_numbers(name, column, date=name in dates) if numbers else of_levels(name, column)


def _columns(key: str, values: Array, inverse: Any) -> list[tuple[str, Any]]:
    """The columns of an input by name; none of an array that is no table."""
    if inverse is not None:
        return list(inverse(values).items())
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        return []
    return [(f"{key}{place}", column.astype(np.float64)) for place, column in enumerate(values.T)]


def of_numbers(by: str, values: Array, *, date: bool = False) -> Iterator[tuple[str, str, Array]]:
    """Quarters of the values (N,), or each value where there are few, and the missing ones.

    >>> found = of_numbers("age", np.array([1.0, 2, 3, 4, 5, 6, 7, np.nan]))
    >>> [(name, int(rows.sum())) for _, name, rows in found]
    [('2.5 or less', 2), ('2.5 to 4', 2), ('4 to 5.5', 1), ('more than 5.5', 2), ('missing', 1)]
    """
    gone = np.isnan(values)
    known = values[~gone]
    distinct = np.unique(known)
    said = _date if date else _number
    if len(distinct) <= FEW:
        for value in distinct:
            yield by, said(value), values == value
    else:
        yield from _quarters(by, values, np.unique(np.quantile(known, QUARTERS)), said)
    if gone.any():
        yield by, "missing", gone


def _quarters(by: str, values: Array, edges: Array, said: Callable[..., str]) -> Iterator[tuple[str, str, Array]]:
    bounds = [-np.inf, *edges.tolist(), np.inf]
    names = _told(edges.tolist(), said)
    lowest = float(np.nanmin(values))
    for place, (low, high) in enumerate(pairwise(bounds)):
        rows = (values > low) & (values <= high)
        if np.isinf(low):
            yield by, names[0] if high == lowest else f"{names[0]} or less", rows
        elif np.isinf(high):
            yield by, f"more than {names[-1]}", rows
        else:
            yield by, f"{names[place - 1]} to {names[place]}", rows


def _told(edges: list[float], said: Callable[..., str]) -> list[str]:
    """The edges in as few digits as tell them apart, four or more."""
    for digits in range(4, 17):
        names = [said(edge, digits) for edge in edges]
        if len(set(names)) == len(edges):
            break
    return names


def of_levels(by: str, values: Sequence[str | None]) -> Iterator[tuple[str, str, Array]]:
    """The most frequent levels, and the missing ones."""
    column = np.array(["" if value is None else str(value) for value in values], object)
    gone = np.array([value is None for value in values], bool)
    levels, counts = np.unique(column[~gone].astype(str), return_counts=True)
    for place in np.argsort(-counts, kind="stable")[:LEVELS]:
        yield by, str(levels[place]), (column == levels[place]) & ~gone
    if gone.any():
        yield by, "missing", gone


def of_pictures(pixels: Array) -> Iterator[tuple[str, str, Array]]:
    """Quarters of brightness, the mean of a picture (N, C, H, W), and of contrast, the deviation within it; both of 255."""
    from tunesmith.data.pictures import with_channels

    light, contrast = np.empty(len(pixels)), np.empty(len(pixels))
    for first in range(0, len(pixels), CHUNK):
        some = pixels[first : first + CHUNK]
        grey = (some if some.shape[1] == 1 else with_channels(some, 1)).reshape(len(some), -1)
        light[first : first + CHUNK] = grey.mean(axis=1)
        contrast[first : first + CHUNK] = grey.std(axis=1)
    yield from of_numbers("brightness", light)
    yield from of_numbers("contrast", contrast)


def of_tokens(tokens: Array, padding: int, inverse: Any) -> Iterator[tuple[str, str, Array]]:
    """Quarters of the length in tokens, and the script that most letters of a text are in."""
    yield from of_numbers("length in tokens", (tokens != padding).sum(axis=1).astype(np.float64))
    if inverse is not None:
        texts = next(iter(inverse(tokens).values()))
        yield from of_levels("script", [script_of(str(text)) for text in texts])


def _number(value: float, digits: int = 6) -> str:
    return f"{value:.{digits}g}"


def _date(value: float, digits: int = 0) -> str:
    return str(np.datetime64(round(value), "s")).replace("T", " ").removesuffix(" 00:00:00")
