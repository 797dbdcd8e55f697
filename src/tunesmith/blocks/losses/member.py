"""What all members of the catalogue are: a `Loss` that knows its value at the start and without skill."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from tunesmith.blocks.losses.loss import Reduced, align, reduced, single_precision
from tunesmith.blocks.losses.start import Numbers, Start, as_target, minimised
from tunesmith.records import ModelError, RecipeError

Bias = Literal["zero", "data"] | Tensor
NUMBER_KINDS = ("regression", "multi_regression")


class Member(ABC):
    """A loss of the catalogue.

    `kinds` are the tasks a recipe can name it for, none where it needs more than outputs and a target column; `settings`
    what `loss.extra` may hold. `whole`: it takes all of a model's result, not the first tensor in it. `scored`: metrics
    apply to the outputs; else a run is judged by the loss. `judges`: no metric is best where the loss is, so the best weights
    are those of the least validation loss, unless a metric is asked for. `labels`: the target holds class indices. `takes_missing`:
    a NaN in the target is no answer, and no error.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    settings: ClassVar[tuple[str, ...]]
    opaque = couples = additive = whole = takes_missing = labels = False
    scored = True
    judges = False
    start: Start

    @abstractmethod
    def __call__(self, outputs: Any, target: Any, weight: Tensor | None = None) -> Reduced: ...

    def at_start(
        self, target: Any, *, outputs: int | Tensor | None = None, bias: Bias = "zero", weight: Tensor | None = None
    ) -> float:
        """The loss of constant outputs on these targets: all zero, set from the data as a final bias is, or given.

        `outputs` is the number of classes, or a batch of outputs that has them, where the target may not hold them all.
        `weight`: one number a sample.
        """
        outputs = self._width(outputs) if isinstance(outputs, Tensor) else outputs
        start = self._start(outputs)
        cases, each = start.cases(as_target(target), weight)
        if isinstance(bias, Tensor):
            row = bias.detach().cpu().double()
        elif bias == "data":
            row = start.usual(cases, each, outputs)
        elif bias == "zero":
            row = start.zero(cases, outputs)
        else:
            raise ModelError(f"bias = {bias!r}: 'zero', 'data' or a tensor of outputs was expected")
        return self._valued(row, cases, each, outputs)

    def no_skill(self, target: Any, *, outputs: int | Tensor | None = None, weight: Tensor | None = None) -> float:
        """The least loss that constant outputs reach on these targets: what a model that sees no input could do."""
        outputs = self._width(outputs) if isinstance(outputs, Tensor) else outputs
        cases, each = self._start(outputs).cases(as_target(target), weight)
        return self._valued(self._best(cases, each, outputs), cases, each, outputs)

    def skill(self, outputs: Any, target: Any, weight: Tensor | None = None) -> float:
        """Loss / no-skill loss: below 1 the outputs know something of the target, above 1 a constant does better.

        Raises `ModelError` where the no-skill loss is not above 0, such as for a target with one value only.
        """
        least = self.no_skill(target, outputs=self._width(outputs), weight=weight)
        if not least > 0:
            raise ModelError(
                f"the best constant has a {self.name} of {least:.3g} on these targets, a number above 0 was expected to "
                "divide by; compare the losses themselves"
            )
        with torch.no_grad():
            return float(self(outputs, target, weight).value) / least

    def _start(self, outputs: int | None) -> Start:
        """The family of targets for a number of outputs."""
        return self.start

    def _width(self, outputs: Any) -> int | None:
        """The number of classes that outputs tell of."""
        if not isinstance(outputs, Tensor) or outputs.dim() == 0:
            return None
        return 1 if outputs.dim() == 1 else int(outputs.shape[getattr(self, "class_dim", 1)])

    def _best(self, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        """The best constant outputs; by descent where a member has no closed form."""
        start = self._start(outputs)
        rows = start.zero(cases, outputs), start.usual(cases, each, outputs)
        return minimised(lambda row: self._at(row, cases, each, outputs), *rows)

    def _at(self, row: Tensor, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        result = self(self._start(outputs).spread(row, cases), cases, each)
        if not float(result.weight) > 0:
            raise ModelError(
                f"{self.name} counts none of these targets, at least one was expected; are all ignored, missing or "
                "without weight?"
            )
        return result.value

    def _valued(self, row: Tensor, cases: Tensor, each: Tensor, outputs: int | None) -> float:
        with torch.no_grad():
            return float(self._at(row, cases, each, outputs))


class NumberLoss(Member):
    """A mean over all values, (N,) or (N, K); outputs (N, 1) meet a target (N,)."""

    kinds = NUMBER_KINDS
    settings: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, kind: str = "regression") -> None:
        self.kind = kind
        self.start = Numbers()

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        guess, truth = align(single_precision(outputs), target, self.name)
        truth = truth.to(guess.dtype)
        if weight is None:
            return Reduced(self.total(guess, truth), float(guess.numel()))
        return reduced(self.values(guess, truth), None, weight, self.name)

    @abstractmethod
    def values(self, guess: Tensor, truth: Tensor) -> Tensor:
        """The loss of each value, in the shape of both."""

    def total(self, guess: Tensor, truth: Tensor) -> Tensor:
        """Their sum."""
        return self.values(guess, truth).sum()


class MaskedLoss(Member):
    """The mean of another loss over the values that are there: NaN in the target counts in neither sum nor weight."""

    kinds = NUMBER_KINDS
    settings: ClassVar[tuple[str, ...]] = ()
    takes_missing = True

    def __init__(self, inner: NumberLoss, kind: str) -> None:
        self.kind = kind
        self.inner = inner
        self.start = Numbers()

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        guess, truth = align(single_precision(outputs), target, self.name)
        truth = truth.to(guess.dtype)
        kept = ~truth.isnan()
        # Both are put to 0 before the loss: a NaN that is multiplied by 0 afterwards still has the gradient NaN.
        values = self.inner.values(guess.where(kept, 0.0), truth.where(kept, 0.0)) * kept
        return reduced(values, kept.to(values.dtype), weight, self.name)

    def _best(self, cases: Tensor, each: Tensor, outputs: int | None) -> Tensor:
        return self.inner._best(cases, each, outputs) if self._closed else super()._best(cases, each, outputs)

    @property
    def _closed(self) -> bool:
        return type(self.inner)._best is not Member._best


def number(
    value: Any,
    name: str,
    setting: str,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    usual: str,
) -> float:
    """A setting, checked to be a number in its range. Raises `RecipeError`."""
    rules = (("above", above), ("at least", least), ("below", below), ("at most", most))
    fits = isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0
    if fits:
        low = (above is None or value > above) and (least is None or value >= least)
        fits = low and (below is None or value < below) and (most is None or value <= most)
    if not fits:
        told = " and ".join(f"{word} {bound:g}" for word, bound in rules if bound is not None)
        raise RecipeError(f"{name} got {setting} = {value!r}, a number {told} was expected; {usual} is usual")
    return float(value)
