"""Weights and gradients of a live loop: lengths by layer, updates, the way from the start; Adam's own quantities.

Small nets are measured whole; of large ones every k-th coordinate. Legend: g gradient, w weights, u update.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunesmith.doctor.probes.watcher_ledger import Ledger, Point
from tunesmith.doctor.probes.watcher_view import Layout

COORDINATES = 2**20  # of an optimizer's parameters that are copied at a look; assumption: 4 MB
CLIPPED = 1e-3  # relative change of the gradient between backward and step that is no rounding


def lengths(tensors: Sequence[Tensor]) -> Tensor:
    """The Euclidean length of each, float32 (or float64 where one is), on the device of the first."""
    kind = torch.float64 if any(one.dtype == torch.float64 for one in tensors) else torch.float32
    norms = list(torch._foreach_norm(list(tensors), 2, dtype=kind))
    device = norms[0].device
    if any(one.device != device for one in norms):
        norms = [one.to(device) for one in norms]
    return torch.stack(norms)


def dense(gradient: Tensor) -> Tensor:
    """The values of a sparse gradient; others as they are."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient.detach()


class Pieces:
    """Some coordinates of each of many tensors as one vector: all of a small net's, every k-th of a large one's."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.stride = max(1, math.ceil(sum(one.numel() for one in parameters) / COORDINATES))
        self.sizes = [math.ceil(one.numel() / self.stride) for one in parameters]
        self.device = parameters[0].device
        self.dtype = torch.float64 if any(one.dtype == torch.float64 for one in parameters) else torch.float32

    def of(self, tensors: Iterable[Tensor]) -> Tensor:
        """A copy (n,)."""
        cut = [one.detach().reshape(-1)[:: self.stride] for one in tensors]
        return torch.cat([one.to(self.device, self.dtype) for one in cut])

    def of_gradients(self, parameters: Sequence[Tensor]) -> Tensor:
        """Zeros where there is no gradient."""
        cut = []
        for one, size in zip(parameters, self.sizes, strict=True):
            gradient = one.grad
            if gradient is None:
                cut.append(torch.zeros(size, dtype=self.dtype, device=self.device))
            else:
                whole = gradient.to_dense() if gradient.is_sparse else gradient.detach()
                cut.append(whole.reshape(-1)[:: self.stride].to(self.device, self.dtype))
        return torch.cat(cut)

    def lengths(self, vector: Tensor) -> Tensor:
        """By tensor, of the coordinates taken."""
        return lengths(torch.split(vector, self.sizes))


@dataclass(slots=True)
class Grads:
    """Gradient lengths by parameter at the end of a backward pass, before anybody clips."""

    norms: Tensor
    places: list[int]  # of the parameters that had a gradient
    scale: float | Tensor  # by which the loss was multiplied


def gradient_lengths(parameters: Sequence[Tensor], scale: float | Tensor = 1.0) -> Grads | None:
    """None where nothing has a gradient."""
    places = [i for i, one in enumerate(parameters) if one.grad is not None]
    if not places:
        return None
    return Grads(lengths([dense(parameters[i].grad) for i in places]), places, scale)  # type: ignore[arg-type]


class Weights:
    """The measurements of one optimizer's parameters around its step."""

    def __init__(self, layout: Layout, parameters: Sequence[Tensor]) -> None:
        self.layout = layout
        self.pieces = Pieces(parameters)
        self.start = self.pieces.of(parameters)
        self.layer = np.asarray(layout.layers)
        self.counts = np.bincount(self.layer, minlength=len(layout.names))
        self.elements = [one.numel() for one in parameters]
        self._before: Tensor | None = None

    def by_layer(self, squares: np.ndarray) -> np.ndarray:
        return np.bincount(self.layer, weights=squares, minlength=len(self.layout.names))

    def before(self, parameters: Sequence[Tensor]) -> None:
        self._before = self.pieces.of(parameters)

    def after(self, parameters: Sequence[Tensor], gradient: Tensor | None, step: int, ledger: Ledger) -> None:
        """Lengths of weights, update and way; shares of zero gradients."""
        if self._before is None:
            return
        before, self._before = self._before, None
        now = self.pieces.of(parameters)
        parts = [
            self.pieces.lengths(before),
            self.pieces.lengths(now - before),
            self.pieces.lengths(now - self.start),
        ]
        if gradient is not None:
            parts.append(self.pieces.lengths((gradient == 0).to(gradient.dtype)))
        ledger.later(step, torch.stack(parts), self._told)

    def _told(self, numbers: list[float]) -> Iterable[Point]:
        rows = np.asarray(numbers).reshape(-1, len(self.layer)) ** 2
        full = np.asarray(self.elements) / np.asarray(self.pieces.sizes)  # from the coordinates taken to all
        weight, update, way = (np.sqrt(self.by_layer(row * full)) for row in rows[:3])
        with np.errstate(invalid="ignore", divide="ignore"):  # weights may be infinite by now, or nothing
            ratio, moved = update / weight, way / weight
        for i, name in enumerate(self.layout.names):
            yield "weight_norm", name, float(weight[i])
            yield "update_norm", name, float(update[i])
            if weight[i] > 0:
                yield "update_ratio", name, float(ratio[i])
                yield "moved", name, float(moved[i])
        if len(rows) > 3:
            zeros = self.by_layer(np.rint(rows[3])) / np.maximum(self.by_layer(np.asarray(self.pieces.sizes, float)), 1)
            for i, name in enumerate(self.layout.names):
                yield "zero_gradient", name, float(zeros[i])

    def gradients(
        self, grads: Grads, seen: Tensor | None, step: int, ledger: Ledger, clipped: Callable[[float], None]
    ) -> None:
        """Lengths by layer and in all; `seen` is the length of the whole as the optimizer found it, unscaled."""
        norms = grads.norms
        scale = grads.scale if isinstance(grads.scale, Tensor) else torch.tensor(float(grads.scale))
        tail = [scale.to(norms).reshape(1)] + ([seen.to(norms).reshape(1)] if seen is not None else [])
        ledger.later(step, torch.cat([norms, *tail]), lambda numbers: self._gradients(numbers, grads.places, clipped))

    def _gradients(self, numbers: list[float], places: list[int], clipped: Callable[[float], None]) -> Iterable[Point]:
        count = len(places)
        norms, scale, seen = np.asarray(numbers[:count]), numbers[count], numbers[count + 1 :]
        norms = norms / scale
        total = float(np.sqrt((norms**2).sum()))
        if seen and math.isfinite(total) and 0 < seen[0] < total * (1 - CLIPPED):
            clipped(seen[0])
        squares = np.zeros(len(self.layer))
        squares[places] = norms**2
        yield "grad_norm", "", total
        for name, value in zip(self.layout.names, np.sqrt(self.by_layer(squares)), strict=True):
            yield "grad_norm", name, float(value)


