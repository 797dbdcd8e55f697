"""What was measured and not yet written: numbers, and tensors that wait for one transfer from their device."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

Point = tuple[str, str, float]  # name, where, value
Finish = Callable[[list[float]], Iterable[Point]]
WAITING = 64  # tensors after which they are fetched; assumption: a few looks


class Sink(Protocol):
    """Where measured numbers go; `Writer.add` is one."""

    def __call__(self, name: str, steps: Any, values: Any, where: str = "") -> None: ...


class Ledger:
    """Points by curve. Tensors are held on their device until `fetch`, then come over together."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
        self._waiting: list[tuple[int, Tensor, Finish]] = []

    def add(self, name: str, step: int, value: float, where: str = "") -> None:
        steps, values = self._points.setdefault((name, where), ([], []))
        steps.append(step)
        values.append(value)

    def later(self, step: int, tensor: Tensor, finish: Finish) -> None:
        """A tensor of numbers; `finish` makes points of them once they are here."""
        self._waiting.append((step, tensor.detach().flatten(), finish))

    @property
    def full(self) -> bool:
        return len(self._waiting) >= WAITING

    def fetch(self) -> None:
        """One transfer a device for everything that waits."""
        waiting, self._waiting = self._waiting, []
        for (step, _, finish), numbers in zip(waiting, fetched([one for _, one, _ in waiting]), strict=True):
            for name, where, value in finish(numbers):
                self.add(name, step, value, where)

    def write(self, sink: Sink) -> None:
        """Hands every point over. Of one step and curve the last value holds."""
        self.fetch()
        points, self._points = self._points, {}
        for (name, where), (steps, values) in points.items():
            last = dict(zip(steps, values, strict=True))
            order = sorted(last)
            sink(name, order, [last[step] for step in order], where)


def fetched(tensors: Sequence[Tensor]) -> list[list[float]]:
    """The numbers of 1-D tensors, in one transfer a device."""
    found: list[list[float]] = [[] for _ in tensors]
    for device in {tensor.device for tensor in tensors}:
        places = [i for i, tensor in enumerate(tensors) if tensor.device == device]
        kind = torch.float32 if device.type == "mps" else torch.float64
        numbers = torch.cat([tensors[i].to(kind) for i in places]).tolist()
        start = 0
        for i in places:
            found[i] = numbers[start : start + len(tensors[i])]
            start += len(tensors[i])
    return found


def points(name: str, where: str = "") -> Finish:
    """The one number as it is."""
    return lambda numbers: [(name, where, numbers[0])]


def named(keys: Sequence[tuple[str, str]]) -> Finish:
    """Numbers in the order of (name, where)."""
    return lambda numbers: [(name, where, value) for (name, where), value in zip(keys, numbers, strict=True)]
