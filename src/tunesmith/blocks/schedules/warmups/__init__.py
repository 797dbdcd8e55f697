"""Warm-ups, one a file: the factor before a schedule begins.

A member is a factory `member(steps, start="auto", **settings) -> Schedule`: the factor is 1 from step `steps` on, and
everywhere where `steps` is 0. Two forms: with a number `start` the factor is `start` at step 0 and rises by t / W; with
`start="auto"` it rises from 0 by (t + 1) / W, so that the first update is small but not nothing. W is `steps`.
"""

from collections.abc import Callable

from tunesmith.blocks.schedules.catalogue import Schedule
from tunesmith.records import Catalog

WARMUPS: Catalog[Callable[..., Schedule]] = Catalog("warm-up")
WARMUPS.load(__path__, __name__)
