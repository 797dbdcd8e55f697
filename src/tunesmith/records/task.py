"""What a user brings to a training; never altered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tunesmith.records.errors import DataError, did_you_mean

Kind = Literal["multiclass", "binary", "multilabel", "regression", "multi_regression", "language"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Task:
    """The model, the data, the loss and the metric, as the user has them.

    `model` is an `nn.Module`, a factory that returns one, or the name of a built-in model. `train`, `val`, `test` are each
    `(X, y)` arrays or tensors, a data frame, a `Dataset`, a `DataLoader`, or a data file. `target` is a column name, or
    several. `loss(outputs, target)` returns a mean over samples, or `(sum, weight)`. `optimizer` and `schedule` are
    factories `f(parameters)` and `f(step) -> factor`; without them the recipe decides.
    """

    model: Any = "auto"
    train: Any = None
    val: Any = None
    test: Any = None
    target: str | tuple[str, ...] | None = field(default=None, kw_only=True)
    loss: str | Callable[..., Any] = field(default="auto", kw_only=True)
    metric: str | Callable[..., float] = field(default="auto", kw_only=True)
    kind: Kind | Literal["auto"] = field(default="auto", kw_only=True)
    group: str | Any | None = field(default=None, kw_only=True)
    time: str | Any | None = field(default=None, kw_only=True)
    sample_weight: str | Any | None = field(default=None, kw_only=True)
    human: str | Any | None = field(
        default=None, kw_only=True
    )  # a second annotation of the target: scored, never an input
    drop: tuple[str, ...] = field(default=(), kw_only=True)
    columns: Mapping[str, str] = field(default_factory=dict, kw_only=True)  # overrules the inferred kind of a column
    positive: Any = field(default=None, kw_only=True)
    labels: Any = field(default=None, kw_only=True)  # the file of labels that belongs to an idx file of pictures
    optimizer: Callable[..., Any] | None = field(default=None, kw_only=True)
    schedule: Callable[[int], float] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.train is None:
            raise DataError(
                "a task needs training data: pass train=(X, y), a data frame, a Dataset, a DataLoader or a data file"
            )
        if self.kind != "auto" and self.kind not in KINDS:
            raise DataError(f"no kind of task called {self.kind!r}{did_you_mean(self.kind, KINDS)}")
        for name in ("target", "drop"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
