"""A model as the watch sees it: inside its wrappers, layer by layer, with what its optimizers hold of it."""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LAYERS = 64  # by which weights are told apart; a deeper net is told by its blocks
NAMES = 50  # names in a list of facts
PARAMETRISED = ".parametrizations."
WRAPPERS = ("FullyShardedDataParallel", "_FabricModule")  # by name: they need not be imported


def inside(model: nn.Module) -> nn.Module:
    """The model without compiler and parallel wrappers."""
    while (inner := _inner(model)) is not None:
        model = inner
    return model


def entry(model: nn.Module) -> nn.Module:
    """The module on which hooks see the training's own calls: the compiled one, else the innermost."""
    while not is_compiled(model) and (inner := _inner(model)) is not None:
        model = inner
    return model


def is_compiled(module: nn.Module) -> bool:
    """Hooks below do not run, or break the compiled graph."""
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None


def _inner(model: nn.Module) -> nn.Module | None:
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel) or type(model).__name__ in WRAPPERS:
        return model.module  # type: ignore[return-value]
    held = getattr(model, "_orig_mod", None)
    return held if isinstance(held, nn.Module) else None


def unwrapped(optimizer: Any) -> Any:
    """The optimizer of torch inside a wrapper that has it as `optimizer`."""
    while not isinstance(optimizer, torch.optim.Optimizer) or type(optimizer).__name__ == "AcceleratedOptimizer":
        inner = getattr(optimizer, "optimizer", None)
        if inner is None or inner is optimizer:
            return optimizer
        optimizer = inner
    return optimizer


