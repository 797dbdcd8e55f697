"""Finds a learning rate, and a batch, by trying: everything on copies, the program is left as it was to the bit."""

from typing import TYPE_CHECKING

from tunesmith.records.late import late

if TYPE_CHECKING:
    from tunesmith.doctor.repair.finders.batch import FoundBatch, found_batch
    from tunesmith.doctor.repair.finders.found import FoundRate
    from tunesmith.doctor.repair.finders.rate import found_rate

__all__ = ["FoundBatch", "FoundRate", "found_batch", "found_rate"]

LATE = {"FoundBatch": "batch", "FoundRate": "found", "found_batch": "batch", "found_rate": "rate"}
__getattr__ = late(__name__, LATE)
