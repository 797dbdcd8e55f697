"""Run folders: what happened, kept. Imports no torch."""

from tunesmith.runs.levels import Curve
from tunesmith.runs.run import LAYOUT, Run
from tunesmith.runs.signals import Signals
from tunesmith.runs.writer import MemoryWriter, RunWriter, Status, Writer

__all__ = ["LAYOUT", "Curve", "MemoryWriter", "Run", "RunWriter", "Signals", "Status", "Writer"]
