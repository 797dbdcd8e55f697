"""Whole programs that fail the way those of beginners and of experts do, most of them with a loop of their own.

`FAILING[name](seed)` is a `Program` that does not do what it should; `FAILING[name](seed, mended=True)` the same without its faults.
Often there is more than one: `faults` names each of them.
"""

from tunesmith.testing.programs.catalogue import FAILING, Failing, failing

__all__ = ["FAILING", "Failing", "failing"]

FAILING.load(__path__, __name__)
