"""One layer of a copy exchanged for another: a tool of the surgeries."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from tunesmith.doctor.preflight import Twin


def exchange(twin: Twin, name: str, new: nn.Module) -> None:
    """Puts `new` in the place of the module called `name`; its weights take the place of the old ones in the optimizer."""
    old = twin.model.get_submodule(name)
    parent, _, leaf = name.rpartition(".")
    setattr(twin.model.get_submodule(parent), leaf, new)
    gone = {id(each) for each in old.parameters()} - {id(each) for each in twin.model.parameters()}
    known = {id(each) for group in twin.optimizer.param_groups for each in group["params"]}
    fresh = [each for each in new.parameters() if id(each) not in known]
    groups = twin.optimizer.param_groups
    home = next((group for group in groups if any(id(each) in gone for each in group["params"])), groups[0])
    home["params"] = [each for each in home["params"] if id(each) not in gone] + fresh
    for each in old.parameters():
        if id(each) in gone:
            twin.optimizer.state.pop(each, None)
    twin.names = {id(each): each_name for each_name, each in twin.model.named_parameters(remove_duplicate=False)}


def leaves(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of everything without parts of its own, in the order of the module tree."""
    yield from ((name, one) for name, one in model.named_modules() if name and not list(one.children()))


def head(model: nn.Module) -> tuple[str, nn.Linear] | None:
    """Name and module of the last linear layer; None where the last layer with weights is another."""
    weighted = [(name, one) for name, one in leaves(model) if list(one.parameters(recurse=False))]
    if not weighted or type(weighted[-1][1]) is not nn.Linear:
        return None
    return weighted[-1]  # type: ignore[return-value]


def is_steppable(optimizer: Any) -> bool:
    """Whether the optimizer is one of torch, so that its weights can be exchanged."""
    return isinstance(optimizer, torch.optim.Optimizer)
