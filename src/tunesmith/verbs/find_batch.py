"""`find_batch`: how many rows fit, how many are fast, and what batch learns most."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tunesmith.verbs.find_rate import SECONDS, opened

if TYPE_CHECKING:
    from tunesmith.doctor.repair.finders import FoundBatch


def find_batch(
    task_or_program: Any,
    recipe: Any = None,
    *,
    seconds: float | None = SECONDS,
    most: int | None = None,
    margin: float = 0.1,
    rule: str = "auto",
    compare: bool = True,
    fault: Callable[[int, int], None] | None = None,
    step: Callable[[str], None] = lambda name: None,
    **about: Any,
) -> "FoundBatch":
    """A batch for a `Program`, or for a `Task` (or data with the task's fields as keywords) with a `recipe`.

    Rows are doubled until an update of the worst case (every row as long as the longest) runs out of memory; `margin` of them is left
    free. `.largest` fits, `.knee` is nearly as fast as any, `.paces` is the curve between; `.compared` holds three effective batches
    trained on a part of the data, by their loss at equal samples and at equal seconds. The effective batch stays, unless another gains
    clearly more at equal seconds; `.micro_batch`, `.accumulate`, `.rate` and `.line` say how to carry it out, `.rate` by the `rule`
    (`"linear"`, `"sqrt"`, `"none"`, or `"auto"` by the optimizer). Under `torch.distributed` all ranks call it, and the least holds for
    all. `fault(rows, bytes)` plays a memory that ends, by raising `torch.OutOfMemoryError`.

    Raises `TrainingFailed` where not even one row fits, `RecipeError` for a margin outside [0, 1) or an unknown rule. Sources: Goyal et al.,
    arXiv:1706.02677 (linear rule); Malladi et al., arXiv:2205.10287 (square root); Shallue et al., arXiv:1811.03600 (budgets told apart).
    """
    from tunesmith.doctor.repair.finders import found_batch

    bench = opened(task_or_program, recipe, seconds, about)
    return found_batch(bench, most=most, margin=margin, rule=rule, compare=compare, fault=fault, step=step)
