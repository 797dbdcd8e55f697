"""What a metric is, and how one is named."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from tunesmith.blocks.metrics.judged import Array, Judged
from tunesmith.records import Catalog, RecipeError, UnknownName, did_you_mean


@dataclass(frozen=True, slots=True)
class Metric:
    """A number on weighted rows. nan means undefined: no rows of a class, a constant target.

    Either `value` computes it, or `rows` gives a value for each row of which it is the weighted mean.
    `of_class` is the metric of one class by its index, where it has such parts.
    """

    name: str
    better: Literal["max", "min"]
    kinds: tuple[str, ...]
    value: Callable[[Judged, Array], float] | None = None
    rows: Callable[[Judged], Array] | None = None
    of_class: Callable[[int, Judged, Array], float] | None = None

    def __call__(self, judged: Judged, weight: Array) -> float:
        total = weight.sum()
        if not judged.finite or not total > 0:
            return float("nan")
        if self.rows is not None:
            return float(judged.once(self.rows) @ weight / total)
        assert self.value is not None
        return self.value(judged, weight)


METRICS: Catalog[Metric] = Catalog("metric")

BY_KIND = {
    "multiclass": "accuracy",
    "binary": "roc_auc",
    "multilabel": "average_precision",
    "language": "log_loss",
    "regression": "r2",
    "multi_regression": "r2",
}


def metric(name: str, *, kind: str, classes: Sequence[Any] | None = None) -> Metric:
    """The metric called `name` for a kind of task; "auto" is the one usual for it, "f1:<label>" the F1 of one class."""
    name = BY_KIND[kind] if name == "auto" else name
    base, colon, label = name.partition(":")
    found = METRICS[base]
    if kind not in found.kinds:
        fitting = ", ".join(each for each in METRICS if kind in METRICS[each].kinds)
        raise RecipeError(f"the metric {name!r} does not fit a {kind} task; those that do: {fitting}")
    if not colon:
        return found
    if found.of_class is None:
        parted = ", ".join(each for each in METRICS if METRICS[each].of_class)
        raise UnknownName(f"no metric called {name!r}; of one class there is {parted}, as in 'f1:{label}'")
    labels = [str(each) for each in classes or ()]
    if label not in labels:
        raise UnknownName(f"{name!r}: no class called {label!r}{did_you_mean(label, labels)}")
    return replace(found, name=name, value=partial(found.of_class, labels.index(label)))


def chosen(kind: str, names: Iterable[str] | None, classes: Sequence[Any] | None) -> list[Metric]:
    """The metrics by name, or all that fit the kind."""
    wanted = [name for name in METRICS if kind in METRICS[name].kinds] if names is None else names
    return [metric(name, kind=kind, classes=classes) for name in wanted]
