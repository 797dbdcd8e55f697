"""Built-in nets. Each reads its settings from the recipe and the shape of its inputs from the data's spec.

A file of this folder holds one net and adds two members under its name: its factory to `MODELS`, its default settings
to `DEFAULTS`. Every net takes one tensor where the spec has one kind of input, a dict of tensors where it has several, and
gives (N, outputs), or (N,) for a regression, and for a language model (N, L, outputs); it keeps its last layer as `head`, an
`nn.Linear`. Nets of another library go by a name that begins with the library's (`timm/resnet18`, `transformers/FOLDER`): they are no
members, and have no defaults of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tunesmith.records import Catalog, ModelError, Recipe, Source, revise

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "DEFAULTS",
    "MODELS",
    "Spec",
    "batch_for",
    "build",
    "cached_file",
    "choose",
    "defaults",
    "epochs_for",
    "is_built_in",
    "is_foreign",
    "settle",
    "start",
]

FOREIGN = ("timm/", "transformers/")  # how the names of nets of other libraries begin
PREDICT_TOKENS = ("decoder",)  # the built-in nets for kind "language"

Spec = Mapping[str, Any]  # what each input looks like: numbers, categories, tokens, pictures or x

TYPICAL_ROWS = 10_000  # assumption: stands in where a net is built without its data


class Factory(Protocol):
    """Builds a net; fields of the recipe that are still "auto" are settled by the net's own defaults."""

    def __call__(self, recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module: ...


class Defaults(Protocol):
    """Recipe values that suit such inputs, by path."""

    def __call__(self, spec: Spec, rows: int) -> dict[str, Any]: ...


MODELS: Catalog[Factory] = Catalog("model")
DEFAULTS: Catalog[Defaults] = Catalog("model")
MODELS.load(__path__, __name__)
DEFAULTS.load(__path__, __name__)


def choose(spec: Spec, kind: str = "") -> str:
    """The net that `model.name = "auto"` means for such inputs and this kind of task."""
    if kind == "language":
        return "decoder"
    if "tokens" in spec:
        return "bag"
    return "cnn" if "pictures" in spec else "mlp"


def defaults(name: str, spec: Spec, rows: int) -> dict[str, Any]:
    """Recipe values, by path, that suit the net called `name` on `rows` training rows of such inputs."""
    return DEFAULTS[choose(spec) if name == "auto" else name](spec, rows)


def is_foreign(name: str) -> bool:
    """Whether a name means a net of another library.

    >>> is_foreign("timm/resnet18"), is_foreign("cnn")
    (True, False)
    """
    return name.startswith(FOREIGN)


def is_built_in(name: str) -> bool:
    """Whether a net can be built from its name alone: a member, or one of another library."""
    return name in MODELS or is_foreign(name)


def cached_file(name: str) -> Path:
    """The file of weights that another library has of a net in its cache. Raises `ModelError` where it has none."""
    from tunesmith.blocks.models import from_timm

    return from_timm.cached_file(name)


def batch_for(rows: int, largest: int) -> int:
    """A power of two that gives a small table 32 to 63 updates an epoch, a larger one `largest` rows each.

    >>> [batch_for(rows, 256) for rows in (50, 1000, 20_000)]
    [8, 16, 256]
    """
    return int(min(max(1 << (max(rows, 32) // 32).bit_length() - 1, 8), largest))  # assumption: 8 rows at least


def epochs_for(rows: int, batch: int, *, updates: int, least: int, most: int) -> int:
    """Epochs that make about `updates` optimizer updates.

    >>> [epochs_for(rows, 64, updates=1000, least=4, most=40) for rows in (100, 6400, 10**6)]
    [40, 10, 4]
    """
    return min(max(math.ceil(updates * batch / max(rows, 1)), least), most)


def settle(recipe: Recipe, name: str, spec: Spec, rows: int = TYPICAL_ROWS) -> Recipe:
    """The recipe with the defaults of the net in every field that nobody has set."""
    chosen = choose(spec) if name == "auto" else name
    plain = Recipe()
    found = {
        path: value
        for path, value in defaults(chosen, spec, rows).items()
        if recipe.get(path) == "auto" or (recipe.source(path).kind == "default" and recipe.get(path) == plain.get(path))
    }
    return revise(recipe, found, Source("derived", f"{chosen} on {rows:,} rows")) if found else recipe


def build(name: str, recipe: Recipe, spec: Spec, outputs: int, kind: str) -> nn.Module:
    """The net called `name` ("auto" goes by the inputs), initialised from torch's global generator."""
    if name == "auto":
        name = choose(spec, kind)
    if kind == "language" and name in MODELS and name not in PREDICT_TOKENS:
        raise ModelError(
            f"the {name} does not predict the next token; set model.name = {PREDICT_TOKENS[0]!r}, or bring a model of your own"
        )
    if recipe.model.init == "lsuv":  # its second half needs rows, and is the training's
        recipe = revise(recipe, {"model.init": "orthogonal"})
    if name.startswith(FOREIGN[0]):
        from tunesmith.blocks.models.from_timm import from_timm

        return from_timm(name, recipe, spec, outputs, kind)
    if name.startswith(FOREIGN[1]):
        from tunesmith.blocks.models.from_transformers import from_transformers

        return from_transformers(name, recipe, spec, outputs, kind)
    return MODELS[name](recipe, spec, outputs, kind)


def start(net: nn.Module, rule: str, activation: str) -> None:
    """Fills the weights by the rule; "default" leaves them as torch made them, and reads nothing for it."""
    if rule != "default":
        from tunesmith.blocks import layers

        layers.initialise(net, rule, activation)