def held_by(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The parameters of all groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@dataclass(slots=True)
class Layout:
    """The trainable parameters of one optimizer that have a shape, and the layer of each. Nothing is kept alive."""

    parameters: list["weakref.ref[Tensor]"]
    layers: list[int]  # of each parameter
    names: list[str]  # of the layers
    signature: tuple[int, ...]

    def live(self) -> list[Tensor] | None:
        """The parameters; None once one of them is gone."""
        found = [reference() for reference in self.parameters]
        return None if any(one is None for one in found) else found  # type: ignore[return-value]


def signature_of(optimizer: torch.optim.Optimizer) -> tuple[int, ...]:
    """Changes when groups are added, or parts frozen and thawed."""
    held = held_by(optimizer)
    return (len(optimizer.param_groups), len(held), sum(one.requires_grad for one in held), id(held[0]) if held else 0)


def layout_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> Layout:
    """Parameters by layer; those that are no part of the model stand under "(elsewhere)"."""
    owners = owner_names(model)
    kept = [one for one in held_by(optimizer) if one.requires_grad and not nn.parameter.is_lazy(one) and one.numel()]
    of_each = [owners.get(id(one), "(elsewhere)") for one in kept]
    grouped = blocks(of_each)
    names = list(dict.fromkeys(grouped))
    place = {name: i for i, name in enumerate(names)}
    return Layout([weakref.ref(one) for one in kept], [place[name] for name in grouped], names, signature_of(optimizer))


def owner_names(model: nn.Module) -> dict[int, str]:
    """By id of a parameter the layer it belongs to, the first of several that share it."""
    found: dict[int, str] = {}
    for name, parameter in model.named_parameters():
        head, separator, _ = name.partition(PARAMETRISED)
        found[id(parameter)] = head if separator else name.rpartition(".")[0] or "(model)"
    return found


def blocks(names: Sequence[str], most: int = LAYERS) -> list[str]:
    """Names cut at the deepest dot that leaves at most so many different ones.

    >>> blocks(["a.0.x", "a.0.y", "a.1.x", "b"], 3)
    ['a.0', 'a.0', 'a.1', 'b']
    """
    deepest = max((name.count(".") for name in names), default=0) + 1
    for depth in range(deepest, 0, -1):
        cut = [".".join(name.split(".")[:depth]) for name in names]
        if len(set(cut)) <= most or depth == 1:
            return cut
    return list(names)


def facts_of(model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Any]:
    """What model and optimizers say of themselves."""
    named = dict(model.named_parameters())
    shaped = [one for one in named.values() if not nn.parameter.is_lazy(one)]
    held = {id(one) for optimizer in optimizers for one in held_by(optimizer)}
    own = {id(one) for one in named.values()}
    loose = [name for name, one in named.items() if one.requires_grad and id(one) not in held]
    frozen = [name for name, one in named.items() if not one.requires_grad]
    first = optimizers[0]
    return {
        "optimizer": type(first).__name__.lower(),
        "optimizers": [
            {"name": type(one).__name__, "groups": list(map(_group, one.param_groups))} for one in optimizers
        ],
        "lr": number(first.param_groups[0].get("lr")),
        "parameters": sum(one.numel() for one in shaped),
        "trainable": sum(one.numel() for one in shaped if one.requires_grad),
        "unregistered": [*loose, *hidden(model)][:NAMES],
        "unregistered_parameters": sum(named[name].numel() for name in loose if not nn.parameter.is_lazy(named[name])),
        "frozen": frozen[:NAMES],
        "foreign": sum(id(one) not in own for optimizer in optimizers for one in held_by(optimizer)),
        "device": str(shaped[0].device) if shaped else "cpu",
        "precision": str(shaped[0].dtype).removeprefix("torch.") if shaped else "float32",
    }


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a parameter group that are numbers, and how many tensors it has."""
    told: dict[str, Any] = {"tensors": len(group["params"])}
    for name, value in group.items():
        if name == "params":
            continue
        if isinstance(value, bool | str) or value is None:
            told[name] = value
        elif isinstance(value, tuple | list) and all(isinstance(one, int | float) for one in value):
            told[name] = list(value)
        elif (plain := number(value)) is not None:
            told[name] = plain
    return told


def number(value: Any) -> float | None:
    """A number, also one held in a tensor of one element."""
    if isinstance(value, Tensor):
        return float(value.detach()) if value.numel() == 1 else None
    return float(value) if isinstance(value, int | float) else None


def hidden(model: nn.Module) -> list[str]:
    """Modules and leaf tensors with gradient that hang on the tree without being registered: in plain lists, dicts, attributes."""
    known = {id(one) for one in model.modules()} | {id(one) for one in model.parameters()}
    found = []
    for path, module in model.named_modules():
        for attribute, value in list(vars(module).items()):
            if attribute in ("_parameters", "_modules", "_buffers") or attribute.startswith(("_forward", "_backward")):
                continue
            for key, one in _members(attribute, value):
                trains = (
                    any(parameter.requires_grad for parameter in one.parameters())
                    if isinstance(one, nn.Module)
                    else isinstance(one, Tensor) and one.requires_grad and one.is_leaf
                )
                if trains and id(one) not in known:
                    found.append(f"{path}.{key}" if path else key)
    return found


def _members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, nn.Module | Tensor):
        yield name, value
    elif isinstance(value, list | tuple):
        yield from ((f"{name}[{i}]", one) for i, one in enumerate(value))
    elif isinstance(value, dict):
        yield from ((f"{name}[{key!r}]", one) for key, one in value.items())


def layers_table(model: nn.Module, decayed: Mapping[int, float]) -> list[dict[str, Any]]:
    """The layers that hold parameters, as a run's `model.json` has them. `decayed`: weight decay by id of a parameter."""
    rows = []
    for name, module in model.named_modules():
        own = [one for one in module.parameters(recurse=False) if not nn.parameter.is_lazy(one)]
        if not own:
            continue
        largest = max(own, key=lambda one: one.numel())
        rows.append(
            {
                "name": name or "(model)",
                "kind": type(module).__name__,
                "shape": list(largest.shape),
                "parameters": sum(one.numel() for one in own),
                "init_std": None,
                "decay": decayed.get(id(largest)),
            }
        )
    return rows
