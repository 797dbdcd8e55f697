"""The watch as a probe of our own loop, which writes loss, rate and gradient norm itself."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from tunesmith.doctor.probes.watcher import Watcher
from tunesmith.records import Signal
from tunesmith.records.state import State

OF_THE_LOOP = ("loss", "lr", "grad_norm")  # as a whole


class WatchProbe:
    """Looks into a training through `fit(…, probes=[probe])`; `close` afterwards takes its hooks away.

    Between two looks a call costs a comparison. The first update is seen where `begin` was called before it.
    """

    every = 1

    def __init__(self, overhead: float = 0.03, num_classes: int | None = None) -> None:
        self.overhead = overhead
        self.num_classes = num_classes
        self.watcher: Watcher | None = None
        self._signals: list[Signal] = []

    def begin(self, model: nn.Module, optimizer: Any, first_step: int = 0) -> None:
        """Before the first update."""
        self.close()
        self.watcher = Watcher(
            model,
            [optimizer],
            self._sink,
            overhead=self.overhead,
            num_classes=self.num_classes,
            loop=True,
            first_step=first_step,
        )
        self.watcher.attach()

    def __call__(self, state: State) -> Iterable[Signal]:
        watcher = self.watcher
        if watcher is None or watcher.model is not state.model:
            self.begin(state.model, state.optimizer, state.step)
            return ()
        if watcher.steps != state.step:  # the loop went back, or left windows out
            watcher.steps = state.step
        if not self._signals:
            return ()
        found, self._signals = self._signals, []
        return [one for one in found if one.step <= state.step]  # what was begun before a return was taken back with it

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the run by now."""
        return {} if self.watcher is None else self.watcher.known()

    def close(self) -> list[Signal]:
        """Takes every hook away, and gives what was not written yet."""
        if self.watcher is not None:
            self.watcher.detach()
            self.watcher = None
        found, self._signals = self._signals, []
        return found

    def _sink(self, name: str, steps: Any, values: Any, where: str = "") -> None:
        if name in OF_THE_LOOP and not where:
            return
        self._signals += [
            Signal(name=name, value=float(value), step=int(step), where=where)
            for step, value in zip(steps, values, strict=True)
        ]
