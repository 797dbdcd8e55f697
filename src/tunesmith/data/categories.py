"""Category columns as indices into embedding tables: 0 a rare or unseen level, 1 a missing value, levels from 2 on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from tunesmith.data.spec import Array, Categories, Table
from tunesmith.records.sections import DataSection

RARE, MISSING, FIRST = 0, 1, 2


class CategoryBlock:
    """Keeps, of each column, the levels with enough rows in the training part, the most frequent ones first in line.

    >>> block = CategoryBlock(["c"], DataSection(min_count=1))
    >>> block.fit({"c": np.array(["b", "a", None, "a"], object)})
    >>> block.transform({"c": np.array(["a", "b", None, "new"], object)}).ravel().tolist()
    [2, 3, 1, 0]
    """

    kind = "categories"

    def __init__(self, names: Sequence[str], settings: DataSection) -> None:
        self.names = tuple(names)
        self.notices: tuple[str, ...] = ()
        self._most = settings.max_categories
        self._least = settings.min_count
        self._levels: dict[str, dict[str, int]] = {}

    def fit(self, table: Table) -> None:
        notices = []
        for name in self.names:
            counts = Counter(levels_of(table[name]))
            del counts[None]
            ranked = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
            kept = sorted(str(level) for level, count in ranked[: self._most] if count >= self._least)
            self._levels[name] = {level: index for index, level in enumerate(kept, start=FIRST)}
            if len(kept) < len(counts):
                rows = sum(count for level, count in counts.items() if level not in self._levels[name])
                notices.append(
                    f"{name}: {len(counts) - len(kept)} of {len(counts)} levels are rare ({rows} rows) and share one index"
                )
        self.notices = tuple(notices)

    def transform(self, table: Table) -> Array:
        columns = []
        for name in self.names:
            known: dict[str | None, int] = {None: MISSING}
            known.update(self._levels[name].items())
            values = levels_of(table[name])
            columns.append(np.fromiter((known.get(value, RARE) for value in values), np.int64, len(values)))
        return np.stack(columns, axis=1)

    def remarks(self, table: Table) -> tuple[str, ...]:
        """What new data hold that the training part did not."""
        found = []
        for name in self.names:
            strange = Counter(v for v in levels_of(table[name]) if v is not None and v not in self._levels[name])
            if strange:
                shown = ", ".join(repr(level) for level, _ in strange.most_common(3)) + (
                    " …" if len(strange) > 3 else ""
                )
                found.append(
                    f"{name}: {strange.total()} rows hold a level that was rare or unseen in training ({shown})"
                )
        return tuple(found)

    def spec(self) -> Categories:
        return Categories(tuple(FIRST + len(self._levels[name]) for name in self.names), self.names)

    def inverse(self, indices: Array) -> dict[str, list[str | None]]:
        """The level of each index, None for a missing value, "(rare)" for index 0."""
        named = {
            name: {RARE: "(rare)", MISSING: None, **{i: v for v, i in self._levels[name].items()}}
            for name in self.names
        }
        return {name: [named[name][int(i)] for i in indices[:, place]] for place, name in enumerate(self.names)}

    def told(self, name: str) -> str:
        """How the model sees the column `name`, for people."""
        return f"embedding of {len(self._levels[name])} levels, and one each for rare and missing"

    def to_json(self) -> dict[str, Any]:
        return {"names": list(self.names), "levels": {name: list(levels) for name, levels in self._levels.items()}}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        block = cls(plain["names"], DataSection())
        block._levels = {
            name: {v: i for i, v in enumerate(levels, start=FIRST)} for name, levels in plain["levels"].items()
        }
        return block


def levels_of(values: Array) -> list[str | None]:
    """Levels as text: whole numbers without a point, NaN as missing.

    >>> levels_of(np.array([1.0, np.nan, 2.5]))
    ['1', None, '2.5']
    """
    if values.dtype.kind == "f":
        return [None if v != v else str(int(v)) if v == int(v) else repr(v) for v in values.tolist()]
    listed: list[str | None] = values.tolist()
    return listed
