"""Number columns, dates and matrices of numbers, as one scaled float32 matrix.

A missing value becomes the median of the training part, and each column that misses values there gets an indicator
column beside it. A date becomes days since 1970, and sine and cosine of its place in the year, the week and the day
where that changes in the training part.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from tunesmith.data.scalers import ARRAY_SCALE, SCALERS, TABLE_SCALE, Scaler, feature_names
from tunesmith.data.spec import Array, Numbers, Table
from tunesmith.records.sections import DataSection

WIDEST, WIDE_SCALE = (
    4096,
    "standard",
)  # numbers a row that an encoding may have where none is asked for, and what is done else; assumption
DAY = 86400.0
CYCLES: Mapping[str, float] = {"year": 365.2425 * DAY, "week": 7 * DAY, "day": DAY}  # seconds of one round


class NumberBlock:
    """The number and date columns of a table."""

    kind = "numbers"

    def __init__(
        self,
        names: Sequence[str],
        settings: DataSection,
        dates: Sequence[str] = (),
        trendless: Sequence[str] = (),
    ) -> None:
        """`dates` are those of `names` that hold seconds since 1970; the day count of those in `trendless` is left out."""
        self.names = tuple(names)
        self.notices: tuple[str, ...] = ()
        self._auto = settings.scale == "auto"
        self._scale = TABLE_SCALE if self._auto else settings.scale
        self._dates = tuple(dates)
        self._trendless = tuple(trendless)
        self._scaled = tuple(name for name in self.names if name not in self._trendless)
        self._fill: dict[str, float] = {}
        self._marked: tuple[str, ...] = ()  # columns with an indicator
        self._cycles: tuple[tuple[str, str], ...] = ()  # (date column, cycle)
        self._scaler: Scaler | None = None

    def fit(self, table: Table) -> None:
        missing = {name: np.isnan(table[name]) for name in self.names}
        self._fill = {name: _median(table[name][~missing[name]]) for name in self.names}
        self._marked = tuple(name for name in self.names if missing[name].any() and not missing[name].all())
        self._cycles = tuple(
            (name, cycle) for name in self._dates for cycle in CYCLES if _changes(table[name][~missing[name]], cycle)
        )
        self._scaler = SCALERS[self._scale].fit(self._matrix(table))
        if self._auto and sum(self._scaler.widths) > WIDEST:
            self.notices = (
                f"{len(self._scaled)} number columns would become {sum(self._scaler.widths)} in {self._scale} encoding; they are brought "
                f"to mean 0 and deviation 1 instead (data.scale = {WIDE_SCALE!r})",
            )
            self._scale = WIDE_SCALE
            self._scaler = SCALERS[self._scale].fit(self._matrix(table))

    def transform(self, table: Table) -> Array:
        parts = [self._fitted().transform(self._matrix(table))]
        for name, cycle in self._cycles:
            angle = 2 * np.pi * _filled(table[name], self._fill[name]) / CYCLES[cycle]
            parts.append(np.stack([np.sin(angle), np.cos(angle)], axis=1))
        parts += [np.isnan(table[name])[:, None] for name in self._marked]
        return np.concatenate(parts, axis=1, dtype=np.float32, casting="unsafe")

    def spec(self) -> Numbers:
        names = list(feature_names(self._fitted(), self._scaled))
        names += [f"{name} ({wave} of {cycle})" for name, cycle in self._cycles for wave in ("sine", "cosine")]
        names += [f"{name} (missing)" for name in self._marked]
        return Numbers(len(names), tuple(names))

    def inverse(self, features: Array) -> dict[str, Array]:
        """The columns that features (N, width) stand for, NaN where the indicator says missing; dates in seconds."""
        width = sum(self._fitted().widths)
        values = self._fitted().inverse(features[:, :width].astype(np.float64))
        columns = {name: values[:, index] for index, name in enumerate(self._scaled)}
        for name in set(self._dates) & set(columns):
            columns[name] = columns[name] * DAY
        for name, marked in zip(self._marked, features[:, len(features.T) - len(self._marked) :].T, strict=True):
            if name in columns:
                columns[name] = np.where(marked > 0.5, np.nan, columns[name])
        return columns

    def told(self, name: str) -> str:
        """How the model sees the column `name`, for people."""
        parts = (
            []
            if name in self._trendless
            else [f"{self._scale}, {self._fitted().widths[self._scaled.index(name)]} wide"]
        )
        parts += [f"sine and cosine of the {cycle}" for date, cycle in self._cycles if date == name]
        parts += [f"missing = {self._fill[name]:.6g} and an indicator"] if name in self._marked else []
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "scale": self._scale,
            "dates": list(self._dates),
            "trendless": list(self._trendless),
            "fill": self._fill,
            "marked": list(self._marked),
            "cycles": [list(pair) for pair in self._cycles],
            "scaler": self._fitted().to_json(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        settings = DataSection(scale=plain["scale"])
        block = cls(plain["names"], settings, plain["dates"], plain["trendless"])
        block._fill = dict(plain["fill"])
        block._marked = tuple(plain["marked"])
        block._cycles = tuple((name, cycle) for name, cycle in plain["cycles"])
        block._scaler = SCALERS[plain["scale"]].from_json(plain["scaler"])
        return block

    def _fitted(self) -> Scaler:
        assert self._scaler is not None, "the block was not fitted"
        return self._scaler

    def _matrix(self, table: Table) -> Array:
        rows = len(next(iter(table.values())))
        matrix = np.empty((rows, len(self._scaled)))
        for index, name in enumerate(self._scaled):
            matrix[:, index] = _filled(table[name], self._fill[name])
            if name in self._dates:
                matrix[:, index] /= DAY
        return matrix


class MatrixBlock:
    """A matrix of numbers (N, columns) of the user's own: `table["x"]`, scaled for a built-in model."""

    kind = "numbers"

    def __init__(self, names: Sequence[str], settings: DataSection) -> None:
        self.names = tuple(names)
        self.notices: tuple[str, ...] = ()
        self._scale = ARRAY_SCALE if settings.scale == "auto" else settings.scale
        self._fill: Array | None = None  # (columns,), where the training part misses values
        self._marked: Array = np.empty(0, np.int64)
        self._scaler: Scaler | None = None
        self._columns = 0

    @property
    def columns(self) -> int:
        """How many columns the matrix must have."""
        return self._columns

    def fit(self, table: Table) -> None:
        values = _float_matrix(table[self.names[0]])
        self._columns = values.shape[1]
        missing = np.isnan(values)
        if missing.any():
            share = missing.mean(axis=0)
            self._fill = np.array([_median(column[~gone]) for column, gone in zip(values.T, missing.T, strict=True)])
            self._marked = np.flatnonzero((share > 0) & (share < 1))
            self.notices = (
                f"X misses values (NaN) in {int((share > 0).sum())} columns; each becomes the median of the training part"
                " beside an indicator column",
            )
        self._scaler = SCALERS[self._scale].fit(self._without_gaps(values))

    def transform(self, table: Table) -> Array:
        values = _float_matrix(table[self.names[0]])
        scaled = self._fitted().transform(self._without_gaps(values))
        if not len(self._marked):
            return np.ascontiguousarray(scaled, np.float32)
        return np.concatenate([scaled, np.isnan(values[:, self._marked])], axis=1, dtype=np.float32, casting="unsafe")

    def spec(self) -> Numbers:
        names = list(feature_names(self._fitted(), [f"x{column}" for column in range(self._columns)]))
        names += [f"x{column} (missing)" for column in self._marked]
        return Numbers(len(names), tuple(names))

    def inverse(self, features: Array) -> dict[str, Array]:
        """The columns that features (N, width) stand for."""
        values = self._fitted().inverse(features[:, : sum(self._fitted().widths)].astype(np.float64))
        return {f"x{column}": values[:, column] for column in range(values.shape[1])}

    def told(self, name: str) -> str:
        """How the model sees the matrix, for people."""
        width = sum(self._fitted().widths) + len(self._marked)
        return f"{self._scale}, {width} wide" + (
            f", {len(self._marked)} of them indicators" if len(self._marked) else ""
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "scale": self._scale,
            "columns": self._columns,
            "fill": None if self._fill is None else self._fill.tolist(),
            "marked": self._marked.tolist(),
            "scaler": self._fitted().to_json(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        block = cls(plain["names"], DataSection(scale=plain["scale"]))
        block._columns = plain["columns"]
        block._fill = None if plain["fill"] is None else np.asarray(plain["fill"], np.float64)
        block._marked = np.asarray(plain["marked"], np.int64)
        block._scaler = SCALERS[plain["scale"]].from_json(plain["scaler"])
        return block

    def _fitted(self) -> Scaler:
        assert self._scaler is not None, "the block was not fitted"
        return self._scaler

    def _without_gaps(self, values: Array) -> Array:
        if self._fill is None:
            return np.nan_to_num(values, nan=0.0) if np.isnan(values).any() else values
        return np.where(np.isnan(values), self._fill.astype(values.dtype), values)


def _float_matrix(values: Array) -> Array:
    flat = values.reshape(len(values), -1)
    return (
        flat if flat.dtype in (np.float32, np.float64) else flat.astype(np.float32 if flat.itemsize < 4 else np.float64)
    )


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _filled(values: Array, fill: float) -> Array:
    return np.where(np.isnan(values), fill, values)


def _changes(seconds: Array, cycle: str) -> bool:
    """Whether dates lie at different places of the cycle, and not merely because the longer one moves on."""
    if not len(seconds):
        return False
    step = DAY if cycle != "day" else 60.0
    places = np.floor(seconds / step) % round(CYCLES[cycle] / step)
    return bool(np.ptp(places) > 0)
