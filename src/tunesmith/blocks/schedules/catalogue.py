"""The catalogue of schedules, and what they all are: functions of the step."""

from collections.abc import Callable
from typing import TypeAlias

from tunesmith.records import Catalog

Schedule: TypeAlias = Callable[[int], float]

SCHEDULES: Catalog[Callable[..., Schedule]] = Catalog("schedule")
