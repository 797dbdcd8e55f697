"""The arrays of an npz file by the part they belong to: X and y, also X_train, y_train, X_test …"""

from pathlib import Path

from tunesmith.data.read import read_arrays
from tunesmith.data.spec import Array
from tunesmith.records import DataError, did_you_mean

PARTS = {"train": ("", "_train"), "val": ("_val", "_valid"), "test": ("_test",)}
INPUTS, LABELS = ("x", "images", "data"), ("y", "labels", "target")

Pairs = dict[str, tuple[Array, Array | None]]


def archive_parts(path: str | Path, target: str | None = None, *, need_labels: bool = True) -> Pairs:
    """(X, y) of each part, "train" always among them. `target` names the array of labels."""
    arrays = read_arrays(path)
    by_fold = {name.casefold(): name for name in arrays}
    name = Path(path).name
    if target is not None:
        if target not in arrays:
            raise DataError(f"no array called {target!r} in {name}{did_you_mean(target, arrays)}")
        others = [key for key in arrays if key != target and len(arrays[key]) == len(arrays[target])]
        inputs = next((by_fold[key] for key in INPUTS if key in by_fold), others[0] if len(others) == 1 else None)
        if inputs is None:
            raise DataError(
                f"{name} has {len(others)} arrays beside {target!r} ({', '.join(others)}); call the inputs X"
            )
        return {"train": (arrays[inputs], arrays[target])}
    found: Pairs = {}
    for part, endings in PARTS.items():
        inputs, labels = (_first(by_fold, [key + end for key in keys for end in endings]) for keys in (INPUTS, LABELS))
        if inputs is not None and (labels is not None or not need_labels):
            found[part] = arrays[inputs], None if labels is None else arrays[labels]
    if "train" not in found:
        raise DataError(
            f"{name} holds the arrays {', '.join(arrays) or 'nothing'}; expected X and y, or the name of the labels as target"
        )
    return found


def _first(by_fold: dict[str, str], keys: list[str]) -> str | None:
    return next((by_fold[key] for key in keys if key in by_fold), None)
