"""How many rows go through the model at once: halved when memory runs out, tried larger again later."""

from dataclasses import dataclass
from typing import Any

WAIT = 64  # passes at the smaller size before the larger is tried again; assumption
LONGER = 4  # times that, after each trial that failed; assumption
TRIALS = 4  # failed trials after which the size stays


@dataclass(slots=True)
class Room:
    """The rows that fit, and what was learnt of them. `rows` None is as many as there are."""

    rows: int | None = None
    asked: int = 0  # rows of the largest batch that did not fit
    fine: int = 0  # passes since the size last changed
    wait: int = WAIT
    failed: int = 0  # trials of a larger size that did not fit
    trying: bool = False  # a larger size is on trial

    def halve(self, rows: int) -> bool:
        """A part of `rows` rows did not fit; False where a single row did not."""
        if rows <= 1:
            return False
        self.asked = max(self.asked, rows)
        if self.trying:
            self.failed, self.wait, self.trying = self.failed + 1, self.wait * LONGER, False
        self.rows, self.fine = -(-rows // 2), 0
        return True

    def used(self) -> bool:
        """A pass fitted. True where the next is tried with twice the rows."""
        if self.rows is None and not self.trying:
            return False
        self.fine += 1
        if self.fine < self.wait:
            return False
        self.trying = False  # it stood the wait
        if self.rows is None or self.failed >= TRIALS:
            return False
        self.rows, self.fine, self.trying = 2 * self.rows, 0, True
        if self.rows >= self.asked:
            self.rows = None
        return True

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def take(self, told: dict[str, Any]) -> None:
        """Puts back what `as_dict` gave."""
        for name in self.__slots__:
            setattr(self, name, told[name])
