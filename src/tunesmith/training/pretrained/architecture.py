"""The shape of a net whose weights come from a run: what the recipe leaves open is as it was there, so that they fit."""

from pathlib import Path

from tunesmith.blocks import models
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
)


def run_of(recipe: Recipe) -> Run | None:
    """The run that `model.pretrained` names; None for anything else."""
    place = recipe.model.pretrained
    if place is None or place == CACHED or not Path(place).expanduser().is_dir():
        return None
    return Run(Path(place).expanduser())


def shaped_as_there(task: Task, recipe: Recipe) -> Recipe:
    """The recipe with name and shape of the built-in net of the run it begins from, in the fields that are still "auto"."""
    run = run_of(recipe)
    described = None if run is None else run._json("model.json")
    if run is None or described is None or not models.is_built_in(str(described["name"])):
        return recipe
    name = str(described["name"])
    asked = recipe.model.name if task.model in ("auto", None) else task.model
    if asked not in ("auto", name):
        return recipe
    there = run.recipe
    changes = {path: there.get(path) for path in FIELDS if recipe.get(path) == "auto" and there.get(path) != "auto"}
    if recipe.model.name == "auto":
        changes["model.name"] = name
    return revise(recipe, changes, Source("derived", f"the net of {run.folder}")) if changes else recipe
