"""A memory that runs out on demand, on any device: for tests of what answers it.

Hooks of torch that hold for all modules and optimizers raise `torch.OutOfMemoryError` where too many rows, or too many bytes of
outputs, go through a net at once.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

Place = Literal["forward", "backward", "step", "evaluation"]
PLACES: tuple[Place, ...] = ("forward", "backward", "step", "evaluation")


@dataclass(slots=True)
class MemoryFaults:
    """Where the memory ends, and what it has met."""

    rows: int | None
    bytes: int | None
    places: Collection[str]
    passes: Collection[int] | None
    most: int | None
    raised: list[tuple[Place, int]] = field(default_factory=list)  # place, and rows (of a step: its number)
    made: int = 0  # training passes begun
    steps: int = 0
    _inside: list[nn.Module] = field(default_factory=list)
    _rows: int = 0
    _held: int = 0  # bytes of outputs of this pass
    _marked: bool = False

    def _fail(self, place: Place, count: int) -> None:
        if self.most is not None and len(self.raised) >= self.most:
            return
        self.raised.append((place, count))
        raise torch.OutOfMemoryError(f"out of memory on demand: {place}, {count}")

    def _here(self, place: Place) -> bool:
        return place in self.places and (self.passes is None or place == "evaluation" or self.made in self.passes)

    def before(self, module: nn.Module, args: Any) -> None:
        if next(module.parameters(), None) is None and not self._inside:
            return  # a loss
        if not self._inside:
            self._rows, self._held, self._marked = _rows_of(args), 0, False
            self.made += module.training and torch.is_grad_enabled()
        self._inside.append(module)

    def after(self, module: nn.Module, args: Any, output: Any) -> None:
        if not self._inside or module is not self._inside[-1]:
            return
        self._inside.pop()
        if output is None:  # it raised
            return
        learns = torch.is_grad_enabled()
        place: Place = "forward" if learns else "evaluation"
        if isinstance(output, Tensor):
            size = output.numel() * output.element_size()
            self._held = self._held + size if learns else max(self._held, size)
            if learns and output.requires_grad and not self._marked and self._too_much(self._inside == []):
                self._marked = True
                rows = self._rows
                output.register_hook(  # type: ignore[no-untyped-call]
                    lambda _: self._fail("backward", rows) if self._here("backward") else None
                )
        if (not self._inside or self.bytes is not None) and self._too_much(not self._inside) and self._here(place):
            self._fail(place, self._rows)

    def _too_much(self, whole: bool) -> bool:
        if self.rows is not None and self._rows > self.rows:
            return True
        return self.bytes is not None and self._held > self.bytes

    def step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self.steps += 1
        if "step" in self.places and (self.passes is None or self.steps in self.passes):
            weight = next(weight for group in optimizer.param_groups for weight in group["params"])
            with torch.no_grad():
                weight.mul_(2.0)  # half made, as a step that ran out of memory may be
            self._fail("step", self.steps)


@contextmanager
def memory_faults(
    *,
    rows: int | None = None,
    bytes: int | None = None,
    places: Collection[str] = PLACES,
    passes: Collection[int] | None = None,
    most: int | None = None,
) -> Iterator[MemoryFaults]:
    """Inside, a net runs out of memory above `rows` rows, or above `bytes` bytes of outputs of its modules, in one pass.

    `places`: `forward` (at its end), `backward` (when it reaches the first module), `evaluation` (a pass without gradient), `step`
    (the optimizer's, after it has spoilt a weight: with `passes` alone). `passes`: numbers of training passes (of steps, for
    `step`) from 1 in which it happens at all; `most`: how often in all.
    """
    faults = MemoryFaults(
        rows,
        bytes,
        tuple(places) if passes or "step" not in places else tuple(place for place in places if place != "step"),
        passes,
        most,
    )
    handles = [
        register_module_forward_pre_hook(faults.before),
        register_module_forward_hook(faults.after, always_call=True),
        register_optimizer_step_pre_hook(faults.step),
    ]
    try:
        yield faults
    finally:
        for handle in handles:
            handle.remove()


def _rows_of(tree: Any) -> int:
    """The length of the first tensor."""
    if isinstance(tree, Tensor):
        return len(tree) if tree.dim() else 1
    if isinstance(tree, Mapping):
        return _rows_of(list(tree.values()))
    if isinstance(tree, (list, tuple)):
        return next((found for one in tree if (found := _rows_of(one))), 0)
    return 0
