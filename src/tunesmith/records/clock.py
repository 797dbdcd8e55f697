"""A budget of seconds that checks share."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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


class OutOfTime(BaseException):
    """A check asks for more seconds than are left, or has used them up: it counts as not reached.

    No `Exception`, so that a user's own `except Exception` on the way does not swallow it.
    """


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises `OutOfTime` inside when `seconds` are over: in the main thread, where the system has alarms; elsewhere nothing happens."""
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able or not math.isfinite(seconds) or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise OutOfTime(seconds)

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
