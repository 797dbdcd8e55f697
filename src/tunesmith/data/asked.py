"""What the loss asks of the target: gaps that it leaves out, counts that it takes the logarithm of the rate of."""

import numpy as np

from tunesmith.data.rows import Gathered
from tunesmith.data.spec import Array
from tunesmith.data.target import NUMBERS, Target
from tunesmith.records import DataError, Recipe, RecipeError, Task

COUNTS = "poisson_nll"


def loss_name(task: Task, recipe: Recipe) -> str:
    """The loss by its name in the catalogue; of a user's own its `name`, if it has one."""
    if isinstance(task.loss, str):
        return recipe.loss.name if task.loss == "auto" else task.loss
    return str(getattr(task.loss, "name", ""))


def takes_missing(task: Task, recipe: Recipe) -> bool:
    """Whether the loss leaves out numbers that are missing (NaN)."""
    return loss_name(task, recipe).startswith("masked_") or bool(getattr(task.loss, "takes_missing", False))


def gaps_told(target: Array, names: tuple[str, ...]) -> list[str]:
    """How many numbers are missing in each column of the target."""
    if target.dtype.kind != "f" or not np.isnan(target).any():
        return []
    missing = np.isnan(target.reshape(len(target), -1)).sum(axis=0)
    labels = names if len(names) == len(missing) else tuple(map(str, range(len(missing))))
    shown = ", ".join(f"{name} {count}" for name, count in zip(labels[:8], missing[:8], strict=True))
    return [
        f"the loss leaves out what is missing of the target in {len(target)} rows: {shown}"
        + (" …" if len(missing) > 8 else "")
    ]


def target_scaling(task: Task, recipe: Recipe, target: Target, gathered: Gathered, notices: list[str]) -> str:
    """`data.scale_target`; counts are not scaled. Raises for counts below 0, and where scaling them is asked for."""
    how = recipe.data.scale_target
    if loss_name(task, recipe) != COUNTS or target.kind not in NUMBERS:
        return how
    for rows in (gathered.train, gathered.val, gathered.test):
        if rows is not None and rows.target is not None and bool((rows.target < 0).any()):
            least = float(rows.target.min())
            raise DataError(f"{COUNTS} takes counts and rates of 0 or more and {rows.name} hold {least:g}; choose mse")
    if how == "standard":
        raise RecipeError(
            f"data.scale_target = 'standard' makes numbers below 0 and {COUNTS} takes counts; leave it at 'auto' or 'none'"
        )
    if how == "auto" and not target.as_is:
        notices.append(f"the target is not scaled, for {COUNTS} takes counts")
    return "none"
