"""One optimizer update: a function of the state, a window of batches and the global random generators.

The gradient of a window of micro-batches is that of its big batch: each micro-batch gives (sum, weight), the gradients of the
sums add up, and the whole is divided by the weight of the window, whatever the sizes and the last, partial window.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tunesmith.blocks.losses import Loss
from tunesmith.blocks.optim import needs_closure, plain_step
from tunesmith.records.state import State, random_state, set_random_state
from tunesmith.training.batch import Batch, Window, seen_by
from tunesmith.training.clipping import Clipped, Clipping, global_norm, gradients
from tunesmith.training.precision import Precision
from tunesmith.training.ranks.together import Together
from tunesmith.training.recovery.cutting import Cutting
from tunesmith.training.update_clipping import UpdateClipping

Permit = Callable[[State, "Gradient"], bool]


@dataclass(slots=True)
class Gradient:
    """What a window gave: the loss (sum / weight), the unclipped norm, and the weight."""

    loss: Tensor
    norm: Tensor
    weight: Tensor | float


class Update(Clipped):
    """Backward over a window, clipping, the step, the average of the weights."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, loss: Loss, precision: Precision) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.precision = precision
        self.clipping = Clipping()
        self.limit: UpdateClipping | None = None  # of what a step changes
        self.shrink: Callable[[], None] | None = None  # after each step: the proximal step of an L1 penalty
        self.cutting: Cutting | None = None  # where memory runs out: micro-batches in smaller parts
        self.together: Together | None = None  # where several ranks divide the rows
        self.stepping = False  # inside the optimizer's step: an error may leave it half made
        self.closure = needs_closure(optimizer)
        if self.closure:
            precision.refuse_closure(type(optimizer).__name__)
        self._step = plain_step(optimizer)
        self._autocast = precision.half is not None
        self._groups = 0
        self._stepped: list[nn.Parameter] = []
        self._all: list[nn.Parameter] = list(model.parameters())

    def __call__(self, state: State, window: Window, permit: Permit) -> tuple[Gradient, bool]:
        """Updates the state with a window. `permit` is asked between backward and the step; False leaves the weights alone.

        Returns what was measured, and whether the step was made (no: not permitted, or skipped by the loss scaler).
        """
        gradient, made = self._stepping(state, window, permit)
        if made:
            self.clipping.note(state, gradient.norm)
            if self.shrink is not None:
                self.shrink()
        return gradient, made

    def _stepping(self, state: State, window: Window, permit: Permit) -> tuple[Gradient, bool]:
        if self.stepping:  # left so by an error
            self.stepping = False
            if self.precision.scaler is not None:
                self.precision.scaler.update(self.precision.scaler.get_scale())  # forgets what was unscaled
        if self.closure:
            return self._step_with_closure(state, window, permit)
        gradient = self._gradient(state, window, clip=self.precision.scaler is None)
        scaler = self.precision.scaler
        if scaler is not None:
            return gradient, self._scaled_step(state, gradient, permit)
        made = permit(state, gradient)
        if made:
            self.stepping = True
            with self._limited():
                self._step()
            self.stepping = False
        return gradient, made

    def _scaled_step(self, state: State, gradient: Gradient, permit: Permit) -> bool:
        """fp16: the scaler looks for overflow; a skipped step leaves weights, schedule and count as they were."""
        scaler = self.precision.scaler
        self.stepping = True
        scaler.unscale_(self.optimizer)
        found = self._found()
        gradient.norm = global_norm(found)
        overflow = not math.isfinite(gradient.norm.item())
        broken = not math.isfinite(
            gradient.loss.item()
        )  # the loss itself, not its scaled gradient: no scale mends that
        if not overflow:
            self.clipping(state, found, gradient.norm)
        made = (not overflow or broken) and permit(state, gradient) and not overflow
        if (
            made
        ):  # never called to skip: torch's fused SGD then leaves a momentum of whatever lay in memory (docs/log.md)
            with self._limited():
                scaler.step(self.optimizer)
        scaler.update()
        self.stepping = False
        return made

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """What the step inside changes is cut where it is to be."""
        if self.limit is None:
            yield
            return
        self.limit.before()
        yield
        self.limit.after()

    def _step_with_closure(self, state: State, window: Window, permit: Permit) -> tuple[Gradient, bool]:
        """LBFGS, SAM: every evaluation sees the same window and the same random numbers; the first is the one reported."""
        random = random_state()
        first: Gradient | None = None
        refused = False

        def closure() -> Tensor:
            nonlocal first, refused
            set_random_state(random)
            gradient = self._gradient(state, window, clip=True)
            if first is None:
                first = gradient
                refused = not permit(state, gradient)
            if refused:
                raise _Refused
            return gradient.loss

        self.stepping = True
        with suppress(_Refused):
            self.optimizer.step(closure)  # type: ignore[arg-type]  # torch's own optimizers take a tensor
        self.stepping = False
        if first is None:
            raise RuntimeError(f"{type(self.optimizer).__name__}.step never called its closure")
        return first, not refused

    def _gradient(self, state: State, window: Window, *, clip: bool) -> Gradient:
        """Gradients of (Σ sum) / (Σ weight) over the window, in the parameters."""
        for parameter in self._all:
            parameter.grad = None
        if self.cutting is not None and self.together is None:
            window = self.cutting(window)
        loss: Tensor
        weight: Tensor | float
        if self.together is not None:
            loss, weight = self.together(window)
        elif len(window) == 1:
            loss, weight = self._backward_whole(window[0])
        else:
            loss, weight = self._backward_parts(window)
        if not clip:
            return Gradient(loss, loss, weight)
        found = self._found()
        norm = global_norm(found)
        if self.together is not None:
            norm = self.together.norm(norm)
        self.clipping(state, found, norm)
        return Gradient(loss, norm, weight)

    def _backward_whole(self, batch: Batch) -> tuple[Tensor, Tensor | float]:
        total, weight = self.reduced(batch)
        value = total if self.loss.additive else total / _positive(weight)
        torch.autograd.backward(self.scaled(value))
        return value.detach(), weight

    def _backward_parts(self, window: Window) -> tuple[Tensor, Tensor | float]:
        expected: Tensor | float = 1.0
        total = torch.zeros(())
        weight: Tensor | float = 0.0
        for place, batch in enumerate(window):
            with nullcontext() if self.cutting is None else self.cutting.drawing(batch):
                part, part_weight = self.reduced(batch)
                if place == 0 and not self.loss.additive:
                    expected = _positive(part_weight) * len(
                        window
                    )  # near the weight of the window: keeps half precision in range
                torch.autograd.backward(self.scaled(part / expected))
            total, weight = total.to(part) + part.detach(), weight + part_weight
        if self.loss.additive:
            return total, weight
        weight = _positive(weight)
        found = self._found()
        if isinstance(
            weight, Tensor
        ):  # two operations in the gradients' own precision: the weight may be a float32 count
            torch._foreach_mul_(found, expected)
            torch._foreach_div_(found, weight)
        elif expected != weight:
            torch._foreach_mul_(found, expected / weight)
        return total / weight, weight

    def reduced(self, batch: Batch) -> tuple[Tensor, Tensor | float]:
        """The sum and the weight of a batch's loss."""
        if not self._autocast:
            return self.loss(seen_by(self.loss, self.model(batch.inputs)), batch.target, batch.weight)
        with self.precision.autocast():
            return self.loss(seen_by(self.loss, self.model(batch.inputs)), batch.target, batch.weight)

    def scaled(self, value: Tensor) -> Tensor:
        """A loss as it goes backward: under fp16 times the scale."""
        return value if self.precision.scaler is None else self.precision.scaler.scale(value)

    def _found(self) -> list[Tensor]:
        """The gradients of the parameters the optimizer steps."""
        return gradients(self.stepped())

    def stepped(self) -> list[nn.Parameter]:
        """The parameters the optimizer steps; groups may be added while a run goes on."""
        if len(self.optimizer.param_groups) != self._groups:
            self._groups = len(self.optimizer.param_groups)
            self._stepped = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            self._all = list(
                {id(parameter): parameter for parameter in (*self.model.parameters(), *self._stepped)}.values()
            )
        return self._stepped


class _Refused(Exception):
    """Leaves an optimizer's step from inside its closure."""


def _positive(weight: Tensor | float) -> Tensor | float:
    """A weight to divide by: a window without any weight (all tokens ignored) has gradient 0, not NaN."""
    if isinstance(weight, Tensor):
        weight = weight.detach()
        return torch.where(weight > 0, weight, torch.ones_like(weight))
    return weight if weight > 0 else 1.0
