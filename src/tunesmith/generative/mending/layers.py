"""Where a remedy may put its hand on somebody else's discriminator: its first layer, and its last one.

Both are found by one pass of real samples, so a net may be built in any way, as long as its layers are modules.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.generative.looking import unchanged
from tunesmith.generative.preparing import made
from tunesmith.records.check import Inapplicable

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Seen = list[tuple[str, nn.Module, Tensor, Tensor]]  # leaves with what went in and out, as they ran


class Changed:
    """A factory of a player with a layer exchanged; the player that was brought stays as it is."""

    def __init__(self, player: Any, change: Callable[[nn.Module], nn.Module], told: str) -> None:
        self.player, self.change = player, change
        self.__qualname__ = f"{getattr(player, '__qualname__', type(player).__name__)}, {told}"

    def __call__(self) -> nn.Module:
        return self.change(made(self.player, "a player"))


def ran(net: nn.Module, samples: Tensor) -> tuple[Seen, Tensor]:
    """Modules without parts, in the order in which samples pass them, and the scores."""
    seen: Seen = []

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, given: Any, out: Any) -> None:
            if given and isinstance(given[0], Tensor) and isinstance(out, Tensor):
                seen.append((name, module, given[0], out))

        return note

    leaves = [(name, one) for name, one in net.named_modules() if not list(one.children())]
    handles = [one.register_forward_hook(hook(name)) for name, one in leaves]
    try:
        with torch.no_grad(), unchanged(net):
            scores: Tensor = net(samples)
    finally:
        for handle in handles:
            handle.remove()
    return seen, scores


def first_layer(net: nn.Module, samples: Tensor) -> str:
    """The name of the layer that is given the samples themselves, whatever their form.

    Raises `Inapplicable` where it is neither linear nor a convolution, or where it gets something else.
    """
    seen, _ = ran(net, samples)
    weighted = next((one for one in seen if list(one[1].parameters(recurse=False))), None)
    if weighted is None:
        raise Inapplicable("its discriminator has no layer with weights that could be widened")
    name, layer, given, _ = weighted
    kind = type(layer).__name__
    if not isinstance(layer, (nn.Linear, *CONVOLUTIONS)) or (layer_groups(layer) > 1):
        raise Inapplicable(
            f"the first layer of the discriminator is a {kind}; a linear or convolutional one can be widened"
        )
    same = given.numel() == samples.numel() and torch.equal(given.flatten(), samples.flatten())
    if not same or (isinstance(layer, CONVOLUTIONS) and given.shape != samples.shape):
        raise Inapplicable(
            f"its first layer, {kind} {name!r}, is given something else than the samples, so pairs cannot be put there"
        )
    if sum(one is layer for _, one, _, _ in seen) > 1:
        raise Inapplicable(f"its first layer, {kind} {name!r}, is used more than once")
    return name


def last_layer(net: nn.Module, samples: Tensor) -> str:
    """The name of the linear layer whose output, a number a row, is the score. Raises `Inapplicable` where there is none."""
    seen, scores = ran(net, samples)
    name, layer, given, out = seen[-1] if seen else ("", net, samples, samples)
    if type(layer) is not nn.Linear or given.ndim != 2 or not torch.equal(out.flatten(), scores.flatten()):
        raise Inapplicable(
            f"the discriminator ends in {type(layer).__name__}; a linear layer over (rows, features) was expected at its end"
        )
    return name


def layer_groups(layer: nn.Module) -> int:
    groups = getattr(layer, "groups", 1)
    return int(groups)


def widen(net: nn.Module, name: str, times: int) -> nn.Module:
    """Gives a layer so many times the inputs, in place, and gives the net back.

    Each further block of weights is the first with its units in another order, so its law is that of whoever drew it; all are
    divided by √times, so that units keep their scale. Raises `Inapplicable` where the weights are made by something else.
    """
    layer = net.get_submodule(name)
    weight = layer.weight
    if not isinstance(weight, nn.Parameter):
        raise Inapplicable(
            f"the weights of {name!r} are made by something else (a parametrization), so they cannot be widened"
        )
    orders = torch.Generator().manual_seed(len(weight))
    blocks = [weight.detach()]
    for _ in range(times - 1):
        blocks.append(weight.detach()[torch.randperm(len(weight), generator=orders).to(weight.device)])
    layer.weight = nn.Parameter(torch.cat(blocks, dim=1) / times**0.5, requires_grad=weight.requires_grad)
    size = "in_features" if isinstance(layer, nn.Linear) else "in_channels"
    setattr(layer, size, times * int(getattr(layer, size)))
    return net


def replaced(net: nn.Module, name: str, new: Callable[[nn.Linear], nn.Module]) -> nn.Module:
    """Puts what `new` makes of a linear layer in its place; gives the net, which is another where the layer was all of it."""
    layer = net.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    if not name:
        return new(layer)
    parent, _, leaf = name.rpartition(".")
    setattr(net.get_submodule(parent), leaf, new(layer))
    return net


def described(layer: nn.Module) -> str:
    """A layer by its sizes, as Python."""
    sizes = ("in_features", "out_features") if isinstance(layer, nn.Linear) else ("in_channels", "out_channels")
    return f"nn.{type(layer).__name__}({', '.join(str(getattr(layer, one)) for one in sizes)}, …)"
