"""Two gradients in succession: their cosine, and the simple noise scale from them.

Two batches of B rows at nearly the same weights are one pair of sizes B and 2 B (`noise_estimate.two_batch_estimates`): the small one
has the mean of their squared lengths, the big one that of their mean. The one update between them is neglected.
"""

import math
from collections import deque
from collections.abc import Iterable

import torch
from torch import Tensor

from tunesmith.doctor.probes.noise_estimate import two_batch_estimates
from tunesmith.doctor.probes.watcher_ledger import Ledger, Point

PAIRS = 16  # whose estimates are averaged before the ratio is taken; assumption
FEWEST = 4


class Noise:
    """Holds the gradient of one update until the next."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._held: tuple[int, Tensor] | None = None
        self._pairs: deque[tuple[float, float]] = deque(maxlen=PAIRS)

    def keep(self, gradient: Tensor, step: int) -> None:
        self._held = (step, gradient)

    def waits_for(self, step: int) -> bool:
        return self._held is not None and self._held[0] + 1 == step

    def look(self, gradient: Tensor, step: int, rows: int) -> None:
        """The gradient of the update after the one kept."""
        held, self._held = self._held, None
        if held is None or held[0] + 1 != step or held[1].shape != gradient.shape:
            return
        other = held[1]
        found = torch.stack((torch.dot(other, gradient), other.square().sum(), gradient.square().sum()))
        self.ledger.later(step, found, lambda numbers: self._told(numbers, rows))

    def _told(self, numbers: list[float], rows: int) -> Iterable[Point]:
        both, one, other = numbers
        if not all(map(math.isfinite, numbers)) or one <= 0 or other <= 0:
            return
        yield "gradient_cosine", "", both / math.sqrt(one * other)
        if rows < 1:
            return
        big = (one + other + 2 * both) / 4
        self._pairs.append(two_batch_estimates((one + other) / 2, big, rows, 2 * rows))
        signal = math.fsum(pair[0] for pair in self._pairs)
        noise = math.fsum(pair[1] for pair in self._pairs)
        if len(self._pairs) >= FEWEST and signal > 0 and noise > 0:
            yield "noise_scale", "", noise / signal
