"""A training program as somebody else wrote it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(slots=True)
class Program:
    """Live objects of a foreign training: observed on a copy, the original is left as it was.

    `step(model, loss_fn, optimizer, xb, yb) -> float` is their own training step; `loop(program, epochs)` their whole loop.
    `schedule_unit` says how often they step the scheduler, `scheduler_first` that they do so before the optimizer,
    `eval_mode=False` that they never call `eval()`. `predict(outputs)` gives labels. `metric` is a name or
    `f(model, X, y) -> float`.
    """

    model: Any
    loss_fn: Callable[..., Any]
    optimizer: Any
    train: Any
    val: Any = None
    batch_size: int = field(kw_only=True)
    epochs: int = field(kw_only=True)
    shuffle: bool = field(default=True, kw_only=True)
    scheduler: Any = field(default=None, kw_only=True)
    schedule_unit: Literal["epoch", "step"] = field(default="epoch", kw_only=True)
    scheduler_first: bool = field(default=False, kw_only=True)
    step: Callable[..., float] | None = field(default=None, kw_only=True)
    loop: Callable[..., Any] | None = field(default=None, kw_only=True)
    accumulate: int = field(default=1, kw_only=True)
    clip_norm: float | None = field(default=None, kw_only=True)
    train_mode: bool = field(default=True, kw_only=True)
    eval_mode: bool = field(default=True, kw_only=True)
    predict: Callable[..., Any] | None = field(default=None, kw_only=True)
    metric: str | Callable[..., float] | None = field(default=None, kw_only=True)
    num_classes: int | None = field(default=None, kw_only=True)
    test: Any = field(default=None, kw_only=True)
    seed: int = field(default=0, kw_only=True)
    device: str | None = field(default=None, kw_only=True)
    resume_from: Any = field(default=None, kw_only=True)
