"""Run folders: what happened, kept. Imports no torch."""

from tunesmith.runs.cleaning import Cleaned, clean
from tunesmith.runs.levels import Curve
from tunesmith.runs.reading import Reading, Status
from tunesmith.runs.run import LAYOUT, Run
from tunesmith.runs.signals import Signals
from tunesmith.runs.writer import MemoryWriter, RunWriter, Writer

__all__ = [
    "LAYOUT",
    "Cleaned",
    "Curve",
    "MemoryWriter",
    "Reading",
    "Run",
    "RunWriter",
    "Signals",
    "Status",
    "Writer",
    "clean",
]
