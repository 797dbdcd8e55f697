"""What an optimizer remembers: moments at the first update of a run, and whether they are as old as the run later on.

`facts()` holds, under `moments`, once an update was made:

* `empty`: the optimizer had no state before that update. `remembers`: it has some afterwards. `resumed`: how many updates were made before,
  as the watch was told.
* `loaded`: between the begin of the watch and that update all its parameters were written to, as by `load_state_dict`.
* `lost`: how many updates younger the moments were found than the run, at most, where they began anew since the look before; optimizers that
  count their updates alone. `lost_at`: when.
"""

import weakref
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from tunesmith.doctor.probes.watcher_peep import Peep


class Moments:
    """Looks at the first of the optimizers, before and after the first update and then whenever it is asked."""

    def __init__(self, optimizers: Sequence[Optimizer], first_step: int = 0) -> None:
        held = [each for one in optimizers[:1] for group in one.param_groups for each in group["params"]]
        self._versions = [(weakref.ref(each), each._version) for each in held if not each.is_inference()]
        self._optimizer = weakref.ref(optimizers[0]) if optimizers else None
        self._handles = [each.register_step_pre_hook(Peep(self, "_before")) for each in optimizers[:1]]
        self._age: int | None = None  # updates that the moments are older than the run
        self._looked = 0
        self._told: dict[str, Any] = {}
        self._resumed = first_step

    def seen(self, call: int) -> None:
        """After an update, counted from 1."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        optimizer = None if self._optimizer is None else self._optimizer()
        if optimizer is None or not self._told:
            return
        self._told["remembers"] = self._told.get("remembers", False) or remembers(optimizer)
        count = _count(optimizer)
        if count is not None:
            age, anew = (
                count - call,
                count <= call - self._looked,
            )  # one taken back to a checkpoint remembers what that does
            if self._age is not None and anew and self._age - age > self._told.get("lost", 0):
                self._told |= {"lost": self._age - age, "lost_at": call}
            self._age = max(age, age if self._age is None else self._age)
        self._looked = call

    def facts(self) -> dict[str, Any]:
        """What was seen so far."""
        return {"moments": dict(self._told)} if "remembers" in self._told else {}

    def close(self) -> None:
        """Takes every hook away."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _before(self, optimizer: Optimizer, *_: Any) -> None:
        if self._told:
            return
        there = [(one, version) for reference, version in self._versions if (one := reference()) is not None]
        self._told = {
            "empty": not remembers(optimizer),
            "resumed": self._resumed,
            "loaded": bool(there) and all(one._version != version for one, version in there),
        }


def remembers(optimizer: Optimizer) -> bool:
    """Whether it keeps numbers by weight from one update to the next."""
    return any(
        isinstance(value, Tensor) and value.numel() > 1
        for one in optimizer.state.values()
        if isinstance(one, dict)
        for value in one.values()
    )


def _count(optimizer: Optimizer) -> int | None:
    """Updates that the moments are of; None where they are not counted, or on a device that one would wait for."""
    for one in optimizer.state.values():
        found = one.get("step") if isinstance(one, dict) else None
        if isinstance(found, Tensor):
            return int(found) if found.device.type == "cpu" else None
        if isinstance(found, int | float):
            return int(found)
    return None
