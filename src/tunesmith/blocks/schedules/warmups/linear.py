"""A straight line to the full rate: gradual warm-up. Goyal et al., arXiv:1706.02677 (June 2017), section 2.2.

The common form t / W (start 0) makes the first update a no-op. detectron2 starts from 1e-3, maskrcnn-benchmark from
1/3, Goyal et al. from the rate of one machine, so 1/k for a batch k times as large.
"""

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.blocks.schedules.warmups import WARMUPS
from tunesmith.blocks.schedules.warmups.rising import Start, rising


@WARMUPS.add("linear")
def linear(steps: int, start: Start = "auto") -> Schedule:
    """`start` + (1 - `start`) t / W; with "auto" (t + 1) / W, so that the first update is small but not nothing.

    Use: the first choice; for transformers, big batches and Adam 2 to 5 % of the run, for small networks none.

    >>> [linear(4)(t) for t in (0, 1, 3, 4)], [linear(4, start=0.0)(t) for t in (0, 1, 3, 4)]
    ([0.25, 0.5, 1.0, 1.0], [0.0, 0.25, 0.75, 1.0])
    """
    return rising(steps, start, lambda share, m: share)
