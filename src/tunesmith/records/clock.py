"""A budget of seconds that checks share."""

import math
import time


class Clock:
    """Seconds that may be spent, counted from the making of the clock.

    >>> Clock().left()
    inf
    >>> Clock(0.0).spent_up
    True
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = math.inf if seconds is None else seconds
        self._start = time.perf_counter()

    def spent(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def left(self) -> float:
        """Seconds that may still be spent; never below 0."""
        return max(0.0, self.seconds - self.spent())

    @property
    def spent_up(self) -> bool:
        return self.left() <= 0.0

    def need(self, seconds: float) -> None:
        """Raises `OutOfTime` where less than `seconds` is left."""
        if self.left() < seconds:
            raise OutOfTime(seconds)


class OutOfTime(Exception):
    """A check asks for more seconds than are left: it counts as not reached."""
