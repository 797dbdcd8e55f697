"""Optimizers that are made anew over weights that another one trained, which a watch of that one would not see.

A weight that changed between two calls of `step` without an update is the sign; only then are the steps of all optimizers listened to, and
the watch goes on with the one that holds the same weights.

`facts()` holds, under `successors`, where there were any:

* `made`: how many optimizers took the place of another, over the same weights, of the same class and with nothing in their memory; `others`:
  those over other weights, of another class, or with a memory. `first`: the update before the first of them.
* `remembers`: whether they keep moments from one update to the next. `name`: their class.
"""

import weakref
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tunesmith.doctor.probes.watcher_moments import remembers
from tunesmith.doctor.probes.watcher_peep import Peep

if TYPE_CHECKING:
    from tunesmith.doctor.probes.watcher import Watcher

ENOUGH = 16  # updates by an optimizer that is watched, after which nobody listens any more where none took its place; assumption


class Successors:
    """Asks `watcher` to go on with the optimizer that took the place of its first."""

    def __init__(self, watcher: "Watcher") -> None:
        self._watcher = weakref.ref(watcher)
        first = next(iter(watcher.optimizers), None)
        held = [] if first is None else [each for group in first.param_groups for each in group["params"]]
        trained = [each for each in held if each.requires_grad and not each.is_inference()]
        self._weights = [weakref.ref(each) for each in trained]
        self._kind = type(first).__name__
        self._version = trained[0]._version if trained else 0
        self._steps = watcher.steps
        self._listening: Any = None
        self._known = 0  # updates by one that is watched, since somebody listens
        self._handles: list[Any] = []  # of the present successor
        self._met: weakref.WeakSet[Optimizer] = weakref.WeakSet(watcher.optimizers)
        self._made = self._others = self._first = 0
        self._remembers = False

    def uncounted(self) -> None:
        """A call of `step` without an update before it: did a weight change all the same?"""
        watcher, weight = self._watcher(), self._weights[0]() if self._weights else None
        if watcher is None or weight is None:
            return
        changed, same = weight._version != self._version, watcher.steps == self._steps
        self._version, self._steps = weight._version, watcher.steps
        if changed and same and self._listening is None:
            self._listening, self._known = register_optimizer_step_pre_hook(Peep(self, "_stepping")), 0

    def seen(self) -> None:
        """After an update."""
        if self._listening is not None and self._known > ENOUGH and not self._made and not self._others:
            self._listening.remove()
            self._listening = None
        watcher = self._watcher()
        if watcher is not None and self._met and not self._remembers:
            self._remembers = any(remembers(one) for one in watcher.optimizers[:1])

    def facts(self) -> dict[str, Any]:
        """What was seen so far."""
        if not self._made and not self._others:
            return {}
        told = {"made": self._made, "others": self._others, "first": self._first}
        return {"successors": told | {"remembers": self._remembers, "name": self._kind}}

    def close(self) -> None:
        """Takes every hook away."""
        for handle in (*self._handles, *([] if self._listening is None else [self._listening])):
            handle.remove()
        self._handles, self._listening = [], None

    def _stepping(self, optimizer: Optimizer, *_: Any) -> None:
        watcher = self._watcher()
        if watcher is None:
            return
        if any(one is optimizer for one in watcher.optimizers):
            self._known += 1
            return
        mine = {id(one) for reference in self._weights if (one := reference()) is not None}
        theirs = {id(each) for group in optimizer.param_groups for each in group["params"] if each.requires_grad}
        if 2 * len(mine & theirs) <= len(mine):
            return
        if optimizer not in self._met:
            self._met.add(optimizer)
            alike = theirs == mine and type(optimizer).__name__ == self._kind and not remembers(optimizer)
            self._first = self._first if self._made or self._others else watcher.steps
            self._made, self._others = self._made + alike, self._others + (not alike)
        for handle in self._handles:
            handle.remove()
        self._handles = watcher.succeeded(optimizer)
