"""From "auto" to values: what a run needs, derived from the data and the model, each with the reason it was chosen."""

import math
from collections.abc import Mapping
from typing import Any

from tunesmith.blocks.metrics import BY_KIND, METRICS
from tunesmith.blocks.optim import OPTIMIZERS
from tunesmith.blocks.schedules import SCHEDULES
from tunesmith.records import DeviceError, Recipe, RecipeError, Source, did_you_mean, revise

ENDS_AT_FLOOR = (
    "cosine",
    "linear",
    "one_cycle",
    "polynomial",
    "wsd",
)  # schedules whose gain comes with their last updates


def resolve(recipe: Recipe, *, kind: str, rows: int, defaults: Mapping[str, Any], origin: str, has_val: bool) -> Recipe:
    """The recipe with every "auto" of model, optim, schedule, train and eval replaced.

    `defaults` are those of the model (built-in or `own_model_defaults`), `origin` names them. Raises `RecipeError` for values that
    fit no member or each other, `DeviceError` for a device that is not there.
    """
    changes: dict[str, Any] = {}
    sources: dict[str, Source] = {}

    def settle(path: str, value: Any, because: str) -> None:
        if path not in changes and recipe.get(path) == "auto":
            changes[path], sources[path] = value, Source("derived", because)

    untouched = Recipe()
    for path, value in defaults.items():
        free = recipe.source(path).kind == "default" and recipe.get(path) == untouched.get(path)
        if recipe.get(path) == "auto" or free:
            changes[path], sources[path] = value, Source("derived", origin)
    settle("optim.name", "adamw", "first choice for any network")
    name = changes.get("optim.name", recipe.optim.name)
    settle("optim.lr", 0.1 if name == "sgd" else 1e-3, f"usual start of {name}")
    settle("optim.weight_decay", 0.01 if name == "adamw" else 0.0, f"usual start of {name}")
    settle("schedule.name", "cosine", "first choice: nothing to tune")
    settle("train.batch_size", 32 if rows <= 10_000 else 128, f"{rows} training rows")
    settle("train.epochs", 20, "first choice")
    schedule = changes.get("schedule.name", recipe.schedule.name)
    ends = schedule in ENDS_AT_FLOOR
    settle(
        "train.patience",
        None if ends or not has_val else 10,
        f"the {schedule} schedule " + ("must run to its end" if ends else "has no end of its own"),
    )
    settle("train.device", device_name(recipe.train.device), "the first accelerator, else the processor")
    settle("eval.metric", BY_KIND[kind], f"usual for a {kind} task")
    batch = changes.get("train.batch_size", recipe.train.batch_size)
    settle("eval.batch_size", max(int(batch), 512), "max(training batch, 512)")
    if isinstance(batch, int) and batch > rows > 0 and recipe.data.sampler in ("shuffle", "sequential"):
        changes["train.batch_size"] = rows
        sources["train.batch_size"] = Source("derived", f"{batch} is more than the {rows} training rows")
    resolved = revise(recipe, changes, sources)
    _check_names(resolved)
    return resolved


def _check_names(recipe: Recipe) -> None:
    for path, known in (("optim.name", OPTIMIZERS), ("schedule.name", SCHEDULES)):
        if recipe.get(path) not in known:
            raise RecipeError(
                f"{path} = {recipe.get(path)!r} ({recipe.source(path)}): there is none of that name{did_you_mean(recipe.get(path), known)}"
            )
    metric = recipe.eval.metric
    if metric != "loss" and not metric.startswith("f1:") and metric not in METRICS:
        raise RecipeError(
            f"eval.metric = {metric!r} ({recipe.source('eval.metric')}): there is none of that name{did_you_mean(metric, [*METRICS, 'loss'])}"
        )


def own_model_defaults(rows: int) -> dict[str, Any]:
    """Start values for a network that is the user's own: small-net start of Adam-like optimizers on scaled data."""
    return {
        "optim.lr": 1e-3,
        "train.batch_size": 32 if rows <= 10_000 else 128,
        "train.epochs": 20,
        "schedule.name": "cosine",
    }


def device_name(asked: str) -> str:
    """The device to train on. Raises `DeviceError` where the one asked for is not there."""
    import torch

    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    there = [
        "cpu",
        *(f"cuda:{number}" for number in range(torch.cuda.device_count())),
        *(["mps"] if torch.backends.mps.is_available() else []),
    ]
    known = [*there, "cuda"] if torch.cuda.is_available() else there
    if asked not in known:
        raise DeviceError(
            f"train.device = {asked!r}, but this machine has {', '.join(there)}; choose one of these, or 'auto'"
        )
    return asked


def horizon(recipe: Recipe, updates_per_epoch: int) -> tuple[int, int]:
    """Updates and epochs of the whole run: train.steps where it is set, else epochs × updates an epoch."""
    if recipe.train.steps is not None:
        return recipe.train.steps, math.ceil(recipe.train.steps / updates_per_epoch)
    epochs = int(recipe.train.epochs)
    return epochs * updates_per_epoch, epochs
