"""Readers of logs, ours and others': each gives one `History` for each run it finds. Imports no torch."""

from tunesmith.runs.readers.catalogue import READERS, read_log, reader

__all__ = ["READERS", "read_log", "reader"]

READERS.load(__path__, __name__)
