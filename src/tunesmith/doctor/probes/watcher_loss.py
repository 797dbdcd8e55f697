"""What the loss of a live loop is made of, read off the graph of autograd just before it is run backwards.

The last nodes of the graph hold the target and the outputs as the loss saw them, whoever called which function.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

DEEPEST = 12  # nodes from the loss that are searched; assumption: sums of terms and scalings
PATH = 6  # names kept on the way from the loss to the outputs
MOST = 40  # nodes looked at in all
KNOWN = {
    "NllLossBackward0": "cross_entropy",
    "NllLoss2DBackward0": "cross_entropy",
    "BinaryCrossEntropyWithLogitsBackward0": "bce_with_logits",
    "BinaryCrossEntropyBackward0": "bce",
    "MseLossBackward0": "mse",
    "SmoothL1LossBackward0": "smooth_l1",
    "HuberLossBackward0": "huber",
}
LEAST_SCALE = 2.0  # assumption: a gradient scaler multiplies by a power of two, from 65536 on


@dataclass(slots=True, kw_only=True)
class Seen:
    """Outputs and target as the loss had them; for cross-entropy `outputs` are log-probabilities."""

    kind: str
    outputs: Tensor
    target: Tensor | None
    ignored: int | None = None
    reduction: int = 1  # as torch numbers it: none, mean, sum
    path: list[str] = field(default_factory=list)


def seen_in(loss: Tensor) -> Seen | None:
    """The first known loss among the last nodes of a graph that was not run backwards yet."""
    waiting: deque[tuple[Any, int]] = deque([(loss.grad_fn, 0)])
    looked = 0
    while waiting and looked < MOST:
        node, depth = waiting.popleft()
        if node is None or depth > DEEPEST:
            continue
        looked += 1
        name = node.name()
        if name in KNOWN:
            return _read(node, KNOWN[name])
        waiting.extend((following, depth + 1) for following, _ in node.next_functions)
    return None


def _read(node: Any, kind: str) -> Seen | None:
    path = _path(node)
    if kind != "cross_entropy":
        reduction = int(getattr(node, "_saved_reduction", 1))
        return Seen(kind=kind, outputs=node._saved_self, target=node._saved_target, reduction=reduction, path=path)
    ignored = int(node._saved_ignore_index)
    if ignored >= 2**63:
        ignored -= 2**64
    return Seen(
        kind=kind,
        outputs=node._saved_self,
        target=node._saved_target,
        ignored=ignored,
        reduction=int(node._saved_reduction),
        path=path,
    )


def _path(node: Any) -> list[str]:
    names = []
    for _ in range(PATH):
        if node is None:
            break
        names.append(node.name().rstrip("0123456789").removesuffix("Backward"))
        node = node.next_functions[0][0] if node.next_functions else None
    return names


def scale_of(loss: Tensor) -> Tensor | float:
    """The factor that a gradient scaler put before the loss; 1 where there is none."""
    node = loss.grad_fn
    if node is None or node.name() != "MulBackward0":
        return 1.0
    factor = getattr(node, "_saved_other", None)
    if not isinstance(factor, Tensor) or factor.dim() or factor.dtype != torch.float32 or factor.requires_grad:
        return 1.0
    return factor if factor.device.type != "cpu" or _power_of_two(float(factor)) else 1.0


def _power_of_two(value: float) -> bool:
    return value >= LEAST_SCALE and value == 2.0 ** round(torch.log2(torch.tensor(value)).item())


Listener = Callable[[Any, bool], None]  # the tensors run backwards; whether this is before (True) or after


class Tap:
    """Told before and after each `backward`, while it is open.

    Opening the first puts a wrapper around torch's function, closing the last takes it away.
    """

    _open: ClassVar[list["Tap"]] = []
    _torch: ClassVar[Any] = None

    def __init__(self, listener: Listener, *, after: bool = True) -> None:
        self._listener = listener
        self._after = after  # told afterwards too

    @property
    def is_open(self) -> bool:
        return self in Tap._open

    def open(self) -> None:
        if self.is_open:
            return
        Tap._open.append(self)
        if Tap._torch is None:
            Tap._torch = torch.autograd.backward
            torch.autograd.backward = _backward

    def close(self) -> None:
        if self.is_open:
            Tap._open.remove(self)
        if not Tap._open and torch.autograd.backward is _backward:
            torch.autograd.backward = Tap._torch
            Tap._torch = None


def _backward(tensors: Any, *given: Any, **more: Any) -> Any:
    """torch.autograd.backward, with listeners."""
    listening = list(Tap._open)
    for one in listening:
        one._listener(tensors, True)
    result = Tap._torch(tensors, *given, **more)
    for one in listening:
        if one._after:
            one._listener(tensors, False)
    return result
