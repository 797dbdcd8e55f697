"""Repair: a program or recipe is diagnosed, each remedy tried on a short twin, and what helps beyond noise is kept.

`surgery/` holds the changes; `plan` their order; `twin` the trials; `mending` the rounds and the final verification.
"""

from typing import TYPE_CHECKING

from tunesmith.records.late import late

if TYPE_CHECKING:
    from tunesmith.doctor.repair.mending import mended
    from tunesmith.doctor.repair.outcome import Attempt, Repair
    from tunesmith.doctor.repair.patient import Patient
    from tunesmith.doctor.repair.surgery import SURGERIES, Surgery

__all__ = ["SURGERIES", "Attempt", "Patient", "Repair", "Surgery", "mended"]

LATE = {
    "SURGERIES": "surgery",
    "Attempt": "outcome",
    "Patient": "patient",
    "Repair": "outcome",
    "Surgery": "surgery",
    "mended": "mending",
}
__getattr__ = late(__name__, LATE)
