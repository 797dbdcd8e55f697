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
from tunesmith.data.target import CLASSES, Target
from tunesmith.records import DataError, Recipe, Task

TARGETS = ("target", "targets", "label", "labels", "y")  # names of a target in a mapping
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
    if not complete:
        target = _unsure(target, task)
        told = f"y: {target.kind}, by {len(labels)} of the targets; the others are not known before they are read"
    notices.append(told)
    classed = target.kind in CLASSES and target.classes is not None
    listed = classed and complete and labels.ndim == 1 and labels.dtype.kind in "iub"
    train, val, test, split = _parts(task, recipe, notices)
    trained = labels[split.train] if listed and len(split.train) else labels
    counts = np.bincount(trained[trained >= 0], minlength=target.outputs) if listed else None
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


def _unsure(target: Target, task: Task) -> Target:
    """Of some of the targets: that they are classes, not which and how many."""
    if target.kind not in ("binary", "multiclass") or (
        target.kind == "binary" and target.classes == (0, 1) and task.kind != "auto"
    ):
        return target
    if isinstance(task.model, str):
        raise DataError(
            "a built-in model needs to know all classes and the data do not list their labels; give the Dataset an "
            "attribute targets with one label for each element, or pass (X, y)"
        )
    return replace(target, kind="multiclass", classes=None, positive=None)


def is_loader(data: Any) -> bool:
    torch = sys.modules.get("torch")
    return (torch is not None and isinstance(data, torch.utils.data.DataLoader)) or hasattr(data, "batch_sampler")


def is_indexed(data: Any) -> bool:
    """A map-style `Dataset`: it has a length and gives elements by number."""
    torch = sys.modules.get("torch")
    if is_loader(data) or (torch is not None and isinstance(data, torch.utils.data.IterableDataset)):
        return False
    return hasattr(data, "__getitem__") and hasattr(data, "__len__")


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
    element = _element(data, 0) if is_indexed(data) else next(iter(data), None)
    if element is None:
        raise DataError(f"the {type(data).__name__} is empty; expected at least one (inputs, target)")
    inputs, target = parted(element, type(data).__name__)
    batched = is_loader(data) and getattr(data, "batch_size", 1) is not None
    named = inputs if isinstance(inputs, Mapping) else {"x": inputs}
    spec: dict[str, InputSpec] = {name: Plain(_shape(values, name, batched)) for name, values in named.items()}
    return spec, target


def parted(element: Any, source: str) -> tuple[Any, Any]:
    """Inputs and target of an element: `(x, y)`, `(x, y, weight)`, or a mapping with one of `TARGETS`. Else `DataError`."""
    if isinstance(element, Mapping):
        named = [name for name in TARGETS if name in element]
        if len(named) == 1:
            return {key: value for key, value in element.items() if key != named[0]}, element[named[0]]
    elif isinstance(element, tuple | list) and len(element) in (2, 3):
        return element[0], element[1]
    came = f"a {type(element).__name__}" + (
        f" of {len(element)}" if hasattr(element, "__len__") and not is_tensor(element) else ""
    )
    raise DataError(
        f"the {source} gives {came}; expected (inputs, target), (inputs, target, weight) or a mapping with one of {', '.join(TARGETS)}"
    )


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
    """Targets, and whether they are all of them: those the data list (`targets`, `labels`, `tensors`), or some."""
    dataset = getattr(data, "dataset", data) if is_loader(data) else data
    listed = _listed(dataset)
    if listed is not None:
        return listed, True
    if is_indexed(dataset) and len(dataset):
        places = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), LOOKED_AT)).astype(int))
        few = [as_array(parted(dataset[int(place)], type(dataset).__name__)[1], "the target") for place in places]
        return _stacked(few), len(few) == len(dataset)
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
    found = tensors[1] if isinstance(tensors, tuple) and len(tensors) > 1 else None
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
    divisible = is_indexed(task.train)
    if (
        not divisible
        or not (shares.val or shares.test)
        or recipe.data.split == "given"
        or len(task.train) < splits.FEWEST
    ):
        if task.val is None and not divisible:
            notices.append("a loader is not divided: without val nothing judges the weights while they train")
        rows = np.arange(len(task.train)) if divisible else empty
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
    try:
        length = len(data)
    except TypeError:  # also a `DataLoader` over a stream, whose `__len__` raises
        length = -1
    digest.update(f"{type(data).__name__} {length} {labels.dtype.str} {labels.shape}".encode())
    digest.update(np.ascontiguousarray(labels).tobytes())
    return digest.hexdigest()
