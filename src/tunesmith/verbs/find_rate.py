"""`find_rate`: a learning rate that was trained at before it is handed over."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tunesmith.records import Clock, Program
from tunesmith.verbs.fit import as_recipe, as_task

if TYPE_CHECKING:
    from tunesmith.doctor.preflight import Bench
    from tunesmith.doctor.repair.finders import FoundRate

SECONDS = 60.0


def find_rate(
    task_or_program: Any,
    recipe: Any = None,
    *,
    seconds: float | None = SECONDS,
    updates: int | None = None,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> "FoundRate":
    """A learning rate for a `Program`, or for a `Task` (or data with the task's fields as keywords) with a `recipe`.

    A range test says where to look, short trainings of copies which rate is best there; the groups keep the ratios of their rates, the
    schedule its form. `.rate` is the peak rate of the group with most weights, `.rates` has one for each group, `.lowest` and `.highest` are
    the ends of those that train about as well, `.confidence` lies in [0, 1], `.change` is for `revise(recipe, …)`. Where no rate trains,
    `.rate` is None and `.because` says why. The budget of `seconds`, or of `updates` made on copies, bounds the length of the trainings: a
    whole search with trainings of full length takes about six of them. What was brought is left as it was, to the bit.

    Raises `ModelError` where the optimizer has no rates or the program makes no update; `TunesmithError`s for data and settings that
    cannot be read. Source: Smith, arXiv:1506.01186, section 3.3 (range test); Jamieson & Talwalkar, arXiv:1502.07943 (halving).
    """
    from tunesmith.doctor.repair.finders import found_rate

    return found_rate(opened(task_or_program, recipe, seconds, about), updates=updates, step=step)


def opened(subject: Any, recipe: Any, seconds: float | None, about: dict[str, Any]) -> "Bench":
    """The bench of a program, or of a task and recipe, with a clock."""
    from tunesmith.doctor.preflight import bench_of_program, bench_of_task

    clock = Clock(seconds)
    if isinstance(subject, Program):
        return bench_of_program(subject, clock=clock)
    return bench_of_task(as_task(subject, None, about), as_recipe(recipe), clock=clock)
