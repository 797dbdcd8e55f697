"""Cycles that grow: cycle k lasts F r^k steps and begins where those before it end.

Which cycle a step lies in is found by the sums of the lengths. The usual ⌊log(1 - x (1 - r)) / log r⌋ (TensorFlow,
torch, timm) rounds: at t = F (3^5 - 1) / 2 it gives the fourth cycle at its end, where the fifth begins, for every F
tried.
"""

import math
from decimal import Context, Decimal

from tunesmith.blocks.schedules.curve import Maths, Steps, Value
from tunesmith.records import RecipeError

EXACT = Context(prec=80)  # decimal digits: a ratio such as 1.5 or 1.1 is what it says, and sums below 10^19 are exact
LAST = 2**63 - 1  # the largest step of an array


class Cycles:
    """Where a step lies among cycles of `first`, `first` r, `first` r², … steps."""

    def __init__(self, first: int, ratio: float) -> None:
        if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 1 <= ratio < math.inf:
            raise RecipeError(f"the lengths of the cycles grow by {ratio!r}; a number of 1 or more was expected")
        self.first = first
        self.ratio = ratio
        self.starts = [0.0]
        self.lengths = [float(first)]
        self.marks = [0]  # the first whole step of each
        self._end, self._length, self._ratio = Decimal(first), Decimal(first), Decimal(repr(ratio))

    def at(self, t: Steps, m: Maths) -> tuple[Steps, Value]:
        """(the cycle, the share of it that is gone)."""
        if self.ratio == 1:
            return t // self.first, t % self.first / self.first
        self._reach(t if isinstance(t, int) else int(t.max(initial=0)))
        k = m.reached(self.marks, t) - 1
        return k, (t - m.pick(self.starts, k)) / m.pick(self.lengths, k)

    def _reach(self, step: int) -> None:
        """Lists cycles until one begins after `step`."""
        while self.marks[-1] <= step and self.marks[-1] < LAST:
            self._length = EXACT.multiply(self._length, self._ratio)
            self.starts.append(float(self._end))
            self.lengths.append(float(self._length))
            self.marks.append(min(math.ceil(self._end), LAST))
            self._end = EXACT.add(self._end, self._length)
