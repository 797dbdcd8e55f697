"""Looks at a live training loop that somebody else wrote, through hooks of its optimizers.

Between two samples nothing is attached but the hooks of the optimizers. All numbers go to a `Sink`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tunesmith.records import Signal
from tunesmith.training.clipping import global_norm


class Sink(Protocol):
    """Where measured numbers go; `Writer.add` is one."""

    def __call__(self, name: str, steps: Any, values: Any, where: str = "") -> None: ...


@dataclass(slots=True, kw_only=True)
class Moment:
    """What an onlooker is told after an update: read it, keep nothing of it."""

    step: int  # updates made
    loss: Any  # of the update: a number, a detached tensor, or None where it is not known
    model: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    inputs: Any = None
    target: Any = None
    facts: dict[str, Any] = field(default_factory=dict)  # of the run; may be added to


Onlooker = Callable[[Moment], Iterable[Signal] | None]


class Watcher:
    """Hooks on a model and its optimizers; `detach` takes all of them away."""

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        sink: Sink,
        *,
        loss_fn: Any = None,
        overhead: float = 0.03,
        num_classes: int | None = None,
    ) -> None:
        self.model = model
        self.optimizers = list(optimizers)
        self.sink = sink
        self.loss_fn = loss_fn
        self.overhead = overhead
        self.num_classes = num_classes
        self.steps = 0
        self.facts: dict[str, Any] = {"watched": True}
        self._onlookers: list[Onlooker] = []
        self._handles: list[Any] = []
        self._before: list[tuple[str, list[Tensor], list[Tensor]]] = []
        self._losses: list[float] = []

    def register(self, onlooker: Onlooker) -> None:
        """Asks that it be called after each `step`; the signals it gives are written."""
        self._onlookers.append(onlooker)

    def attach(self) -> None:
        for optimizer in self.optimizers:
            self._handles.append(optimizer.register_step_pre_hook(self._pre))
            self._handles.append(optimizer.register_step_post_hook(self._post))

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def step(self, loss: Any, inputs: Any = None, target: Any = None) -> None:
        """After an update: its loss, and the batch where the hooks cannot see it."""
        value = float(loss.detach()) if isinstance(loss, Tensor) else float(loss)
        self.sink("loss", [self.steps], [value])
        moment = Moment(
            step=self.steps,
            loss=value,
            model=self.model,
            optimizers=self.optimizers,
            inputs=inputs,
            target=target,
            facts=self.facts,
        )
        for onlooker in self._onlookers:
            for signal in onlooker(moment) or ():
                self.sink(signal.name, [signal.step], [signal.value], signal.where)

    def _pre(self, optimizer: torch.optim.Optimizer, *given: Any) -> None:
        if optimizer is not self.optimizers[0]:
            return
        held = [p for one in self.optimizers for group in one.param_groups for p in group["params"]]
        self.sink("lr", [self.steps + 1], [float(optimizer.param_groups[0]["lr"])])
        gradients = [p.grad for p in held if p.grad is not None and not p.grad.is_sparse]
        self.sink("grad_norm", [self.steps + 1], [float(global_norm(gradients))])
        self._before = []
        for name, module in self.model.named_modules():
            own = [p for p in module.parameters(recurse=False) if p.requires_grad]
            if own:
                self._before.append((name, own, [p.detach().clone() for p in own]))

    @torch.no_grad()
    def _post(self, optimizer: torch.optim.Optimizer, *given: Any) -> None:
        if optimizer is not self.optimizers[-1]:
            return
        self.steps += 1
        for name, own, before in self._before:
            moved = float(global_norm([p.detach() - old for p, old in zip(own, before, strict=True)]))
            length = float(global_norm(before))
            self.sink("weight_norm", [self.steps], [length], name)
            if length > 0:
                self.sink("update_ratio", [self.steps], [moved / length], name)
        self._before = []
