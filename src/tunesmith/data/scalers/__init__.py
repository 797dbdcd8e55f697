"""Scalers of number columns: fitted on the training part, applied to all, inverted where they can be.

A scaler is made by `SCALERS[name].fit(values)` from numbers (N, columns) without missing values, gives
(N, columns * features) by `transform` and takes them back by `inverse`. It is plain data: `to_json`, `from_json`. One
whose features mix columns names them itself, by `names(columns)`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from tunesmith.data.spec import Array
from tunesmith.records import Catalog

TABLE_SCALE = "piecewise"  # measured: docs/log.md, defaults for tables
ARRAY_SCALE = "standard"  # and for the columns of a matrix, where the fit must cost no more than reading it


class Scaler(Protocol):
    """Numbers (N, columns) to features (N, sum of `widths`) and back."""

    @property
    def widths(self) -> tuple[int, ...]: ...

    @classmethod
    def fit(cls, values: Array) -> Self: ...

    def transform(self, values: Array) -> Array: ...

    def inverse(self, features: Array) -> Array: ...

    def to_json(self) -> dict[str, Any]: ...

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self: ...


SCALERS: Catalog[type[Scaler]] = Catalog("scaler")
SCALERS.load(__path__, __name__)


def feature_names(scaler: Scaler, columns: Sequence[str]) -> tuple[str, ...]:
    """Names of the features that a scaler makes of the columns.

    >>> feature_names(SCALERS["standard"].from_json({"center": [0.0], "factor": [1.0]}), ["age"])
    ('age',)
    """
    if hasattr(scaler, "names"):
        return tuple(scaler.names(tuple(columns)))
    return tuple(
        name if width == 1 else f"{name} [{index}]"
        for name, width in zip(columns, scaler.widths, strict=True)
        for index in range(width)
    )


def ascending(values: Array) -> Array:
    """Each column sorted, as float64 (N, columns)."""
    import numpy as np

    return np.sort(np.asarray(values, np.float64), axis=0)
