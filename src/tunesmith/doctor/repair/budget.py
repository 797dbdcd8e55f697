"""What twins may cost: passes over the training rows, and seconds."""

import math

from tunesmith.records import Clock


class Purse:
    """Epochs that twins may still train, counted in passes of the program over its training rows.

    >>> purse = Purse(3.0)
    >>> purse.take(2.0)
    >>> purse.lasts(1.5)
    False
    """

    def __init__(self, epochs: float = math.inf, clock: Clock | None = None) -> None:
        self.epochs = epochs
        self.clock = Clock() if clock is None else clock
        self.spent = 0.0

    def take(self, epochs: float) -> None:
        """Writes down what was trained."""
        self.spent += epochs

    def left(self) -> float:
        """Epochs that may still be trained; never below 0."""
        return 0.0 if self.clock.spent_up else max(0.0, self.epochs - self.spent)

    def lasts(self, epochs: float) -> bool:
        """Whether so many may still be trained."""
        return epochs <= self.left() + 1e-9
