"""Which updates are looked at, so that all looking keeps inside a share of the time."""

import time
from collections.abc import Callable

SHARES = {"full": 0.6, "light": 0.2, "curvature": 0.1, "heap": 0.1}  # of the overhead, by kind of look; assumption
FREQUENT = ("full", "light")
GRACE = 0.1  # seconds that may be lent for the first looks, paid back later; assumption: nobody notices
FIRST = 4  # updates that are all looked at, then 2 an octave
DENSEST = 256  # looks an octave in the long run: keeps the curves short; assumption
LONGEST_DEBT = 50.0  # looks that a pause (a slow evaluation, an idle notebook) may save up


def early(step: int) -> bool:
    """The updates that are looked at whatever came before: all of the first, then two an octave.

    >>> [step for step in range(1, 70) if early(step)]
    [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]
    """
    if step <= FIRST:
        return True
    high = 1 << (step.bit_length() - 1)
    return step in (high, high + high // 2)


class Budget:
    """Counts what looks cost against the time that goes by."""

    def __init__(self, overhead: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self.overhead = overhead
        self.clock = clock
        self.began = clock()
        self.spent = 0.0
        self._spent = dict.fromkeys(SHARES, 0.0)
        self._cost = dict.fromkeys(SHARES, 0.0)  # of the latest looks of a kind
        self._last = dict.fromkeys(SHARES, 0)

    def pay(self, kind: str, seconds: float) -> None:
        """Puts down what a part of a look has cost."""
        self._spent[kind] += seconds
        self.spent += seconds

    def looked(self, kind: str, step: int, seconds: float) -> None:
        """A look is over; `seconds` were paid for it in all."""
        before = self._cost[kind]
        self._cost[kind] = seconds if not before else 0.7 * before + 0.3 * seconds
        self._last[kind] = step

    def expect(self, kind: str, seconds: float) -> None:
        """What the first look of a kind will cost, as far as one can tell."""
        self._cost[kind] = self._cost[kind] or seconds

    def due(self, kind: str, step: int) -> bool:
        """Whether the coming update `step` is to be looked at."""
        elapsed = self.clock() - self.began
        allowed = self.overhead * elapsed
        frequent = kind in FREQUENT
        if frequent and early(step) and self.spent <= GRACE + allowed:
            return True
        if self.spent + 0.5 * self._cost[kind] > allowed or step - self._last[kind] < step // DENSEST:
            return False
        left = SHARES[kind] * allowed - self._spent[kind]
        most = LONGEST_DEBT * self._cost[kind]
        if frequent and left > most > 0:  # a pause is not caught up with
            self._spent[kind] += left - most
            left = most
        return left >= self._cost[kind]

    def rests(self, step: int, usual: float) -> int:
        """Updates of `usual` seconds for which no look will be due, after one `step` for which none was; rather too few than too many."""
        allowed = self.overhead * (self.clock() - self.began)
        short = min(
            max(
                self.spent + 0.5 * self._cost[kind] - allowed,
                self._cost[kind] - SHARES[kind] * allowed + self._spent[kind],
            )
            for kind in FREQUENT
        )
        waits = int(0.5 * short / max(self.overhead * usual, 1e-12))
        high = 1 << (step.bit_length() - 1)
        return max(0, min(waits, (high + high // 2 if step < high + high // 2 else 2 * high) - step))

    @property
    def share(self) -> float:
        """Of the time since the start, what looking took."""
        return self.spent / max(self.clock() - self.began, 1e-9)
