"""Onlookers that ask seldom: of places in sequences, of the memory of optimizers, of graphs that are kept.

`facts()` joins those of `watcher_places`, `watcher_moments`, `watcher_successors` and `watcher_graphs`.
Between two looks nothing of theirs is attached.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from tunesmith.doctor.probes.watcher_asking import Counting
from tunesmith.doctor.probes.watcher_graphs import Graphs
from tunesmith.doctor.probes.watcher_moments import Moments
from tunesmith.doctor.probes.watcher_peep import FIRST, SELDOM
from tunesmith.doctor.probes.watcher_places import Places
from tunesmith.doctor.probes.watcher_successors import Successors

if TYPE_CHECKING:
    from tunesmith.doctor.probes.watcher import Moment, Watcher


class Further:
    """An onlooker of `watcher`; `counting` are told to look away while the model is asked."""

    def __init__(
        self, watcher: "Watcher", model: nn.Module, loss_fn: Any = None, counting: Sequence[Counting] = ()
    ) -> None:
        self._calls = 0
        self._next = 1  # the update at which anything is done again
        self.places = Places(model, loss_fn, counting)
        self.moments = Moments(watcher.optimizers, watcher.first_step)
        self.successors = Successors(watcher)
        self.graphs = Graphs()
        watcher.uncounted = self.successors.uncounted

    def __call__(self, moment: "Moment") -> None:
        """After an update."""
        self._calls += 1
        if self._calls < self._next:
            return
        self._next = _following(self._calls)
        self.places.seen(self._calls, moment.target)
        self.moments.seen(self._calls)
        self.successors.seen()
        self.graphs.seen(self._calls)

    def facts(self) -> dict[str, Any]:
        """What was seen so far."""
        return self.places.facts() | self.moments.facts() | self.successors.facts() | self.graphs.facts()

    def close(self) -> None:
        """Takes every hook away."""
        for each in (self.places, self.moments, self.successors, self.graphs):
            each.close()


def _following(call: int) -> int:
    """The next update that is looked at, or comes before one that is.

    >>> [_following(call) for call in (1, 8, 9, 10, 16)]
    [2, 9, 10, 11, 19]
    """
    if call < FIRST:
        return call + 1
    apart = min(SELDOM, 1 << (call.bit_length() - 3))
    return max(call + 1, (call // apart + 1) * apart - 1)
