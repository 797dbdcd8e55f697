"""Settings found at one width carried to another: the maximal update parametrisation (µP).

Each parameter has a role by which of its sides grow from the base to the model: input (its outputs alone, and every vector),
hidden (both), output (its inputs alone). With m = fan_in / fan_in of the base, and m' the same of fan_out:

          start, deviation      rate, Adam and its kin     rate, SGD
input     that of the base      1                          m'
hidden    base / √m             1 / m                      1
output    base / m              1 / m                      1 / m

Decoupled decay is divided by the same factor as the rate, so that rate times decay stays. Attention keeps its 1/√d where heads
keep their width and grow in number; where they grow wider, it has to become 1/d, which this file does not do.

Source: Yang et al., Tensor Programs V, arXiv:2203.03466, table 3; decay: appendix B.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import is_parametrized

from tunesmith.records import ModelError, RecipeError

ADAPTIVE = ("adam", "adamw", "nadam", "radam", "adamax", "schedulefree_adamw", "schedulefree_radam")
PLAIN = ("sgd", "schedulefree_sgd")
DECOUPLED = ("adamw", "schedulefree_adamw", "schedulefree_radam")
MATRICES = (nn.Linear, nn.Bilinear, nn.MultiheadAttention, nn.RNNBase, _ConvNd)
NEAR = 0.1  # a start within a tenth of what it should be is left: the base's own is drawn at random; assumption
Role = str  # "input", "hidden", "output" or "fixed"


@dataclass(frozen=True, slots=True)
class Carried:
    """What each parameter is given, by name: its role, and the factors on the rate, on the decay and on the base's start."""

    roles: Mapping[str, Role]
    rates: Mapping[str, float]
    decays: Mapping[str, float]
    starts: Mapping[str, float]

    def lines(self) -> list[str]:
        """A sentence for each role."""
        found = []
        for role in ("input", "hidden", "output"):
            names = [name for name, one in self.roles.items() if one == role]
            if names:
                rates = sorted({round(self.rates[name], 6) for name in names})
                starts = sorted({round(self.starts[name], 6) for name in names})
                found.append(
                    f"{role}: {len(names)} parameters, rate x {_few(rates)}, start x {_few(starts)} of that of the base"
                )
        return found


def carried(model: nn.Module, base: nn.Module, optimizer: str = "adamw") -> Carried:
    """The factors for `model`, when rate and decay were found for `base`, the same net at another width.

    Raises `ModelError` where the two have other parameters or layers, `RecipeError` for an optimizer without a known rule.

    >>> net = lambda width: nn.Sequential(nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width, 3))
    >>> found = carried(net(256), net(64))
    >>> [(found.roles[name], found.rates[name], found.starts[name]) for name in ("0.weight", "1.weight", "2.weight", "2.bias")]
    [('input', 1.0, 1.0), ('hidden', 0.25, 0.5), ('output', 0.25, 0.25), ('fixed', 1.0, 1.0)]
    """
    if optimizer not in ADAPTIVE + PLAIN:
        raise RecipeError(
            f"optim.name = {optimizer!r}: how its rate goes with width is known for {', '.join(ADAPTIVE + PLAIN)}; take one of them"
        )
    theirs = dict(base.named_parameters())
    named = dict(model.named_parameters())
    if named.keys() != theirs.keys():
        odd = sorted(named.keys() ^ theirs.keys())
        raise ModelError(
            f"the base has not the same parameters: {odd[0]!r} is in one of the two only; only the width may differ"
        )
    roles, rates, decays, starts = {}, {}, {}, {}
    for layer_name, layer in model.named_modules():
        if is_parametrized(layer):
            raise ModelError(
                f"{layer_name or 'the model'} has a parametrised weight (spectral or weight norm); there is no rule of width for it"
            )
        for short, weight in layer.named_parameters(recurse=False):
            name = f"{layer_name}.{short}" if layer_name else short
            if name not in named:
                continue  # a second name of a shared weight
            sides = _sides(layer, weight), _sides(layer, theirs[name])
            if weight.ndim != theirs[name].ndim:
                raise ModelError(
                    f"{name} has shape {tuple(weight.shape)}, in the base {tuple(theirs[name].shape)}; only the width may differ"
                )
            role, wider_in, wider_out = _role(*sides)
            roles[name] = role
            adaptive = optimizer in ADAPTIVE
            rates[name] = _rate(role, wider_in, wider_out, adaptive)
            decays[name] = 1 / rates[name] if optimizer in DECOUPLED else 1.0
            starts[name] = {"hidden": wider_in**-0.5, "output": 1 / wider_in}.get(role, 1.0)
    _refuse_tied(model, roles)
    return Carried(roles, rates, decays, starts)


@torch.no_grad()
def restart(model: nn.Module, base: nn.Module, found: Carried) -> list[str]:
    """Scales the starts of `model` in place to what they should be beside those of `base`; gives the names of those it changed.

    Both are freshly initialised by the same rule. A start within a tenth of what it should be is left, and one of zeros.
    """
    changed = []
    theirs = dict(base.named_parameters())
    for name, weight in model.named_parameters():
        if found.roles[name] == "fixed" or weight.ndim < 2:
            continue
        has, wanted = float(weight.std(correction=0)), found.starts[name] * float(theirs[name].std(correction=0))
        if has > 0 and wanted > 0 and abs(has / wanted - 1) > NEAR:
            weight.mul_(wanted / has)
            changed.append(name)
    return changed


def _sides(layer: nn.Module, weight: Tensor) -> tuple[int, int]:
    """Inputs and outputs of a parameter; a vector, and a bare table of positions, has outputs alone."""
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return weight.shape[0], weight.shape[1]
    if weight.ndim < 2 or not isinstance(layer, MATRICES):
        return 1, weight.numel()
    return weight[0].numel(), weight.shape[0]


def _role(here: tuple[int, int], there: tuple[int, int]) -> tuple[Role, float, float]:
    wider_in, wider_out = here[0] / there[0], here[1] / there[1]
    grows = (wider_in != 1, wider_out != 1)
    role = {(False, False): "fixed", (False, True): "input", (True, False): "output", (True, True): "hidden"}[grows]
    return role, wider_in, wider_out


def _rate(role: Role, wider_in: float, wider_out: float, adaptive: bool) -> float:
    if adaptive:
        return 1 / wider_in if role in ("hidden", "output") else 1.0
    return {"input": wider_out, "output": 1 / wider_in}.get(role, 1.0)


def _refuse_tied(model: nn.Module, roles: Mapping[str, Role]) -> None:
    """A table that is the head too would need two rates."""
    first = {id(weight): name for name, weight in model.named_parameters()}
    for name, weight in model.named_parameters(remove_duplicate=False):
        if first[id(weight)] != name and weight.ndim > 1 and roles[first[id(weight)]] != "fixed":
            raise ModelError(
                f"{first[id(weight)]} is shared with {name}: as an input and as an output it needs different rates; untie them (model.tied = false)"
            )


def _few(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values[:3]) + (" …" if len(values) > 3 else "")
