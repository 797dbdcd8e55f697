"""Data that stay objects of the user's own: a `Dataset` or a `DataLoader`, looked at through its first elements.

A `TensorDataset` of inputs and targets is taken as its tensors. A map-style `Dataset` without validation or test data
is divided at random by positions; a loader is never divided, for its order and batches are the user's.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tunesmith.data import splits
from tunesmith.data.own import own_target
from tunesmith.data.sources import as_array, is_tensor
from tunesmith.data.spec import Array, InputSpec, Plain, Prepared, Split
from tunesmith.data.target import CLASSES
from tunesmith.records import DataError, Recipe, Task

LOOKED_AT = 256  # elements whose targets decide the kind, where the data do not list their labels; assumption


def prepare_live(task: Task, recipe: Recipe) -> Prepared:
    """What a training needs to know about live data; the parts are the user's objects."""
    tensors = tensors_of(task.train)
    if tensors is not None and not is_loader(task.train):
        from tunesmith.data.prepare import prepare

        others = {part: _pair(getattr(task, part)) for part in ("val", "test") if getattr(task, part) is not None}
        return prepare(replace(task, train=tensors, **others), recipe)
    inputs, _ = first_element(task.train)
    notices = [
        "the data come as a " + ("DataLoader" if is_loader(task.train) else "Dataset") + " and are used as they are"
    ]
    labels, complete = labels_of(task.train)
    target, told = own_target(labels, task)
    notices.append(told if complete else f"{told}, by the first {len(labels)} targets")
    classed = target.kind in CLASSES and target.classes is not None
    counts = (
        np.bincount(labels[labels >= 0], minlength=target.outputs)
        if classed and complete and labels.ndim == 1
        else None
    )
    train, val, test, split = _parts(task, recipe, notices)
    return Prepared(
        kind=target.kind,
        train=train,
        val=val,
        test=test,
        spec=inputs,
        outputs=target.outputs,
        classes=target.classes if classed else None,
        counts=counts,
        positive=target.positive,
        notices=tuple(notices),
        fingerprint=_mark(task.train, labels),
        split=split,
    )


def is_loader(data: Any) -> bool:
    torch = sys.modules.get("torch")
    return (torch is not None and isinstance(data, torch.utils.data.DataLoader)) or hasattr(data, "batch_sampler")


def tensors_of(data: Any) -> tuple[Any, Any] | None:
    """Inputs and targets of a `TensorDataset` of two tensors, or of a loader over one."""
    held = getattr(getattr(data, "dataset", data), "tensors", None)
    whole = not hasattr(data, "indices")
    return (held[0], held[1]) if whole and isinstance(held, tuple) and len(held) == 2 else None


def _pair(data: Any) -> Any:
    found = None if is_loader(data) else tensors_of(data)
    return data if found is None else found


def first_element(data: Any) -> tuple[dict[str, InputSpec], Any]:
    """The inputs' descriptions and the target of the first element. Raises `DataError` where it is no pair."""
    element = next(iter(data), None) if is_loader(data) or not hasattr(data, "__getitem__") else _element(data, 0)
    if element is None:
        raise DataError(f"the {type(data).__name__} is empty; expected at least one (inputs, target)")
    if isinstance(element, Mapping) or not isinstance(element, tuple | list) or len(element) < 2:
        came = f"a {type(element).__name__}" + (
            f" of {len(element)}" if hasattr(element, "__len__") and not is_tensor(element) else ""
        )
        raise DataError(f"the {type(data).__name__} gives {came}; expected (inputs, target) for each element")
    inputs, target = element[0], element[1]
    batched = is_loader(data) and getattr(data, "batch_size", 1) is not None
    named = inputs if isinstance(inputs, Mapping) else {"x": inputs}
    spec: dict[str, InputSpec] = {name: Plain(_shape(values, name, batched)) for name, values in named.items()}
    return spec, target


def _shape(values: Any, name: str, batched: bool) -> tuple[int, ...]:
    array = as_array(values, name)
    if array.dtype == object:
        raise DataError(
            f"the elements hold {type(values).__name__} as {name}; expected tensors: add a transform that makes them"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"the first element holds NaN or infinite values in {name}; expected finite numbers")
    return tuple(array.shape[1:] if batched else array.shape)


def _element(data: Any, index: int) -> Any:
    try:
        return data[index]
    except IndexError:
        return None


def labels_of(data: Any) -> tuple[Array, bool]:
    """Targets, and whether they are all of them: those the data list (`targets`, `labels`, `tensors`), or the first few."""
    dataset = getattr(data, "dataset", data)
    listed = _listed(dataset)
    if listed is not None:
        return listed, True
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        count = min(len(dataset), LOOKED_AT)
        few = [as_array(dataset[index][1], "the target") for index in range(count)]
        return _stacked(few), count == len(dataset)
    first = as_array(first_element(data)[1], "the target")
    return np.atleast_1d(first), False


def _stacked(few: list[Array]) -> Array:
    try:
        return np.stack(few)
    except ValueError:
        raise DataError("the targets of the first elements have different shapes; expected one shape") from None


def _listed(dataset: Any) -> Array | None:
    inner, places = dataset, None
    if hasattr(dataset, "indices") and hasattr(dataset, "dataset"):  # a Subset
        inner, places = dataset.dataset, np.asarray(dataset.indices)
    tensors = getattr(inner, "tensors", None)
    found = tensors[-1] if isinstance(tensors, tuple) and len(tensors) > 1 else None
    for name in ("targets", "labels"):
        found = getattr(inner, name, None) if found is None else found
    if found is None or not hasattr(found, "__len__") or not hasattr(inner, "__len__") or len(found) != len(inner):
        return None
    values = as_array(found, "the targets")
    if values.dtype == object:
        return None
    return values if places is None else values[places]


def _parts(task: Task, recipe: Recipe, notices: list[str]) -> tuple[Any, Any, Any, Split]:
    empty = np.empty(0, np.int64)
    shares = splits.Shares(
        0.0 if task.val is not None else recipe.data.val, 0.0 if task.test is not None else recipe.data.test
    )
    divisible = not is_loader(task.train) and hasattr(task.train, "__getitem__") and hasattr(task.train, "__len__")
    if (
        not divisible
        or not (shares.val or shares.test)
        or recipe.data.split == "given"
        or len(task.train) < splits.FEWEST
    ):
        if task.val is None and not divisible:
            notices.append("a loader is not divided: without val nothing judges the weights while they train")
        rows = np.arange(len(task.train)) if hasattr(task.train, "__len__") and not is_loader(task.train) else empty
        return task.train, task.val, task.test, Split("given", rows, empty, empty, recipe.train.seed)
    from torch.utils.data import Subset

    split = splits.random(len(task.train), shares, recipe.train.seed)
    notices.append(
        f"the Dataset is divided at random: {len(split.train)} to train, {len(split.val)} to choose, {len(split.test)} to judge"
    )
    val = task.val if task.val is not None else Subset(task.train, split.val.tolist()) if shares.val else None
    test = task.test if task.test is not None else Subset(task.train, split.test.tolist()) if shares.test else None
    return Subset(task.train, split.train.tolist()), val, test, split


def _mark(data: Any, labels: Array) -> str:
    """A hash of what can be seen of live data without reading all of them: type, length, the targets looked at."""
    digest = hashlib.blake2b(digest_size=16)
    length = len(data) if hasattr(data, "__len__") else -1
    digest.update(f"{type(data).__name__} {length} {labels.dtype.str} {labels.shape}".encode())
    digest.update(np.ascontiguousarray(labels).tobytes())
    return digest.hexdigest()
