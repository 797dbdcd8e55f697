"""From what was found to what is the cause. Imports no torch."""

from tunesmith.doctor.diagnosis.ranking import ranked

__all__ = ["ranked"]
