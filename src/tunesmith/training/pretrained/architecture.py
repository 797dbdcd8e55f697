"""The shape of a net whose weights come from a run or a language model: what the recipe leaves open is as it was there, so that they fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunesmith.blocks import models
from tunesmith.blocks.models import stored
from tunesmith.records import Recipe, Source, Task, revise
from tunesmith.runs import Run
from tunesmith.training.pretrained.weights import CACHED

FIELDS = (
    "model.width",
    "model.depth",
    "model.residual",
    "model.activation",
    "model.norm",
    "model.pooling",
    "model.embedding_dim",
    "model.heads",
    "model.kv_heads",
    "model.feed_forward",
    "model.gated",
    "model.positions",
    "model.rotary_base",
    "model.context",
    "model.norm_eps",
    "model.tied",
)


def run_of(recipe: Recipe) -> Run | None:
    """The run that `model.pretrained` names; None for anything else."""
    folder = _folder(recipe)
    return None if folder is None or stored.is_stored(folder) else Run(folder)


def stored_in(recipe: Recipe) -> stored.Stored | None:
    """The language model in the folder that `model.pretrained` names; None for anything else."""
    folder = _folder(recipe)
    return None if folder is None or not stored.is_stored(folder) else stored.describe(folder)


def _folder(recipe: Recipe) -> Path | None:
    place = recipe.model.pretrained
    if place is None or place == CACHED or not Path(place).expanduser().is_dir():
        return None
    return Path(place).expanduser()


def shaped_as_there(task: Task, recipe: Recipe) -> Recipe:
    """The recipe with name and shape of the built-in net that it begins from, in the fields that are still "auto"."""
    described_there = stored_in(recipe)
    if described_there is not None:
        return _shaped(
            task, recipe, described_there.name, described_there.settings, f"the net in {described_there.folder}"
        )
    run = run_of(recipe)
    described = None if run is None else run._json("model.json")
    if run is None or described is None or not models.is_built_in(str(described["name"])):
        return recipe
    there = run.recipe
    return _shaped(
        task, recipe, str(described["name"]), {path: there.get(path) for path in FIELDS}, f"the net of {run.folder}"
    )


def _shaped(task: Task, recipe: Recipe, name: str, there: Mapping[str, Any], origin: str) -> Recipe:
    asked = recipe.model.name if task.model in ("auto", None) else task.model
    if asked not in ("auto", name):
        return recipe
    changes = {path: value for path, value in there.items() if recipe.get(path) == "auto" and value != "auto"}
    if recipe.model.name == "auto":
        changes["model.name"] = name
    return revise(recipe, changes, Source("derived", origin)) if changes else recipe
