"""Rows with equal contents: groups of them, and how many equal pairs would come about by coincidence.

A row of few columns with few values each has its equal by nature. Two columns are taken as two catches of one population
(Petersen; Chapman, University of California Publications in Statistics 1 (1951)): of the pairs that agree in all other
columns, n10 agree in the first alone, n01 in the second alone and n00 in neither, so coincidence explains n10 n01 / n00 that
agree in both. Copies appear in none of the three. The columns that explain most are believed.
"""

import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.features import usable
from tunesmith.doctor.audits.features_keys import mixed, row_keys
from tunesmith.doctor.audits.material import Material, View

MOST_COLUMNS = 10  # that are taken two by two, those of the most values; assumption


@dataclass(frozen=True, slots=True)
class Keys:
    """uint64 (N,) of each column, and whether coincidence is to be thought of."""

    by_column: Mapping[str, Array]
    by_nature: bool  # rows of a table; texts and pictures are not equal by coincidence

    @property
    def whole(self) -> Array:
        return _sum(list(self.by_column.values()))


def column_keys(material: Material, views: Sequence[View]) -> list[Keys]:
    """For each view; equal numbers mean equal values in every one of them."""
    names = [name for name in usable(material) if all(name in view.table for view in views)]
    by_nature = all(_few(material, name) for name in names)
    made: list[dict[str, Array]] = [{} for _ in views]
    for name in names:
        values = [view.table[name] for view in views]
        common = np.result_type(*values) if all(one.dtype != object for one in values) else None
        for keys, one in zip(made, values, strict=True):
            same = _settled(one if common is None else one.astype(common, copy=False))
            parts = same.reshape(len(same), -1).T if by_nature and same.ndim > 1 else [same]
            for place, part in enumerate(parts):
                keys[f"{name}[{place}]"] = mixed(
                    row_keys({name: part}) + np.uint64(zlib.crc32(f"{name}[{place}]".encode()))
                )
    return [Keys(keys, by_nature) for keys in made]


def _few(material: Material, name: str) -> bool:
    values = material.train.table[name]
    return material.columns[name].kind not in ("text", "picture") and values[:1].size <= 64  # assumption: wider rows


def _settled(values: Array) -> Array:
    """Every gap the same gap."""
    if values.dtype.kind != "f" or not np.isnan(values).any():
        return values
    return np.where(np.isnan(values), values.dtype.type(np.nan), values)


def _sum(keys: Sequence[Array]) -> Array:
    found = np.zeros(len(keys[0]), np.uint64)
    with np.errstate(over="ignore"):
        for one in keys:
            found += one
    return found


def groups_of(keys: Array) -> list[Array]:
    """The places of each set of two equal keys or more, in order; the largest first.

    >>> import numpy as np
    >>> [group.tolist() for group in groups_of(np.array([7, 8, 7, 9, 8, 7]))]
    [[0, 2, 5], [1, 4]]
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(keys) else np.empty(0, np.int64)
    sizes = np.diff(np.r_[starts, len(keys)])
    found = [order[start : start + size] for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True)]
    return sorted(found, key=lambda group: (-len(group), int(group[0])))


def coincidences(keys: Keys, others: Keys | None = None) -> float:
    """The number of equal pairs, within rows or between them and others, that coincidence explains."""
    if not keys.by_nature:
        return 0.0
    mine, theirs = keys.by_column, None if others is None else others.by_column
    names = sorted(mine, key=lambda name: -len(np.unique(mine[name])))[:MOST_COLUMNS]
    if len(names) == 1:
        return _pairs(keys.whole, None if others is None else others.whole)
    whole = keys.whole, None if others is None else others.whole
    equal = _pairs(*whole)
    if not equal:
        return 0.0
    without = {name: _without(whole, mine, theirs, (name,)) for name in names}
    most = 0.0
    for one, other in combinations(names, 2):
        both = _without(whole, mine, theirs, (one, other))
        first, second = without[other] - equal, without[one] - equal
        neither = both - without[one] - without[other] + equal
        most = max(most, first * second / max(neither, 1.0))
    return most


def _without(
    whole: tuple[Array, Array | None],
    mine: Mapping[str, Array],
    theirs: Mapping[str, Array] | None,
    names: tuple[str, ...],
) -> float:
    """Pairs that agree in all columns but these."""
    with np.errstate(over="ignore"):
        left = whole[0] - _sum([mine[name] for name in names])
        right = None if theirs is None or whole[1] is None else whole[1] - _sum([theirs[name] for name in names])
    return _pairs(left, right)


def _pairs(keys: Array, others: Array | None) -> float:
    """Equal pairs, each counted once."""
    values, counts = np.unique(keys, return_counts=True)
    if others is None:
        return float((counts * (counts - 1.0) / 2).sum())
    found, times = np.unique(others, return_counts=True)
    _, here, there = np.intersect1d(values, found, assume_unique=True, return_indices=True)
    return float((counts[here].astype(np.float64) * times[there]).sum())


def bare(text: str) -> str:
    """A text without what does not count: case, width, accents' spelling, punctuation, spaces.

    >>> bare("  FREE  entry!!") == bare("free entry")
    True
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    kept = (letter if unicodedata.category(letter)[0] in "LNMS" else " " for letter in plain)
    return " ".join("".join(kept).split())
