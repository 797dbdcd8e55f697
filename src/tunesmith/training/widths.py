"""A built-in net at another width than the one its rate was found at: `model.base_width`."""

from torch import nn

from tunesmith.blocks import models, optim
from tunesmith.data.spec import Prepared
from tunesmith.records import ModelError, Recipe, RecipeError, Source, Task, revise
from tunesmith.records.state import random_state, set_random_state


def carried_widths(
    task: Task, recipe: Recipe, prepared: Prepared, model: nn.Module, name: str, notices: list[str]
) -> optim.Carried | None:
    """The factors on rates and decays where the recipe has a base width, the model's starts being changed in place; else None.

    Raises `RecipeError` or `ModelError` for a net of the user's own, a pretrained start, an optimizer that the task brings or that has no
    known rule, and heads that would not keep their width.
    """
    base_width = recipe.model.base_width
    if base_width is None:
        return None
    if not name or models.is_foreign(name):
        raise ModelError(
            "model.base_width is for built-in nets; for a net of your own use tunesmith.blocks.optim.carried(model, base) and restart"
        )
    if recipe.model.pretrained is not None or task.optimizer is not None:
        raise RecipeError(
            "model.base_width says how a net starts and at which rates it trains: leave out model.pretrained and the task's optimizer"
        )
    settled = models.settle(recipe, name, prepared.spec)
    there = narrowed(settled, base_width)
    before = random_state()
    try:
        base = models.build(name, there, prepared.spec, prepared.outputs, prepared.kind)
    finally:
        set_random_state(before)
    found = optim.carried(model, base, "adamw" if recipe.optim.name == "auto" else recipe.optim.name)
    optim.restart(model, base, found)
    notices.append(f"rates, decay and starts are carried from width {base_width} to {settled.model.width} (µP):")
    notices.extend(found.lines())
    return found


def narrowed(recipe: Recipe, width: int) -> Recipe:
    """The same net at another width: heads keep theirs and embeddings that are as wide as the net stay so.

    Raises `RecipeError` where a head's width does not divide the new one.
    """
    chosen, changes = recipe.model, {"model.width": width}
    whole = int(chosen.width)
    if chosen.heads != "auto":
        each = whole // int(chosen.heads)
        if width % each:
            raise RecipeError(
                f"heads are {each} wide, which does not divide a width of {width}; take multiples of {each}, or more heads"
            )
        changes["model.heads"] = width // each
    if chosen.embedding_dim == whole:
        changes["model.embedding_dim"] = width
    return revise(recipe, changes, Source("derived", "the same net at another width"))
