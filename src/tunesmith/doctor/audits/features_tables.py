"""Columns of a table as numbers: robustly scaled, gaps filled and marked, frequent levels one column each."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tunesmith.data.columns import missing_in
from tunesmith.data.spec import Array

LEVELS = 32  # columns one categorical column may take, the most frequent first; assumption
RARE = 3  # a level of fewer rows has no column of its own; assumption
Encoder = Callable[[Mapping[str, Array]], Array]


def number_encoder(name: str, values: Array) -> Encoder:
    """One column asinh((x - median) / spread), linear near the middle and logarithmic far out, and one that marks gaps."""
    there = values[np.isfinite(values)]
    middle = float(np.median(there)) if len(there) else 0.0
    spread = _spread(there, middle)
    marks = len(there) < len(values)

    def encode(table: Mapping[str, Array]) -> Array:
        came = np.asarray(table[name], np.float64)
        gone = ~np.isfinite(came)
        scaled = np.arcsinh((np.where(gone, middle, came) - middle) / spread)
        return np.stack([scaled, gone] if marks else [scaled], axis=1).astype(np.float32)

    return encode


def _spread(values: Array, middle: float) -> float:
    """Half the range between the quartiles as a standard deviation; where that is 0, the standard deviation."""
    if not len(values):
        return 1.0
    low, high = np.quantile(values, [0.25, 0.75])
    return float((high - low) / 1.349 or np.std(values) or 1.0)  # 1.349: the same range of a normal distribution


def level_encoder(name: str, values: Array) -> Encoder:
    """A column for each frequent level, and one for gaps where there are any."""
    known = {level: place for place, level in enumerate(frequent_levels(values))}
    marks = bool(missing_in(values).any())

    def encode(table: Mapping[str, Array]) -> Array:
        came = table[name]
        code = np.fromiter((known.get(level, -1) for level in came.tolist()), np.int64, len(came))
        found = np.zeros((len(came), len(known) + marks), np.float32)
        told = np.flatnonzero(code >= 0)
        found[told, code[told]] = 1.0
        if marks:
            found[:, -1] = missing_in(came)
        return found

    return encode


def code_encoder(name: str, values: Array) -> Encoder:
    """One column for trees: the rank of the level by frequency, NaN for a gap."""
    known = {level: float(place) for place, level in enumerate(frequent_levels(values, 255))}

    def encode(table: Mapping[str, Array]) -> Array:
        came = table[name].tolist()
        other = float(len(known))
        codes = [np.nan if level is None else known.get(level, other) for level in came]
        return np.array(codes, np.float32)[:, None]

    return encode


def frequent_levels(values: Array, count: int = LEVELS) -> list[object]:
    """The most frequent levels, ties in the order of their names."""
    levels, rows = np.unique(values[~missing_in(values)].astype(str), return_counts=True)
    order = np.lexsort((levels, -rows))[:count]
    return [str(levels[place]) for place in order if rows[place] >= min(RARE, len(values))]


def joined(encoders: Sequence[Encoder], table: Mapping[str, Array]) -> Array:
    """The columns of all encoders side by side, float32 (N, D)."""
    count = len(next(iter(table.values())))
    blocks = [encode(table) for encode in encoders]
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((count, 0), np.float32)
