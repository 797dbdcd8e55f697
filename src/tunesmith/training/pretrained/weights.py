"""Weights from elsewhere: a file of a state dict, a run folder, the folder of a language model, or what timm has in its cache.

Nothing is downloaded.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from tunesmith.blocks import models
from tunesmith.blocks.models import stored
from tunesmith.records import CheckpointError, ModelError, RecipeError, did_you_mean
from tunesmith.records.sections import LoraTable
from tunesmith.runs import Run
from tunesmith.training.adapters import merged_weights
from tunesmith.training.adapters.inserting import scale_of
from tunesmith.training.checkpoint import kept_weights

CACHED = "cached"
PICKLED = (".pt", ".pth", ".bin", ".ckpt")
ENDINGS = (".safetensors", *PICKLED)
INSIDE = ("state_dict", "model_state_dict", "model", "weights")  # keys under which trainers store a state dict

Weights = dict[str, Tensor]


def weights_of(place: str, net: str = "") -> Weights:
    """The tensors by name that `model.pretrained` means, on the CPU. `net` is the recipe's name of the net, for "cached".

    A pickled file is read with `weights_only=True`: nothing in it is executed. Raises `RecipeError` for a place that is neither file nor
    run folder, `CheckpointError` for one that cannot be read, `ModelError` for a file without weights.
    """
    file = models.cached_file(net) if place == CACHED else Path(place).expanduser()
    if file.is_dir():
        return stored.weights(stored.describe(file)) if stored.is_stored(file) else of_run(file)
    if not file.is_file():
        beside = [one.name for one in file.parent.iterdir()] if file.parent.is_dir() else []
        raise RecipeError(
            f"model.pretrained = {place!r}: there is no such file or run folder{did_you_mean(file.name, beside)}; give a file of weights "
            f"({', '.join(ENDINGS)}), a run folder, the folder of a language model, or {CACHED!r} with a net of timm"
        )
    if file.suffix not in ENDINGS:
        raise RecipeError(
            f"model.pretrained = {place!r}: weights are read from {', '.join(ENDINGS)}, this ends in {file.suffix or 'nothing'!r}"
        )
    return _tensors(file)


def of_run(folder: Path) -> Weights:
    """The best weights of a run, or its last; an adapter is added to those that it stands beside."""
    run = Run(folder)
    kept = kept_weights(run.folder)
    lora = run.recipe.model.lora
    return merged_weights(kept, scale_of(LoraTable.model_validate(lora))) if lora else kept


def _tensors(file: Path) -> Weights:
    read: Callable[[], Any] = (
        (lambda: load_file(file))
        if file.suffix == ".safetensors"
        else (lambda: torch.load(file, map_location="cpu", weights_only=True))
    )
    try:
        found = read()
    except Exception as error:  # safetensors, pickle and zip each raise their own
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(
            f"model.pretrained: {file} cannot be read as weights ({reason}); store a state dict: torch.save(net.state_dict(), file)"
        ) from error
    held = state_dict_in(found)
    if not held:
        raise ModelError(
            f"model.pretrained: {file} holds a {type(found).__name__} without tensors by name; store net.state_dict()"
        )
    return held


def state_dict_in(found: Any) -> Weights:
    """The tensors by name in what a file held: a state dict, or one under a key that trainers use; empty where there is none.

    >>> list(state_dict_in({"epoch": 3, "state_dict": {"head.bias": torch.zeros(2)}}))
    ['head.bias']
    """
    if not isinstance(found, Mapping):
        return {}
    for key in INSIDE:
        if isinstance(found.get(key), Mapping):
            return state_dict_in(found[key])
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
