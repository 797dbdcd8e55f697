"""From what was found to what is the cause. Imports no torch."""

from tunesmith.doctor.diagnosis.ranking import measured, ranked

__all__ = ["measured", "ranked"]
