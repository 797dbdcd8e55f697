"""Onlookers that ask seldom: of places in sequences, of the memory of optimizers, of graphs that are kept.

What they find is added to the facts of the run. Between two looks nothing of theirs is attached.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import Optimizer

from tunesmith.doctor.probes.watcher_asking import Counting
from tunesmith.doctor.probes.watcher_peep import due
from tunesmith.doctor.probes.watcher_places import Places

if TYPE_CHECKING:
    from tunesmith.doctor.probes.watcher import Moment


class Further:
    """An onlooker of a watcher; `counting` are told to look away while the model is asked."""

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[Optimizer],
        loss_fn: Any = None,
        counting: Sequence[Counting] = (),
    ) -> None:
        self._calls = 0
        self.places = Places(model, loss_fn, counting)

    def __call__(self, moment: "Moment") -> None:
        """After an update."""
        self._calls += 1
        if not due(self._calls) and not due(self._calls + 1):
            return
        self.places.seen(self._calls, moment.target)
        moment.facts |= self.places.facts()

    def close(self) -> None:
        """Takes every hook away."""
        self.places.close()
