"""A loss that has a state of its own: parameters the optimizer moves, magnitudes of the first batch, parts to be told."""

import copy
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from tunesmith.blocks import losses
from tunesmith.blocks.losses import Loss
from tunesmith.records import Evidence, Finding, ModelError, Recipe, RecipeError, Remedy, Safety, Signal, Task
from tunesmith.records.state import State, Stateful
from tunesmith.training.batch import seen_by
from tunesmith.training.dryrun import Trial

FAR_APART = 100.0  # largest over smallest weighted part at the start (rules of thumb: loss.tasks)


def own_loss(task: Task, recipe: Recipe, device: torch.device) -> Loss:
    """The user's loss on the device; one that learns as a copy, for a task is never altered.

    Where the user's own optimizer factory may hold its parameters, it is taken as it is.
    """
    if recipe.loss.extra:
        raise RecipeError(
            f"loss.extra = {recipe.loss.extra!r} is for a loss of the catalogue, and the task brings its own; set its "
            "arguments where it is made"
        )
    loss = task.loss
    if not isinstance(loss, nn.Module):
        return losses.adopt(loss)  # type: ignore[arg-type]  # the caller has seen that it is callable
    if task.optimizer is None and (_learns(loss) or isinstance(loss, Loss)):
        loss = copy.deepcopy(loss)
    return losses.adopt(loss.to(device))


def extra_of(recipe: Recipe) -> dict[str, Any]:
    """`loss.extra`, without what has a field of its own. Raises `RecipeError` for that."""
    weighed = {"pos_weight"} if recipe.loss.class_weights != "none" else set()
    for name in ("class_weights", "label_smoothing", *weighed):
        if name in recipe.loss.extra:
            field = "class_weights" if name == "pos_weight" else name
            raise RecipeError(f"loss.extra holds {name!r}, which the field loss.{field} decides; set it there alone")
    return dict(recipe.loss.extra)


def stateful(given: Any, loss: Loss) -> Stateful | None:
    """What of a loss a checkpoint must hold; None where nothing changes in training."""
    module = _module(loss)
    if module is None or not (_learns(module) or (isinstance(given, Loss) and module.state_dict())):
        return None
    return module


def joined(optimizer: torch.optim.Optimizer, loss: Loss) -> list[str]:
    """Gives the optimizer the parameters of the loss that it does not hold yet, without weight decay; and says so."""
    module = _module(loss)
    if module is None:
        return []
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    named = [(name, one) for name, one in module.named_parameters() if one.requires_grad and id(one) not in held]
    if not named:
        return []
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ModelError(
            f"the loss {loss.name} has parameters to learn and LBFGS moves one group only; choose another optimizer"
        )
    decay = {"weight_decay": 0.0} if "weight_decay" in optimizer.defaults else {}
    optimizer.add_param_group({"params": [one for _, one in named], "names": [name for name, _ in named], **decay})
    shown = ", ".join(name for name, _ in named[:3])
    return [f"the loss {loss.name} has parameters of its own, which the optimizer moves without weight decay: {shown}"]


def parts_probes(loss: Loss, every: int) -> list["Parts"]:
    """A probe where the loss has parts."""
    return [Parts(loss, every)] if isinstance(getattr(loss, "parts", None), dict) else []


class Parts:
    """`loss.part`: each loss of several as it is; `loss.weighted`: what it gives to the sum."""

    def __init__(self, loss: Any, every: int) -> None:
        self.loss = loss
        self.every = every

    def __call__(self, state: State) -> Iterator[Signal]:
        for name, values in (("loss.part", self.loss.parts), ("loss.weighted", self.loss.weighted)):
            for part, value in values.items():
                yield Signal(name=name, value=value, step=state.step, where=part)


def unbalanced(model: nn.Module, loss: Loss, trial: Trial) -> list[Finding]:
    """Parts of a loss that are far apart in size before the first update."""
    if not parts_probes(loss, 1):
        return []
    from tunesmith.training.evaluate import judging

    with judging(model):
        loss(seen_by(loss, model(trial.batch.inputs)), trial.batch.target, trial.batch.weight)
    sizes = {name: abs(value) for name, value in loss.weighted.items() if value}  # type: ignore[attr-defined]
    if len(sizes) < 2 or not all(map(math.isfinite, sizes.values())):
        return []
    largest, smallest = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    ratio = sizes[largest] / sizes[smallest]
    if ratio <= FAR_APART:
        return []
    values = {"largest": largest, "most": sizes[largest], "smallest": smallest, "least": sizes[smallest]}
    return [
        Finding(
            fault="loss.unbalanced_tasks",
            severity="warning",
            message="loss.unbalanced_tasks",
            values=values,
            evidence=(Evidence(name="ratio_of_parts", value=ratio, threshold=FAR_APART),),
            remedies=(Remedy(title="remedy.balance_losses", safety=Safety.ADVICE),),
            status="suspected",
            subject={"losses": [largest, smallest]},
        )
    ]


def _module(loss: Loss) -> nn.Module | None:
    if isinstance(loss, nn.Module):
        return loss
    source = getattr(loss, "source", None)
    return source if isinstance(source, nn.Module) else None


def _learns(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
