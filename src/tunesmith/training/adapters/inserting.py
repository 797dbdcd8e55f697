"""LoRA put into a net: which layers get it, and what trains afterwards."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from tunesmith.blocks import optim
from tunesmith.blocks.layers.lora import LoraLinear
from tunesmith.blocks.optim.patterns import EXPRESSION, matching
from tunesmith.records import MissingExtra, ModelError, RecipeError, did_you_mean
from tunesmith.records.sections import LoraTable

ALL = "all"
MARK = "lora_"  # in the names of an adapter's parameters
BASE = ".base_layer."  # in the names of what it stands beside
FIELD = "model.lora.targets"


@dataclass(frozen=True, slots=True)
class Inserted:
    """Layers with an adapter, and the names of the parameters that train: adapters, and what is trained as a whole."""

    layers: tuple[str, ...]
    trained: tuple[str, ...]


def insert(
    model: nn.Module, lora: LoraTable, *, whole: Collection[str] = (), kind: str = "", seed: int | None = None
) -> Inserted:
    """Adapters beside the target layers, in place; everything else is frozen but what is trained as a `whole` and, by `lora.head`, the head.

    `kind` is that of the task: the head of a language model is a table of tokens, and stays unless `head = true`. `seed` draws the first
    matrices; None draws them from torch's global generator. Raises `RecipeError` for targets that are no linear layers, `MissingExtra` for
    the engine peft without it.
    """
    if has_adapter(model):
        raise ModelError("the net has an adapter already; merge it first, or begin from the net without one")
    targets = targets_of(model, lora.targets)
    head = optim.last_layer(model) if lora.head is True or (lora.head == "auto" and kind != "language") else set()
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        (_by_peft if lora.engine == "peft" else _by_ourselves)(model, targets, lora)
    kept = {*head, *(with_base(name, targets) for name in whole)}
    names = dict(model.named_parameters())
    trained = tuple(name for name in names if MARK in name or name in kept)
    for name, parameter in names.items():
        parameter.requires_grad_(name in trained)
    return Inserted(tuple(targets), trained)


def has_adapter(model: nn.Module) -> bool:
    """Whether adapters stand in a net, ours or PEFT's."""
    return any(f".{MARK}" in f".{name}" for name, _ in model.named_parameters())


def scale_of(lora: LoraTable) -> float:
    """How much the product B A counts."""
    return alpha_of(lora) / lora.rank


def alpha_of(lora: LoraTable) -> float:
    """The α of the paper; "auto" is twice the rank, so that it need not move with it (assumption: usual in practice)."""
    return 2.0 * lora.rank if lora.alpha == "auto" else float(lora.alpha)


def targets_of(model: nn.Module, wanted: str | Sequence[str]) -> list[str]:
    """The names of the linear layers meant. All but the head: Dettmers et al., QLoRA, arXiv:2305.14314, section 4.

    A word means the layers whose name ends in it, as in PEFT. Raises `RecipeError` where nothing is meant.
    """
    linear = [name for name, layer in model.named_modules() if type(layer) is nn.Linear and name]
    head = {name.rpartition(".")[0] for name in optim.last_layer(model)} | _tied(model)
    if wanted == ALL:
        found = [name for name in linear if name not in head]
        if not found:
            raise RecipeError(
                f"{FIELD}: the net {type(model).__name__} has no linear layer beside its head; leave model.lora out"
            )
        return found
    chosen = {name for pattern in wanted for name in _meant(pattern, linear)}
    return [name for name in linear if name in chosen]


def _meant(pattern: str, linear: Sequence[str]) -> list[str]:
    if pattern.startswith(EXPRESSION):
        return matching(pattern, linear, FIELD)
    found = [name for name in linear if name == pattern or name.endswith(f".{pattern}") or fnmatchcase(name, pattern)]
    if not found:
        raise RecipeError(
            f"{FIELD}: {pattern!r} is no linear layer of this net{did_you_mean(pattern, _endings(linear))}"
        )
    return found


def _endings(linear: Sequence[str]) -> list[str]:
    return sorted({name.rpartition(".")[2] for name in linear} | set(linear))


def _tied(model: nn.Module) -> set[str]:
    """Linear layers whose weight is a table of tokens."""
    tables = {id(layer.weight) for layer in model.modules() if isinstance(layer, nn.Embedding)}
    return {name for name, layer in model.named_modules() if type(layer) is nn.Linear and id(layer.weight) in tables}


def with_base(name: str, targets: Collection[str]) -> str:
    """The name of a parameter once its layer has an adapter."""
    layer, _, own = name.rpartition(".")
    return f"{layer}{BASE}{own}" if layer in targets else name


def _by_ourselves(model: nn.Module, targets: Sequence[str], lora: LoraTable) -> None:
    for name in targets:
        base = model.get_submodule(name)
        assert isinstance(base, nn.Linear)
        model.set_submodule(name, LoraLinear(base, lora.rank, scale_of(lora), lora.dropout))


def _by_peft(model: nn.Module, targets: Sequence[str], lora: LoraTable) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingExtra(
            f"model.lora.engine = 'peft' needs peft ({error}); pip install 'tunesmith[lora]', or leave the engine out for our own"
        ) from error
    about: dict[str, Any] = {"r": lora.rank, "lora_alpha": alpha_of(lora), "lora_dropout": lora.dropout}
    inject_adapter_in_model(LoraConfig(target_modules=list(targets), **about), model)
