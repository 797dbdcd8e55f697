"""Half a cosine upwards: slow at both ends. The way up of torch's OneCycleLR and of transformers' WSD schedule."""

import math

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.warmups import WARMUPS
from tunesmith.blocks.schedules.warmups.rising import Start, rising


@WARMUPS.add("cosine")
def cosine(steps: int, start: Start = "auto") -> Schedule:
    """`start` + (1 - `start`) (1 - cos(π t / W)) / 2; with "auto" from 0 by (t + 1) / W.

    Use: where the kink at the end of a straight warm-up shows in the loss; else linear does the same.

    >>> [round(cosine(4, start=0.0)(t), 3) for t in (0, 1, 2, 4)]
    [0.0, 0.146, 0.5, 1.0]
    """
    return rising(steps, start, lambda share, m: (1 - m.cos(math.pi * share)) / 2)
