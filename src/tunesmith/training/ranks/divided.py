"""A plan on several ranks: its rows divided, its gradients added up, and what a user is told of that."""

from typing import TYPE_CHECKING

from torch import nn

from tunesmith.blocks.layers.norm.sync_batch import SyncBatchNorm
from tunesmith.blocks.losses import Loss
from tunesmith.records import Recipe, Task
from tunesmith.training.feeds import Feed, LoaderFeed
from tunesmith.training.ranks.dividing import DividedFeed
from tunesmith.training.ranks.joining import check_gradients, check_loader
from tunesmith.training.ranks.norms import batch_norms, told
from tunesmith.training.ranks.ranks import Ranks
from tunesmith.training.ranks.together import Together
from tunesmith.training.recovery.cutting import Cutting
from tunesmith.training.update import Update

if TYPE_CHECKING:
    from tunesmith.training.ranks.sharding import Sharding


def divided(feed: Feed, update: Update, ranks: Ranks, sharding: "Sharding | None") -> Feed:
    """The feed of this rank; the update adds up the gradients of all. Raises `DataError` and `RecipeError` for what cannot be divided."""
    if isinstance(feed, LoaderFeed):
        check_loader(feed.loader)
    check_gradients(update.model, ranks.world)
    update.together = Together(ranks, update, sharding)
    if update.cutting is None:  # parts draw the random numbers of the whole
        update.cutting = Cutting()
    synced = any(isinstance(module, SyncBatchNorm) for module in update.model.modules())
    least = 2 if batch_norms(update.model) else 1
    return DividedFeed(feed, ranks.rank, ranks.world, least=least, empties=synced or sharding is not None)


def chosen_parts(
    task: Task, recipe: Recipe, model: nn.Module, loss: Loss, ranks: Ranks | None, notices: list[str]
) -> "tuple[Sharding | None, Recipe]":
    """The model in parts, where the recipe asks for it, with what is told of that; and the recipe with a kernel that steps parts."""
    if recipe.run.zero_stage == 0:
        return None, recipe
    from tunesmith.training.ranks.sharding import chosen_sharding, fitting_kernel, parted_notices

    notices += parted_notices(recipe)
    return chosen_sharding(recipe, task, model, loss, ranks), fitting_kernel(recipe)


def divided_notices(recipe: Recipe, model: nn.Module, loss: Loss, ranks: Ranks) -> list[str]:
    """How the rows are divided, and what is not the same as in one process."""
    batch = int(recipe.train.batch_size)
    lines = [f"{ranks.world} ranks divide each micro-batch of {batch} rows: {batch // ranks.world} or one more on each"]
    if batch < ranks.world:
        lines = [
            f"a micro-batch has {batch} rows for {ranks.world} ranks: some have nothing to do; raise train.batch_size"
        ]
    if loss.couples:
        lines.append(
            f"the loss {loss.name} compares the samples of a batch, and each rank has its own part of it: the updates are not those of one "
            "process"
        )
    return lines + told(recipe, model, ranks.world)
