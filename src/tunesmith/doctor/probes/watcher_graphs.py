"""What the graphs of autograd of a live loop show: whether they outlive their updates, and whether rows met all rows in the loss.

A mark is laid into the last node of a graph before it is run backwards, which goes when the graph goes. Nothing is kept alive by it.
`facts()` holds

* `graphs`, where most of the marks of many updates are still there: `alive`, `of` (updates marked, the latest left out), `span` (updates since
  the oldest), `at` (the update), `freed` (later they were gone after all), and `holder`, as `memory.Holder` tells it.
* `exponential`, where an exponential divides or multiplies in the loss: `widest`, the natural logarithm of the largest over the smallest of its
  results on a batch, at most in the second half of the looks; `precise`, that of one over the precision of the type; `looks`.
* `broadcast`, where an operation of the loss made a square of a column and a row, of which one came from the weights and the other did not:
  `looks`, `of`, `rows` (the largest), `operation`.
"""

import math
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tunesmith.doctor.probes.memory import holder_of_graphs
from tunesmith.doctor.probes.watcher_loss import DEEPEST, MOST, Tap
from tunesmith.doctor.probes.watcher_peep import due

MARK = "tunesmith.mark"
BEHIND = 8  # updates after which a graph should be gone: the last losses may still have a name; assumption
FEWEST = 8  # graphs that are kept, before anything is said; assumption
LATEST = 64  # marks that are looked after, and ranges that are kept; assumption
MOSTLY = 0.9  # of those marked; assumption
SMALLEST = 4  # rows of a square
MEETING = ("Mul", "Sub", "Rsub", "Add", "Div", "Pow")  # operations that stretch their operands
SCALING = ("Div", "Mul")  # what makes a factor of an exponential; sums of them are softmaxes and likelihoods of counts


class _Mark:
    __slots__ = ("__weakref__",)


class Graphs:
    """Hears backward at the updates that are looked at."""

    def __init__(self) -> None:
        self._tap = Tap(self._ran, after=False)
        self._marks: deque[tuple[int, weakref.ref[_Mark]]] = deque(maxlen=LATEST)
        self._call = 0
        self._suspected = 0
        self._kept: dict[str, Any] = {}
        self._squares = self._most = 0  # met, and the most rows of one
        self._by_design = False
        self._looks = 0
        self._operation = ""
        self._ranges: deque[Tensor] = deque(maxlen=LATEST)  # of exponentials, as natural logarithms
        self._precise = 0.0
        self._tap.open()

    def seen(self, call: int) -> None:
        """After an update, counted from 1; before an update that is looked at it must be called too."""
        self._call = call
        if due(call + 1):
            self._tap.open()
        else:
            self._tap.close()
        if call % BEHIND:
            return
        old = [(at, mark) for at, mark in self._marks if call - at >= BEHIND]
        alive = [at for at, mark in old if mark() is not None]
        if len(alive) < max(FEWEST, MOSTLY * len(old)):
            self._suspected = 0
            if self._kept:
                self._kept["freed"] = True
            return
        self._suspected += 1
        if self._suspected < 2:  # what waits for the garbage collector is gone by then
            return
        holder = self._kept.get("holder") or holder_of_graphs(sys._getframe(1), len(alive))
        self._kept |= {"alive": len(alive), "of": len(old), "span": call - alive[0], "at": call, "freed": False}
        if holder is not None:
            self._kept["holder"] = holder

    def facts(self) -> dict[str, Any]:
        """What was seen so far."""
        told: dict[str, Any] = {"graphs": dict(self._kept)} if self._kept else {}
        if self._ranges:
            late = torch.stack([one.cpu() for one in list(self._ranges)[len(self._ranges) // 2 :]])
            told["exponential"] = {
                "widest": float(late.max()),
                "precise": self._precise,
                "looks": len(self._ranges),
            }
        if self._squares and not self._by_design:
            told["broadcast"] = {
                "looks": self._squares,
                "of": self._looks,
                "rows": self._most,
                "operation": self._operation,
            }
        return told

    def close(self) -> None:
        """Hears no more."""
        self._tap.close()

    def _ran(self, tensors: Any, before: bool) -> None:
        node: Any = tensors.grad_fn if isinstance(tensors, Tensor) and tensors.numel() == 1 else None
        if node is None or (self._marks and self._marks[-1][0] == self._call + 1):
            return
        mark = _Mark()
        try:
            node.metadata[MARK] = mark
        except AttributeError:  # a node that keeps no notes
            return
        self._marks.append((self._call + 1, weakref.ref(mark)))
        self._looks += 1
        found = [_range(one) for one in _exponentials(node)]
        if found:
            self._ranges.append(torch.stack(found).amax())
            self._precise = -math.log(torch.finfo(tensors.dtype).eps)
        for rows, operation, meant in _squares(node):
            self._by_design = self._by_design or meant
            if not meant:
                self._operation = operation
                self._squares, self._most = self._squares + 1, max(self._most, rows)
                break


def _squares(root: Any) -> Iterator[tuple[int, str, bool]]:
    """Squares among the last operations of a loss: rows, the operation, and whether both sides came from the weights."""
    waiting, met = deque([(root, 0)]), 0
    while waiting and met < MOST:
        node, depth = waiting.popleft()
        if node is None or depth > DEEPEST:
            continue
        met += 1
        waiting.extend((one, depth + 1) for one, _ in node.next_functions)
        name = node.name().rstrip("0123456789").removesuffix("Backward")
        shape = _shape(node, 0)
        if name not in MEETING or shape is None or len(shape) != 2 or shape[0] != shape[1] or shape[0] < SMALLEST:
            continue
        operands = [_shape(one, place) for one, place in node.next_functions if one is not None]
        others = [getattr(node, each, None) for each in ("_saved_self", "_saved_other", "_saved_exponent")]
        whole = any(isinstance(one, Tensor) and one.shape == shape for one in others)  # a mask or a table meets rows
        lines = [each is not None and each.numel() == shape[0] for each in operands]
        if all(lines) and (len(lines) == 2 or not whole):
            yield shape[0], name.lower(), len(lines) == 2


def _exponentials(root: Any) -> list[Tensor]:
    """Results of the exponentials among the last operations of a loss that scale something."""
    waiting, met = deque([(root, "", 0)]), 0
    uses: dict[Any, set[str]] = {}
    while waiting and met < MOST:
        node, user, depth = waiting.popleft()
        if node is None or depth > DEEPEST:
            continue
        name = node.name().rstrip("0123456789").removesuffix("Backward")
        if name == "Exp":
            uses.setdefault(node, set()).add(user)
        met += 1
        waiting.extend((one, name, depth + 1) for one, _ in node.next_functions)
    found = [node._saved_result.detach() for node, users in uses.items() if users <= {*SCALING}]
    return [one for one in found if one.numel() > 1 and one.is_floating_point()]


@torch.no_grad()
def _range(values: Tensor) -> Tensor:
    logs = values.float().log().clamp(-200, 200)  # beyond any exponent of a float32: log 0 and log of infinity
    return logs.amax() - logs.amin()


def _shape(node: Any, place: int) -> torch.Size | None:
    """Of the result of an operation; None where torch does not tell."""
    known = getattr(node, "_input_metadata", None)
    return torch.Size(known[place].shape) if known is not None and place < len(known) else None
