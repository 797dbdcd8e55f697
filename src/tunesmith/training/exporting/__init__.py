"""A trained model for use elsewhere: written in one of `FORMATS`, read back, and compared with the original before it counts."""

from tunesmith.training.exporting.formats import FORMATS, Format
from tunesmith.training.exporting.storing import Exported, export
from tunesmith.training.exporting.subject import Subject

__all__ = ["FORMATS", "Exported", "Format", "Subject", "export"]
