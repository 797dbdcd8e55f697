"""The budget: seconds, or epochs of training. What is left is counted from the ledger, so that it is the same after a kill."""

import math
import time

from tunesmith.autopilot.ledger import Ledger


class Purse:
    """`total` seconds or epochs. Under epochs, nothing that is decided depends on the clock."""

    def __init__(self, unit: str, total: float, ledger: Ledger) -> None:
        self.unit, self.total, self.ledger = unit, total, ledger
        self._began = time.perf_counter()
        self._spent_before = ledger.spent["seconds"]

    @property
    def timed(self) -> bool:
        """Whether the clock decides."""
        return self.unit == "seconds"

    def left(self) -> float:
        """What is left, in the unit of the budget; never below 0."""
        if not self.timed:
            return max(0.0, self.total - self.ledger.spent["epochs"])
        return max(0.0, self.total - self._spent_before - (time.perf_counter() - self._began))

    def seconds(self, share: float, most: float = math.inf) -> float:
        """Seconds for what costs no epochs: a share of the budget, at most `most`; `most` where epochs are counted."""
        return min(most, share * self.total, self.left()) if self.timed else most
