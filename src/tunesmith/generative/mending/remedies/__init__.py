"""Remedies of a game that left modes out: one change of its rules, its recipe or its discriminator a file.

Each is only an offer. Whether it helps here, a twin has to show.
"""

from tunesmith.generative.mending.remedies.catalogue import REMEDIES, Board, remedy

__all__ = ["REMEDIES", "Board", "remedy"]

REMEDIES.load(__path__, __name__)
