"""Outputs and targets of a loss written out by hand, from the difference of the two that autograd keeps.

`((outputs - target) ** 2).mean()` and its like (absolute, weighted, divided by a variance) save the difference for the way back; with the
outputs of the model, and the slices that lead from them to the difference, the targets follow up to rounding.
"""

from collections import deque
from typing import Any

from torch import Tensor

DEEPEST, MOST = 12, 60  # nodes from the loss, and in all; assumption: sums of terms and scalings
VIEWS = 4  # slices between the outputs and the difference
SAVERS = ("PowBackward0", "AbsBackward0", "MulBackward0")  # what keeps its argument


def residual_in(loss: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor] | None:
    """Outputs and targets as the difference had them; None where the graph holds no such difference.

    `outputs` are the model's own, with their place in the graph.

    >>> import torch
    >>> x = torch.tensor([[1.0, 5.0], [2.0, 5.0]], requires_grad=True) * 1
    >>> residual_in(((x[:, 0] - torch.tensor([3.0, 4.0])) ** 2).mean(), x)
    (tensor([1., 2.]), tensor([3., 4.]))
    """
    waiting: deque[tuple[Any, int]] = deque([(loss.grad_fn, 0)])
    looked = 0
    while waiting and looked < MOST:
        node, depth = waiting.popleft()
        if node is None or depth > DEEPEST:
            continue
        looked += 1
        if node.name() in SAVERS:
            found = _taken_apart(node, outputs)
            if found is not None:
                return found
        waiting.extend((following, depth + 1) for following, _ in node.next_functions)
    return None


def _taken_apart(saver: Any, outputs: Tensor) -> tuple[Tensor, Tensor] | None:
    difference = getattr(saver, "_saved_self", None)
    place = next((place for place, _ in saver.next_functions[:1]), None)
    if not isinstance(difference, Tensor) or place is None or place.name() not in ("SubBackward0", "RsubBackward1"):
        return None
    sides = [side for side, _ in place.next_functions]
    if len(sides) != 2 or (sides[0] is None) == (sides[1] is None):
        return None  # both depend on weights
    first = sides[0] is not None
    taken = _followed(sides[0] if first else sides[1], outputs)
    if taken is None or getattr(place, "_saved_alpha", 1) != 1:
        return None
    difference = difference.detach()
    if taken.shape != difference.shape:
        return None
    return taken, taken - difference if first else taken + difference


def _followed(node: Any, outputs: Tensor) -> Tensor | None:
    """The part of the outputs that a chain of slices takes."""
    steps: list[Any] = []
    for _ in range(VIEWS):
        if node is outputs.grad_fn:
            part = outputs.detach()
            for step in reversed(steps):
                part = _sliced(step, part)
            return part
        if node is None or node.name() not in (
            "SliceBackward0",
            "SelectBackward0",
            "SqueezeBackward0",
            "SqueezeBackward1",
        ):
            return None
        steps.append(node)
        node = node.next_functions[0][0]
    return None


def _sliced(node: Any, part: Tensor) -> Tensor:
    name = node.name()
    if name == "SliceBackward0":
        index = [slice(None)] * part.dim()
        index[_signed(node._saved_dim)] = slice(_signed(node._saved_start), _signed(node._saved_end), node._saved_step)
        return part[tuple(index)]
    if name == "SelectBackward0":
        return part.select(_signed(node._saved_dim), _signed(node._saved_index))
    return part.squeeze() if name == "SqueezeBackward0" else part.squeeze(_signed(node._saved_dim))


def _signed(number: int) -> int:
    """Autograd shows negative places without their sign."""
    return number - 2**64 if number >= 2**63 else number
