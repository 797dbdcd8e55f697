"""The peak rate throughout, or a part of it first; the curve of torch's `ConstantLR`."""

from tunesmith.blocks.schedules.catalogue import SCHEDULES, Schedule
from tunesmith.blocks.schedules.curve import Curve
from tunesmith.blocks.schedules.units import level, updates


@SCHEDULES.add("constant")
def constant(steps: int = 1, start: float = 1.0, span: float | str = 5) -> Schedule:
    """Factor 1; with a `start` below 1, that factor for the first `span` updates.

    `span` is a share of the run, updates or an amount; 5 as in torch.

    Use: after a warm-up where the run has no fixed end, or with weight averaging in place of a decay.

    >>> constant()(1000), [constant(10, start=0.1, span=4)(t) for t in (0, 3, 4)]
    (1.0, [0.1, 0.1, 1.0])
    """
    low, mark = level(start, "start", 1.0), updates(span, steps, "span")
    return Curve(lambda t, m: m.either(t < mark, lambda: low, lambda: 1.0), warmup=mark if low < 1 else 0)
