"""Sound training programs as users write them: each is small, trains in seconds and really learns.

`HEALTHY[name](seed)` is a `Program` with live objects; `HEALTHY_TASKS[name](seed)` a `Task` with its `Recipe`. The seed draws the
rows and the first weights: the same seed gives the same program.
"""

from tunesmith.testing.healthy.catalogue import HEALTHY, HEALTHY_TASKS, Healthy, HealthyTask, healthy, healthy_task

__all__ = ["HEALTHY", "HEALTHY_TASKS", "Healthy", "HealthyTask", "healthy", "healthy_task"]

HEALTHY.load(__path__, __name__)
HEALTHY_TASKS.load(__path__, __name__)