def adam(
    optimizer: Any, parameters: Sequence[Tensor], pieces: Pieces, gradient: Tensor | None, step: int, ledger: Ledger
) -> None:
    """The update m / (sqrt(v) + eps) of Adam and its kin, after the step. Nothing for an optimizer without a second moment.

    Source: StableAdamW, arXiv:2304.13013, section 3.4 (surprise); Molybog et al., arXiv:2304.09871 (tail).
    """
    states = [optimizer.state.get(one) for one in parameters]
    if not states or any(not one or "exp_avg" not in one or "exp_avg_sq" not in one for one in states):
        return
    group = optimizer.param_groups[0]
    betas, eps = group.get("betas", (0.9, 0.999)), float(group.get("eps", 1e-8))
    taken = states[0].get("step", step)
    made = taken.to(pieces.device, pieces.dtype) if isinstance(taken, Tensor) else torch.tensor(float(taken))
    first = pieces.of([one["exp_avg"] for one in states]) / (1 - betas[0] ** made)
    second = (pieces.of([one["exp_avg_sq"] for one in states]) / (1 - betas[1] ** made)).sqrt_()
    alive = second > 0
    many = alive.sum().clamp_(min=1)
    update = first / (second + eps)
    numbers = [
        (update.square().sum() / many).sqrt(),
        (update.abs() > 0.9).sum() / many,
        ((second < eps) & alive).sum() / many,
    ]
    if gradient is not None:
        ratio = torch.where(alive, gradient / second, torch.zeros_like(second))
        numbers.append((ratio.square().sum() / many).sqrt())
    names = ("adam_update_rms", "adam_update_tail", "adam_eps_share", "adam_surprise")
    ledger.later(step, torch.stack([one.to(pieces.dtype) for one in numbers]), lambda found: _adam(found, names))


def _adam(found: list[float], names: Sequence[str]) -> Iterable[Point]:
    return [(name, "", value) for name, value in zip(names, found, strict=False)]
