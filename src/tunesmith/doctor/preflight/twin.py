"""A copy of a program's live objects, on which a check may do what it likes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks.optim import needs_closure
from tunesmith.records import ModelError, Program
from tunesmith.records.state import random_state, set_random_state
from tunesmith.training.batch import Batch, outputs_of
from tunesmith.training.evaluate import judging


class Twin:
    """Model, loss, optimizer and scheduler that belong together and to nobody else.

    `names` gives the name of each parameter by its id.
    """

    def __init__(
        self, model: nn.Module, loss_fn: Callable[..., Any], optimizer: Any, scheduler: Any, program: Program
    ) -> None:
        self.model = model
        self.loss_fn = loss_fn
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.program = program
        self.names = {id(parameter): name for name, parameter in model.named_parameters(remove_duplicate=False)}

    def result(self, batch: Batch) -> Any:
        """What the model gives, as it is."""
        return self.model(batch.inputs)

    def outputs(self, batch: Batch) -> Tensor:
        """The tensor the model means. Raises `ModelError` where there is none."""
        return outputs_of(self.result(batch))

    def loss_of(self, result: Any, batch: Batch) -> Tensor:
        """The program's own loss of outputs and target, one number. Raises `ModelError` where it is none."""
        weighed = (batch.weight,) if batch.weight is not None and getattr(self.loss_fn, "takes_weight", False) else ()
        value = self.loss_fn(result, batch.target, *weighed)
        if isinstance(value, tuple):  # (sum, weight)
            value = value[0] / value[1]
        if not isinstance(value, Tensor) or value.numel() != 1:
            came = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ModelError(f"the loss gives {came}; expected one number a batch: reduction='mean', or its mean")
        return value.reshape(())

    def loss(self, batch: Batch) -> Tensor:
        """Forward and loss, with the graph of the gradient, in the mode the model stands in."""
        return self.loss_of(self.result(batch), batch)

    def losses(self, batch: Batch) -> Tensor:
        """The loss of each row by itself, (N,), in evaluation mode and without a graph."""
        with judging(self.model):
            result = self.result(batch)
            return torch.stack(
                [self.loss_of(_row(result, place), _row_of(batch, place)) for place in range(batch.size)]
            ).detach()

    def judged(self, batch: Batch) -> tuple[float, Tensor]:
        """Loss and outputs in evaluation mode; random numbers are as they were before."""
        with self._aside():
            result = self.result(batch)
            return float(self.loss_of(result, batch)), outputs_of(result).detach()

    def answers(self, batch: Batch) -> Tensor:
        """The outputs as `judged` gives them, of a program whose loss may raise."""
        with self._aside():
            return self.outputs(batch).detach()

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Inside, the model is in evaluation mode; afterwards random numbers are as they were."""
        random = random_state()
        try:
            with judging(self.model):
                yield
        finally:
            set_random_state(random)

    def gradient(self, batch: Batch, *, train_mode: bool | None = None) -> float:
        """The loss, and its gradient alone in the parameters' `grad` (what was there is dropped)."""
        self.mode(self.program.train_mode if train_mode is None else train_mode)
        self.model.zero_grad(set_to_none=True)
        loss = self.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def mode(self, training: bool) -> None:
        """`train()` or `eval()` where the program calls it; else the modes stay as they are."""
        if self.program.train_mode or not training:
            self.model.train(training)

    def step(self, batch: Batch | Sequence[Batch]) -> float:
        """One update as the program makes it: its own `step`, or zero_grad, forward, backward, clip, step. Gives the loss.

        Several batches are the micro-batches of one update under accumulation.
        """
        window = [batch] if isinstance(batch, Batch) else list(batch)
        if self.program.train_mode:
            self.model.train()
        if self.program.step is not None:
            values = [
                self.program.step(self.model, self.loss_fn, self.optimizer, each.inputs, each.target) for each in window
            ]
            return float(sum(_number(value) for value in values) / len(values))
        if needs_closure(self.optimizer):
            return _number(self.optimizer.step(lambda: self._backward(window)))
        loss = float(self._backward(window).detach())
        self.optimizer.step()
        return loss

    def _backward(self, window: Sequence[Batch]) -> Tensor:
        self.optimizer.zero_grad()
        total = torch.zeros(())
        for each in window:
            loss = self.loss(each) / len(window)
            loss.backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach().cpu()
        if self.program.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.program.clip_norm)
        return total


def _number(value: Any) -> float:
    return float(value.detach()) if isinstance(value, Tensor) else float("nan") if value is None else float(value)


def _row(tree: Any, place: int) -> Any:
    if isinstance(tree, Tensor):
        return tree[place : place + 1]
    if isinstance(tree, dict):
        return {key: _row(value, place) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return tuple(_row(value, place) for value in tree)
    return tree


def _row_of(batch: Batch, place: int) -> Batch:
    weight = None if batch.weight is None else batch.weight[place : place + 1]
    return Batch(_row(batch.inputs, place), batch.target[place : place + 1], weight, 1)
