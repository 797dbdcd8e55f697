"""Weights, gradients and optimizer states in parts, one on each rank: torch's FSDP2 (`fully_shard`).

Rajbhandari et al. (ZeRO, arXiv:1910.02054, section 5): stage 2 divides optimizer states and gradients, stage 3 the weights too.
FSDP2 keeps the weights of a layer whole from forward to backward (stage 2), or frees them in between (stage 3).
A snapshot holds whole tensors, so checkpoints are those of one process.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from tunesmith.blocks.losses import Loss
from tunesmith.records import ModelError, Recipe, RecipeError, Source, Task, revise
from tunesmith.records.state import Snapshot, State
from tunesmith.training.ranks.ranks import Ranks

BY_ENTRY = ("adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "nadam", "radam", "rmsprop", "sgd")
# optimizers that change each number by its own history alone, so that parts are stepped as the whole


class Sharding:
    """A model in parts, and the whole one that stands in for it at the end."""

    def __init__(self, model: nn.Module, ranks: Ranks, stage: int) -> None:
        self.whole_model = copy.deepcopy(model)
        self.ranks = ranks
        mesh = init_device_mesh(ranks.device.type, (ranks.world,))
        parts = [part for part in model.children() if any(True for _ in part.parameters())]
        for part in parts if len(parts) > 1 else ():
            if not isinstance(part, nn.ModuleList | nn.ModuleDict):  # these are never called
                fully_shard(part, mesh=mesh, reshard_after_forward=stage == 3)
        fully_shard(model, mesh=mesh, reshard_after_forward=stage == 3)
        for module in model.modules():
            if isinstance(module, FSDPModule):
                module.set_gradient_divide_factor(1.0)  # sums: the loop divides once
                module.set_force_sum_reduction_for_comms(True)  # gloo knows no other

    def whole(self, tree: Any) -> Any:
        """A nested state with whole tensors in the place of parts. All ranks ask."""
        if isinstance(tree, DTensor):
            whole: Tensor = tree.full_tensor()
            return whole.detach()
        if isinstance(tree, dict):
            return {key: self.whole(value) for key, value in tree.items()}
        if isinstance(tree, (list, tuple)):
            return type(tree)(self.whole(value) for value in tree)
        return tree

    def parts(self, snapshot: Snapshot, state: State) -> Snapshot:
        """A snapshot with this rank's parts in the place of whole tensors."""
        named = dict(state.model.named_parameters())
        model = {name: _like(value, named.get(name)) for name, value in snapshot["model"].items()}
        average = snapshot["average"]
        if average is not None:
            weights = {name: _like(value, named.get(name)) for name, value in average["weights"].items()}
            average = {**average, "weights": weights}
        held = snapshot["optimizer"]
        live = [weight for group in state.optimizer.param_groups for weight in group["params"]]
        order = [index for group in held["param_groups"] for index in group["params"]]
        of = dict(zip(order, live, strict=True))
        moments = {
            index: {key: _like(value, of[index]) for key, value in one.items()} for index, one in held["state"].items()
        }
        return {**snapshot, "model": model, "average": average, "optimizer": {**held, "state": moments}}

    def norm(self, own: Tensor) -> Tensor:
        """The norm of the whole gradient from those of the parts."""
        square = own.double().square()
        self.ranks.add([square])
        return square.sqrt().to(own.dtype)


def _like(value: Any, weight: Tensor | None) -> Any:
    if isinstance(weight, DTensor) and isinstance(value, Tensor) and value.shape == weight.shape:
        return distribute_tensor(value.to(weight.device), weight.device_mesh, weight.placements)
    return value


def fitting_kernel(recipe: Recipe) -> Recipe:
    """The recipe with a kernel that steps parts, where it leaves the choice open: torch has no fused one for them."""
    if recipe.run.zero_stage == 0 or recipe.optim.implementation not in ("auto", "measure"):
        return recipe
    return revise(
        recipe, {"optim.implementation": "foreach"}, Source("derived", "the fused kernels do not step parts of tensors")
    )


def chosen_sharding(recipe: Recipe, task: Task, model: nn.Module, loss: Loss, ranks: Ranks | None) -> Sharding:
    """The model in parts, as the recipe asks. Raises `RecipeError` or `ModelError` for what parts cannot do."""
    stage = recipe.run.zero_stage
    if ranks is None:
        raise RecipeError(
            f"run.zero_stage = {stage} divides the model over several ranks, and this process is alone; start more, with tunesmith fit … "
            "--nproc 2 or torchrun, or leave it at 0"
        )
    for path, why in _unfit(recipe):
        raise RecipeError(
            f"{path} = {recipe.get(path)!r} with run.zero_stage = {stage}: {why}; leave one of the two out"
        )
    if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
        raise RecipeError(
            f"run.zero_stage = {stage} needs torch 2.8 or newer, this is {torch.__version__}; update torch, or leave it at 0"
        )
    if task.optimizer is None and recipe.optim.name not in BY_ENTRY:
        raise RecipeError(
            f"optim.name = {recipe.optim.name!r} with run.zero_stage = {stage}: it does not step each number by itself, and a rank holds a "
            f"part of a tensor; take one of {', '.join(BY_ENTRY)}, or run.zero_stage = 0"
        )
    if loss.couples or any(True for _ in getattr(loss, "parameters", tuple)()):
        raise ModelError(
            f"the loss {loss.name} with run.zero_stage = {stage}: it has weights of its own or compares samples; use stage 0"
        )
    return Sharding(model, ranks, stage)


def _unfit(recipe: Recipe) -> list[tuple[str, str]]:
    """Fields that look at whole tensors, or at one rank's."""
    optim, train, model = recipe.optim, recipe.train, recipe.model
    found = [
        (
            "optim.clip_adaptive",
            optim.clip_adaptive is not None,
            "it goes by rows of a weight, which may lie on two ranks",
        ),
        ("optim.clip_update", optim.clip_update is not None, "it goes by whole tensors"),
        ("optim.l1", bool(optim.l1), "it shrinks whole tensors"),
        ("optim.implementation", optim.implementation == "fused", "torch steps parts with 'foreach' or 'forloop'"),
        ("train.precision", train.precision == "fp16", "the loss scaler looks at whole gradients; take 'bf16'"),
        ("model.unfreeze_every", model.unfreeze_every is not None, "layers join the optimizer whole"),
        ("run.sync_batch_norm", recipe.run.sync_batch_norm, "parts of one row would have to wait for each other twice"),
    ]
    return [(path, why) for path, there, why in found if there]


def parted_notices(recipe: Recipe) -> list[str]:
    """What a user is told of a training in parts."""
    held = "gradients and optimizer states" if recipe.run.zero_stage == 2 else "weights, gradients and optimizer states"
    lines = [f"{held} lie in parts on the ranks; checkpoints hold whole tensors, and go on with any number of ranks"]
    if recipe.train.recover != "off":
        lines.append(
            "recovery (train.recover) and the watch look at whole tensors: with run.zero_stage they are off, and a NaN ends the run"
        )
    return lines
