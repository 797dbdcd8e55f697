"""What kind of thing data are that came as an object, and how they become sheets or arrays. Imports no torch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.data.read import frame_of, read_table, table_kind
from tunesmith.data.sheet import Sheet, name_of
from tunesmith.data.spec import Array
from tunesmith.records import DataError


def is_path(data: Any) -> bool:
    return isinstance(data, str | Path)


def is_table(data: Any) -> bool:
    """A table file, a data frame, or a dict of columns."""
    if is_path(data):
        return table_kind(Path(data)) is not None
    return isinstance(data, Mapping | Sheet) or is_frame(data)


def is_frame(data: Any) -> bool:
    """A data frame of any library, by what it offers."""
    if isinstance(data, np.ndarray | list | tuple):
        return False
    return hasattr(data, "columns") and (hasattr(data, "__arrow_c_stream__") or hasattr(data, "__getitem__"))


def is_live(data: Any) -> bool:
    """A `Dataset` or a `DataLoader`; torch is not asked where nobody has imported it."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(data, torch.utils.data.DataLoader | torch.utils.data.Dataset):
        return True
    plain = isinstance(data, np.ndarray | list | tuple | Mapping | str | Path) or is_tensor(data) or is_frame(data)
    return not plain and (hasattr(data, "__getitem__") or hasattr(data, "__iter__"))


def is_tensor(data: Any) -> bool:
    return hasattr(data, "detach") and hasattr(data, "cpu")


def sheet_of(data: Any) -> Sheet:
    """Any table as a sheet. Raises `DataError` for columns of unequal length, names that come twice, or no rows."""
    if isinstance(data, Sheet):
        return data
    if is_path(data):
        return read_table(data)
    name = name_of(data)
    columns = dict(data) if isinstance(data, Mapping) else _columns_of(data, name)
    if isinstance(columns, dict):
        columns = {key: as_array(values) if is_tensor(values) else values for key, values in columns.items()}
        lengths = {str(key): len(values) for key, values in columns.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{key} {length}" for key, length in list(lengths.items())[:4])
            raise DataError(f"the columns of {name} have different lengths ({shown}); expected one value a row in each")
        _refuse_wide(columns, name)
        columns = frame_of(columns)
    if not columns.width or not columns.height:
        raise DataError(
            f"{name} has {columns.height} rows and {columns.width} columns; expected at least 2 rows of data"
        )
    return Sheet(columns, name)


def _refuse_wide(columns: Mapping[str, Any], name: str) -> None:
    for key, values in columns.items():
        if isinstance(values, np.ndarray) and values.ndim != 1:
            raise DataError(
                f"column {key!r} of {name} has shape {values.shape}; expected one value a row: "
                "pass (X, y) arrays, or one column for each feature"
            )


def _columns_of(data: Any, name: str) -> Any:
    """A polars frame where the Arrow interface works, else the columns one by one."""
    import polars as pl

    names = [str(column) for column in data.columns]
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise DataError(f"{name} has the column name {twice[0]!r} twice; rename one of them")
    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if hasattr(data, "__arrow_c_stream__"):
        try:
            frame = pl.DataFrame(data)
            return frame.drop([column for column in frame.columns if column.startswith("__index_level_")])
        except (ImportError, TypeError, pl.exceptions.PolarsError):
            pass  # pandas offers the interface but needs pyarrow for it; its columns can be read one by one
    return {str(column): _column(data[column]) for column in data.columns}


def _column(values: Any) -> Any:
    array = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    return array.tolist() if array.dtype == object else array


def as_array(values: Any, what: str = "X") -> Array:
    """Arrays, tensors, series and lists as one NumPy array, without a copy where there need be none."""
    if is_tensor(values):
        held = values.detach().cpu()
        return np.asarray(held.float().numpy() if "bfloat16" in str(held.dtype) else held.numpy())
    if hasattr(values, "toarray"):
        raise DataError(f"{what} is a sparse {type(values).__name__}; pass {what}.toarray()")
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"the rows of {what} have different lengths; expected one array of equal rows") from None
    if array.dtype.kind == "c":
        raise DataError(f"{what} holds complex numbers; pass their real and imaginary parts as two features")
    return _worded(array)


def _worded(array: Array) -> Array:
    """Text as an object array of str, with None for a missing value."""
    if array.dtype.kind in "US":
        return np.array(
            [str(value) if not isinstance(value, bytes) else value.decode() for value in array.ravel().tolist()], object
        ).reshape(array.shape)
    if array.dtype != object:
        return array
    listed = array.ravel().tolist()
    gone = [value is None or value != value for value in listed]
    kinds = {type(value) for value, missing in zip(listed, gone, strict=True) if not missing}
    if kinds and all(issubclass(kind, int | float | np.number) and kind is not bool for kind in kinds):
        numbers = [np.nan if missing else float(value) for value, missing in zip(listed, gone, strict=True)]
        return np.array(numbers).reshape(array.shape)
    out = np.empty(len(listed), object)
    out[:] = [None if missing else str(value) for value, missing in zip(listed, gone, strict=True)]
    return out.reshape(array.shape)
