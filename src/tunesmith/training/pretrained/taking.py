"""Taking weights into a net: what fits by name and shape, and what the others are called.

Names may lie below a part (`backbone.conv.weight` for `conv.weight`), and come from a wrapped net (`module.conv.weight`): the one beginning
that makes most of them fit is added or taken off. The first convolution may see other channels than the one the weights are of.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from tunesmith.records import ModelError
from tunesmith.training.pretrained.weights import Weights

SHOWN = 4  # names of a list
RGB = 3


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it, by the names of parameters in the net: `missing` and `reshaped` are as fresh as they were drawn."""

    taken: tuple[str, ...]
    missing: tuple[str, ...]
    reshaped: tuple[str, ...]  # "head.weight (10, 64) for (3, 64)"
    superfluous: tuple[str, ...]  # names of the source
    folded: str = ""  # what was done to the first convolution
    fresh: tuple[str, ...] = ()
    numbers: tuple[int, int] = (0, 0)  # taken, of all

    def lines(self, place: str) -> list[str]:
        """What a user is told, a sentence each."""
        part, whole = self.numbers
        told = [
            f"weights from {place}: {len(self.taken)} of {len(self.taken) + len(self.fresh)} parameters are taken, {part / max(whole, 1):.1%} "
            "of the numbers"
        ]
        told += [self.folded] if self.folded else []
        for names, said in (
            (self.reshaped, "of another shape there, and begin fresh"),
            (self.missing, "missing there, and begin fresh"),
            (self.superfluous, "there alone, and not used"),
        ):
            told += [f"{len(names)} {said}: {few(names)}"] if names else []
        return told


def take(model: nn.Module, weights: Weights, place: str, kept: Collection[str] = ()) -> Taken:
    """Copies into the net what fits by name and shape, buffers of norms too; `kept` stay as they were drawn.

    Raises `ModelError` where no parameter is taken, and where the net has lazy layers.
    """
    parameters = dict(model.named_parameters())
    if lazy := [name for name, one in parameters.items() if is_lazy(one)]:
        raise ModelError(f"the shape of {lazy[0]} is not known yet; call the net on one batch before giving it weights")
    held = {name: one for name, one in model.state_dict(keep_vars=True).items() if isinstance(one, Tensor)}
    found = renamed(weights, held)
    first = first_convolution(model)
    folded = ""
    if first in held and first in found and channels_alone_differ(found[first], held[first]):
        there, here = found[first].shape[1], held[first].shape[1]
        found = found | {first: with_channels(found[first], here)}
        folded = f"the first convolution saw {there} channels and sees {here} here: {first} is {_said(there, here)}"
    fitting = {name for name, one in found.items() if name in held and one.shape == held[name].shape} - set(kept)
    taken = tuple(name for name in parameters if name in fitting)
    fresh = tuple(name for name in parameters if name not in fitting)
    if not taken:
        raise ModelError(
            f"model.pretrained: none of the {len(weights)} weights of {place} ({few(sorted(weights))}) fits a parameter of this net "
            f"({few(sorted(parameters))}) by name and shape; build the same net, or name another source"
        )
    with torch.no_grad():
        for name in fitting:
            held[name].copy_(found[name])
    return Taken(
        taken=taken,
        missing=tuple(name for name in fresh if name not in found or name in kept),
        reshaped=tuple(
            f"{name} {tuple(found[name].shape)} for {tuple(held[name].shape)}"
            for name in fresh
            if name in found and name not in kept
        ),
        superfluous=tuple(name for name in found if name not in held),
        folded=folded if first in fitting else "",
        fresh=fresh,
        numbers=(sum(parameters[name].numel() for name in taken), sum(one.numel() for one in parameters.values())),
    )


def renamed(weights: Weights, held: Weights) -> Weights:
    """The weights under the beginning of their names that makes most of them fit; as they are where that is as good."""
    return max(_beginnings(weights, held), key=lambda one: _fits(one, held))


def _beginnings(weights: Weights, held: Weights) -> Iterator[Weights]:
    yield weights
    common = {name.partition(".")[0] for name in weights}
    if len(common) == 1:
        yield {name.partition(".")[2]: one for name, one in weights.items() if "." in name}
    for part in dict.fromkeys(name.partition(".")[0] for name in held):
        yield {f"{part}.{name}": one for name, one in weights.items()}


def _fits(weights: Weights, held: Weights) -> int:
    return sum(name in held and one.shape == held[name].shape for name, one in weights.items())


def first_convolution(model: nn.Module) -> str:
    """The name of the weight of the first convolution over pictures; "" where there is none."""
    return next((f"{name}.weight".lstrip(".") for name, one in model.named_modules() if isinstance(one, nn.Conv2d)), "")


def channels_alone_differ(there: Tensor, here: Tensor) -> bool:
    """Whether two weights of convolutions are alike but for the channels they see, of which one has 1 or 3."""
    alike = there.dim() == here.dim() == 4 and (there.shape[0], *there.shape[2:]) == (here.shape[0], *here.shape[2:])
    return alike and there.shape[1] != here.shape[1] and there.shape[1] in (1, RGB)


def with_channels(weight: Tensor, channels: int) -> Tensor:
    """(O, I, h, w) as (O, channels, h, w): to one channel the sum over the I there are; to more, these in turn, times I / channels.

    A grey picture given I times and given once then have the same answer. Source: Wightman, timm, `adapt_input_conv`.

    >>> with_channels(torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1), 1).item()
    6.0
    """
    there = weight.shape[1]
    if channels == 1:
        return weight.sum(1, keepdim=True)
    turns = -(-channels // there)
    return weight.repeat(1, turns, 1, 1)[:, :channels] * (there / channels)


def _said(there: int, here: int) -> str:
    return f"summed over its {there}" if here == 1 else f"repeated, times {there}/{here}"


def few(names: Collection[str]) -> str:
    """The first names of a list."""
    return ", ".join(list(names)[:SHOWN]) + (" …" if len(names) > SHOWN else "")
