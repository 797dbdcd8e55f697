"""Batch norm when the rows of a batch lie on several ranks: synchronised where it is asked for, told where it is not."""

from torch import nn

from tunesmith.blocks.layers.norm.sync_batch import SyncBatchNorm
from tunesmith.records import Recipe
from tunesmith.records.state import State
from tunesmith.training.ranks.ranks import Ranks

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def batch_norms(model: nn.Module) -> list[str]:
    """The batch norms of a model that do not talk to other ranks, by name."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not isinstance(module, SyncBatchNorm)
    ]


def synchronised(model: nn.Module) -> nn.Module:
    """The model with its batch norms over all ranks: the same parameters, buffers and names. One without running averages stays."""
    for name, module in list(model.named_modules()):
        if type(module) not in PLAIN or module.running_mean is None:
            continue
        made = SyncBatchNorm(
            module.num_features, dims=None, eps=module.eps, momentum=module.momentum, affine=module.affine
        )
        made.weight, made.bias = module.weight, module.bias
        for buffer in ("running_mean", "running_var", "num_batches_tracked"):
            setattr(made, buffer, getattr(module, buffer))
        made.train(module.training)
        if not name:
            return made
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, made)
    return model


def told(recipe: Recipe, model: nn.Module, world: int) -> list[str]:
    """What a user is told of the batch norms of a run on several ranks."""
    left = batch_norms(model)
    if left and recipe.run.sync_batch_norm:
        kind = type(model.get_submodule(left[0])).__name__
        return [
            f"run.sync_batch_norm does not reach {len(left)} norms, {left[0]} first ({kind}): each sees the rows of its own rank"
        ]
    if left:
        return [
            f"{len(left)} batch norms see the rows of their own rank alone, one in {world} of each micro-batch, so the updates are not "
            "those of one process; set run.sync_batch_norm = true for the statistics of all rows"
        ]
    synced = any(isinstance(module, SyncBatchNorm) for module in model.modules())
    if recipe.run.sync_batch_norm and not synced:
        return ["run.sync_batch_norm is set, and the model has no batch norm"]
    return []


def share_buffers(ranks: Ranks, state: State) -> None:
    """Puts the first rank's running averages into all, those that are evaluated too."""
    buffers = {name: held for name, held in state.model.named_buffers() if held.is_floating_point()}
    averaged = getattr(state.average, "weights", {})
    ranks.share([*buffers.values(), *(averaged[name] for name in buffers if name in averaged)])
