"""Losses of K nets at once, with their gradients written out. Each is the mean over a batch as torch's module of that name has it.

Legend: z outputs (K, N, …), y targets, l the loss of one entry, w a class weight, σ the logistic function.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.records import DataError, ModelError, did_you_mean

NAMES: dict[str, Callable[[], nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "binary_cross_entropy": nn.BCEWithLogitsLoss,
    "mse": nn.MSELoss,
    "mae": nn.L1Loss,
    "huber": nn.HuberLoss,
    "smooth_l1": nn.SmoothL1Loss,
}


class StackedLoss:
    """The loss of each net. Abstract: `parts`, `both`. It counts nothing twice: a batch gives (Σ l) / mass."""

    classifies = False

    def check(self, outputs: torch.Size, target: Tensor) -> None:
        """Raises `DataError` where outputs of one net (N, …) and targets do not go together."""
        if outputs != target.shape:
            raise DataError(
                f"the net gives outputs of shape {tuple(outputs)} for targets of shape {tuple(target.shape)}; this loss "
                "expects one shape, reshape y or the last layer"
            )
        if not target.is_floating_point():
            raise DataError(f"the targets are {target.dtype}; this loss expects floating point numbers, pass y.float()")

    def parts(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Σ l and the mass that it is divided by, of each net: (K,) both."""
        raise NotImplementedError

    def both(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The loss (K,) and its gradient in the shape of z."""
        raise NotImplementedError

    def right(self, z: Tensor, y: Tensor) -> Tensor:
        """How many rows are classified right: (K,)."""
        raise NotImplementedError


class CrossEntropy(StackedLoss):
    """Σ w_y l / Σ w_y with l = -log softmax(z)_y; smoothed, ε / C of each label goes to every class, weighted by its w.

    Shapes: z (K, N, C), y whole numbers (K, N). Label smoothing: arXiv:1512.00567, section 7, with class weights as torch.
    """

    classifies = True

    def __init__(self, of: nn.CrossEntropyLoss) -> None:
        self.weights, self.smoothing, self.ignored = of.weight, of.label_smoothing, of.ignore_index
        self.plain = self.weights is None and self.smoothing == 0

    def check(self, outputs: torch.Size, target: Tensor) -> None:
        if len(outputs) != 2 or target.dim() != 1 or target.is_floating_point():
            raise DataError(
                f"cross entropy got outputs of shape {tuple(outputs)} and {target.dtype} targets of shape "
                f"{tuple(target.shape)}; expected (N, classes) and whole numbers (N,), flatten them or pass y.long()"
            )
        if self.weights is not None and len(self.weights) != outputs[1]:
            raise DataError(
                f"cross entropy has {len(self.weights)} class weights for {outputs[1]} outputs; pass one a class"
            )
        counted = target[target != self.ignored]
        self.plain = self.plain and len(counted) == len(target)
        low, high = (int(one) for one in counted.aminmax()) if len(counted) else (0, 0)
        if low < 0 or high >= outputs[1]:
            raise DataError(f"labels run from {low} to {high}, the net has {outputs[1]} outputs; number them from 0")

    def parts(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        share, mass = self._shares(z, y)
        return -(share * torch.log_softmax(z, -1)).sum((1, 2)), mass

    def _shares(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """What the target puts on each class, times its weight, and the sum of weights: (K, N, C), (K,)."""
        counted = (y != self.ignored).to(z)
        label = torch.where(y == self.ignored, 0, y)
        weights = torch.ones_like(z[0, 0]) if self.weights is None else self.weights.to(z)
        each = weights[label] * counted
        share = torch.zeros_like(z).scatter_(-1, label.unsqueeze(-1), ((1 - self.smoothing) * each).unsqueeze(-1))
        if self.smoothing:
            share += (self.smoothing / z.shape[-1]) * weights * counted.unsqueeze(-1)
        return share, each.sum(1)

    def both(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logs = torch.log_softmax(z, -1)
        if self.plain:
            return self._plain(logs, y.unsqueeze(-1))
        share, mass = self._shares(z, y)
        share = share / mass.view(-1, 1, 1)
        loss = -(share * logs).sum((1, 2))
        return loss, logs.exp_().mul_(share.sum(-1, keepdim=True)).sub_(share)

    def _plain(self, logs: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        loss = logs.gather(-1, label).mean((1, 2)).neg_()
        gradient = logs.exp_().scatter_add_(-1, label, logs.new_full((), -1.0).expand(label.shape))
        return loss, gradient.mul_(1 / label.shape[1])

    def right(self, z: Tensor, y: Tensor) -> Tensor:
        return right_labels(z, y)


class Elementwise(StackedLoss):
    """The mean of l over all entries. `each` gives l, `slope` its derivative, both of z and y of one shape."""

    def __init__(
        self, each: Callable[[Tensor, Tensor], Tensor], slope: Callable[[Tensor, Tensor], Tensor], *, binary: bool
    ) -> None:
        self.each, self.slope, self.classifies = each, slope, binary

    def parts(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        total = self.each(z, y).flatten(1).sum(1)
        return total, torch.full_like(total, z[0].numel())

    def both(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return self.each(z, y).flatten(1).mean(1), self.slope(z, y) / z[0].numel()

    def right(self, z: Tensor, y: Tensor) -> Tensor:
        return right_sides(z, y)


def right_labels(z: Tensor, y: Tensor) -> Tensor:
    """(K,) how many of the labels y (K, N) have the largest of the outputs z (K, N, C); (K, L) of (K, N, L) and (K, N, L, C)."""
    return (z.argmax(-1) == y).sum(1)


def right_sides(z: Tensor, y: Tensor) -> Tensor:
    """(K,) rows all of whose entries lie on the right side of probability 0.5, of z and y (K, N, …)."""
    right = (z > 0) == (y > 0.5)
    return right.flatten(2).all(-1).sum(1) if right.dim() > 2 else right.sum(1)


def binary(of: nn.BCEWithLogitsLoss) -> StackedLoss:
    """l = -p y log σ(z) - (1 - y) log(1 - σ(z)), p `pos_weight`; dl/dz = σ(z) (p y + 1 - y) - p y."""
    if of.weight is not None:
        raise ModelError(
            "BCEWithLogitsLoss with a weight cannot be stacked; use pos_weight, or train one after the other"
        )
    pos = of.pos_weight

    def each(z: Tensor, y: Tensor) -> Tensor:
        kept = None if pos is None else pos.to(z)
        return functional.binary_cross_entropy_with_logits(z, y, reduction="none", pos_weight=kept)

    def slope(z: Tensor, y: Tensor) -> Tensor:
        if pos is None:
            return torch.sigmoid(z).sub_(y)
        weighted = pos.to(z) * y
        return torch.sigmoid(z).mul_(weighted + 1 - y).sub_(weighted)

    return Elementwise(each, slope, binary=True)


def squares(of: nn.MSELoss) -> StackedLoss:
    """l = (z - y)²."""
    return Elementwise(lambda z, y: (z - y).square(), lambda z, y: (z - y).mul_(2), binary=False)


def absolute(of: nn.L1Loss) -> StackedLoss:
    """l = |z - y|; the slope is 0 at 0."""
    return Elementwise(lambda z, y: (z - y).abs_(), lambda z, y: (z - y).sign_(), binary=False)


def huber(of: nn.HuberLoss) -> StackedLoss:
    """l = d²/2 for |d| ≤ δ, else δ (|d| - δ/2), with d = z - y."""
    delta = of.delta
    return Elementwise(
        lambda z, y: functional.huber_loss(z, y, reduction="none", delta=delta),
        lambda z, y: (z - y).clamp_(-delta, delta),
        binary=False,
    )


def smooth_l1(of: nn.SmoothL1Loss) -> StackedLoss:
    """l = d²/(2 β) for |d| < β, else |d| - β/2, with d = z - y; β = 0 is |d|."""
    beta = of.beta
    if beta == 0:
        return absolute(nn.L1Loss())
    return Elementwise(
        lambda z, y: functional.smooth_l1_loss(z, y, reduction="none", beta=beta),
        lambda z, y: (z - y).div_(beta).clamp_(-1, 1),
        binary=False,
    )


KINDS: dict[type[nn.Module], Callable[..., StackedLoss]] = {
    nn.CrossEntropyLoss: CrossEntropy,
    nn.BCEWithLogitsLoss: binary,
    nn.MSELoss: squares,
    nn.L1Loss: absolute,
    nn.HuberLoss: huber,
    nn.SmoothL1Loss: smooth_l1,
}


def module_of(loss: str | nn.Module) -> nn.Module:
    """Torch's loss of a name; a module as it is. Raises `ModelError` for a name of none."""
    if isinstance(loss, nn.Module):
        return loss
    if loss not in NAMES:
        raise ModelError(f"no stacked loss called {loss!r}{did_you_mean(loss, NAMES)}")
    return NAMES[loss]()


def stacked(loss: nn.Module) -> StackedLoss:
    """The stacked form of torch's loss. Raises `ModelError` for one without, or one that is no mean."""
    made = KINDS.get(type(loss))
    if made is None:
        known = ", ".join(kind.__name__ for kind in KINDS)
        raise ModelError(
            f"the loss {type(loss).__name__} has no stacked form; take one of {known}, or train one after the other"
        )
    if getattr(loss, "reduction", "mean") != "mean":
        raise ModelError(
            f"the loss {type(loss).__name__} has reduction {loss.reduction!r}; a group takes means, make it 'mean'"
        )
    return made(loss)
