"""On which groups of the judged rows the model is worse than elsewhere, as a file of the run: `slices/<part>.json`.

Groups are those of the inputs (`data/groups.py`), the classes where there are more than two, quarters of the truth of a number, and
quarters of the model's own confidence. The last are listed and not tested: that a model errs where it is unsure is no news.
"""

from itertools import chain
from typing import Any, Protocol

import numpy as np

from tunesmith.blocks.metrics.slices import LEAST, Group, slices
from tunesmith.data.groups import groups, of_numbers
from tunesmith.data.spec import Array, Part, Prepared
from tunesmith.training.predicting import plain

CONFIDENCE = "confidence of the model"
CLASSES = ("binary", "multiclass")


class Writer(Protocol):
    """What the slices are written to."""

    def write_json(self, name: str, value: Any) -> None: ...


def show_slices(
    name: str,
    part: Any,
    prepared: Prepared,
    target: Array,
    prediction: Array,
    writer: Writer,
    *,
    metric: str,
    weight: Array | None,
    threshold: float | None,
    seed: int = 0,
) -> None:
    """Judges the groups of a part and writes them down; nothing where no group has enough rows."""
    told = sliced(part, prepared, target, prediction, metric=metric, weight=weight, threshold=threshold, seed=seed)
    if told["slices"]:
        writer.write_json(f"slices/{name}.json", {"part": name, **told})


def sliced(
    part: Any,
    prepared: Prepared,
    target: Array,
    prediction: Array,
    *,
    metric: str,
    weight: Array | None,
    threshold: float | None,
    seed: int = 0,
) -> dict[str, Any]:
    """The slices as plain data: those that were tested, the surest first, and those by confidence."""
    name = comparable(prepared.kind, metric)
    about: dict[str, Any] = {"classes": prepared.classes, "positive": prepared.positive, "weight": weight}
    about |= {"threshold": threshold, "seed": seed}
    inputs = groups(part, prepared.pipeline) if isinstance(part, Part) else ()
    of_inputs = (Group(by=by, name=group, rows=rows) for by, group, rows in inputs)  # one at a time: each has N flags
    tested = chain(of_inputs, of_truth(prepared, target))
    found = slices(prepared.kind, target, prediction, tested, name=name, **about)
    sure = prediction.max(axis=1) if prepared.kind in CLASSES else np.empty(0)
    by_confidence = [Group(by=by, name=group, rows=rows) for by, group, rows in of_numbers(CONFIDENCE, sure)]
    listed = slices(prepared.kind, target, prediction, by_confidence, name="accuracy", **about) if len(sure) else []
    return {
        "metric": name,
        "asked": metric,
        "least": LEAST,
        "tested": len(found),
        "slices": [one.as_dict() for one in found],
        "confidence": [one.as_dict() | {"chance": None, "worse": False} for one in listed],
    }


def comparable(kind: str, metric: str) -> str:
    """The metric itself, or one that does not go with the share of the classes, or the spread of the target, in a group.

    >>> comparable("binary", "f1:spam"), comparable("multiclass", "f1_macro"), comparable("regression", "r2")
    ('roc_auc', 'accuracy', 'rmse')
    """
    base = metric.partition(":")[0]
    if kind == "binary":
        return base if base in ("accuracy", "log_loss", "roc_auc") else "roc_auc"
    if kind == "multiclass":
        return base if base == "log_loss" else "accuracy"
    if kind == "multilabel":
        return base if base == "roc_auc" else "log_loss"
    return base if base == "mae" else "rmse"


def of_truth(prepared: Prepared, target: Array) -> list[Group]:
    """The classes where there are more than two (of two, the threshold weighs one against the other), or quarters of a number."""
    if prepared.kind == "multiclass":
        labels = prepared.classes if prepared.classes is not None else tuple(range(int(target.max()) + 1))
        return [Group(by="class", name=str(plain(label)), rows=target == place) for place, label in enumerate(labels)]
    if prepared.kind == "regression":
        quarters = of_numbers("truth", np.asarray(target, np.float64).reshape(len(target)))
        return [Group(by=by, name=name, rows=rows) for by, name, rows in quarters]
    return []
