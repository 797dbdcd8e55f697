"""Which parameters an optimizer moves, at which rate, and which of them decay."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList
from torch.optim import Optimizer

from tunesmith.blocks.optim.depth import body_and_head, layer_rates
from tunesmith.blocks.optim.patterns import Parts, factors, matching
from tunesmith.blocks.optim.switching import switches
from tunesmith.blocks.optim.width import Carried
from tunesmith.records import ModelError, RecipeError

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
NORM_NAME = re.compile(r"norm(\d?d)?$", re.IGNORECASE)  # a norm layer that is not torch's: RMSNorm, LayerNorm2d


def groups(
    model: nn.Module,
    weight_decay: float,
    decay_all: bool = False,
    *,
    decay_norm: bool = False,
    decay_bias: bool = False,
    decay_embedding: bool = False,
    decays: Mapping[str, float] | None = None,
    layer_decay: float = 1.0,
    layers: Sequence[str] | None = None,
    rates: Mapping[str, float] | None = None,
    lr: float | None = None,
    fresh: Collection[str] = (),
    widths: Carried | None = None,
) -> list[dict[str, Any]]:
    """The trainable parameters, each once, by rate and decay: first the full rate, and those that decay before the others.

    Biases, gains of norm layers, embeddings and other vectors do not decay, unless `decay_all`, or the kind is named by
    `decay_norm`, `decay_bias`, `decay_embedding`. `decays` are factors on `weight_decay` by pattern and overrule that
    choice. A weight that an embedding shares with another layer counts as an embedding. `names` are those of the first
    use. The rate of a parameter is decay^(L - l) of its layer (`layer_decay`, `layers`: see `layer_rates`) times the
    factor of the last pattern of `rates` that matches it; groups then hold that factor as `rate`, and `lr` times it
    as `lr` where a rate is given. A pattern may be the word "body" or "head" (`body_and_head`; what is `fresh` is head).
    `widths` multiplies rate and decay of each by what it is given at this width. Raises `ModelError` for a model without
    anything to train, `RecipeError` for a pattern that matches nothing.
    """
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    _refuse_untrainable(model, named)
    decaying = {"norm": decay_norm, "bias": decay_bias, "embedding": decay_embedding, "vector": False, "weight": True}
    kinds = parameter_kinds(model)
    spared = {weight for weight, held in kinds.items() if not decay_all and not all(decaying[kind] for kind in held)}
    aliases = _aliases(model)
    words = body_and_head(model, fresh) if decays else {}
    shares = _by_first_name(decays or {}, aliases, "optim.decays", words)
    factor = rate_factors(model, layer_decay, layers, rates, fresh)
    parts: dict[tuple[float, float], list[tuple[str, nn.Parameter]]] = {}
    for name, weight in named:
        share = shares.get(name, float(id(weight) not in spared))
        rate = factor[name]
        if widths is not None:
            rate, share = rate * widths.rates[name], share * widths.decays[name]
        parts.setdefault((rate, weight_decay * share), []).append((name, weight))
    scaled = any(rate != 1 for rate, _ in parts)
    return [
        {"params": [weight for _, weight in part], "weight_decay": decay, "names": [name for name, _ in part]}
        | ({"rate": rate} if scaled else {})
        | ({"decay_share": decay / weight_decay} if (decays or widths) and weight_decay and decay else {})
        | ({"lr": lr * rate} if scaled and lr is not None else {})
        for (rate, decay), part in sorted(parts.items(), key=lambda one: (one[0][0] != 1, not one[0][1]))
    ]


def rate_factors(
    model: nn.Module,
    layer_decay: float = 1.0,
    layers: Sequence[str] | None = None,
    rates: Mapping[str, float] | None = None,
    fresh: Collection[str] = (),
) -> dict[str, float]:
    """The factor on the rate of every parameter by name, frozen ones too; arguments as in `groups`."""
    names = [name for name, _ in model.named_parameters()]
    factor = dict.fromkeys(names, 1.0) if layer_decay == 1 else layer_rates(model, layer_decay, layers)
    words = body_and_head(model, fresh) if rates else {}
    for name, given in _by_first_name(rates or {}, _aliases(model), "optim.rates", words).items():
        factor[name] *= given
    return factor


def _aliases(model: nn.Module) -> list[tuple[str, str]]:
    """Every name of a parameter beside that of its first use."""
    known = {id(weight): name for name, weight in model.named_parameters()}
    return [(name, known[id(weight)]) for name, weight in model.named_parameters(remove_duplicate=False)]


def _by_first_name(
    patterns: Mapping[str, float], aliases: list[tuple[str, str]], field: str, parts: Parts
) -> dict[str, float]:
    """Factors by the name of the first use, whichever of its names a pattern matched."""
    found = factors(patterns, [alias for alias, _ in aliases], field, parts)
    return {name: found[alias] for alias, name in aliases if alias in found}


def unfreeze(model: nn.Module, optimizer: Optimizer, patterns: Sequence[str], rate: float = 1.0) -> list[str]:
    """Gradual unfreezing: gives frozen parameters to a live optimizer, in groups of their own; returns their names.

    They train at `rate` times the optimizer's peak rate and follow its schedule (`initial_lr`); those that decay do so
    as the others. Call it between two updates. Raises `RecipeError` for a pattern that matches nothing, or nothing new.
    """
    every = [name for name, _ in model.named_parameters()]
    asked = {name for pattern in patterns for name in matching(pattern, every, "unfreeze")}
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    new = [(name, weight) for name, weight in model.named_parameters() if name in asked and id(weight) not in held]
    if not new:
        raise RecipeError(f"unfreeze: the optimizer holds all of {_few(sorted(asked))} already; name frozen parameters")
    decay = max(group.get("weight_decay", 0.0) / group.get("decay_share", 1.0) for group in optimizer.param_groups)
    spared = _spared(model)
    parts = []
    for share in (decay, 0.0) if decay else (0.0,):
        part = [(name, weight) for name, weight in new if not decay or (id(weight) in spared) == (not share)]
        if part:
            held_by_name = {"params": [weight for _, weight in part], "names": [name for name, _ in part]}
            parts.append({**held_by_name, "rate": rate, "weight_decay": share})
    for _, weight in new:
        weight.requires_grad_(True)
    add_groups(optimizer, parts)
    return [name for name, _ in new]


def add_groups(optimizer: Optimizer, parts: Iterable[Mapping[str, Any]]) -> None:
    """Gives groups, as `groups` makes them, to a live optimizer: with a fresh state, under its schedule, at their `rate` times its peak.

    They are marked `late`, so that a state from before them can be put back (`State.restore`).
    """
    first = optimizer.param_groups[0]
    optimizer.defaults.setdefault("differentiable", False)  # as torch does where it loads a state
    whole = float(first.get("initial_lr", first["lr"])) / first.get("rate", 1.0)
    for part in parts:
        peak = whole * part.get("rate", 1.0)
        lr = torch.full_like(first["lr"], peak) if isinstance(first["lr"], Tensor) else peak
        kept = {name: value for name, value in part.items() if name != "weight_decay" or name in first}
        optimizer.add_param_group({**kept, "lr": lr, "initial_lr": peak, "late": True})
    if switches(optimizer):
        optimizer.train()  # type: ignore[attr-defined]  # a new group begins in evaluation mode


def _refuse_untrainable(model: nn.Module, named: list[tuple[str, nn.Parameter]]) -> None:
    if not named:
        frozen = frozen_parameters(model)
        why = f"all {len(frozen)} are frozen: {_few(frozen)}" if frozen else "it has no parameters at all"
        raise ModelError(
            f"the model {type(model).__name__} has nothing to train ({why}); set requires_grad=True on some of its "
            "parameters"
        )
    lazy = [name for name, weight in named if is_lazy(weight)]
    if lazy:
        raise ModelError(f"the shape of {_few(lazy)} is not known yet; call the model on one batch before training it")


def parameter_kinds(model: nn.Module) -> dict[int, set[str]]:
    """What each parameter is, by id: "weight", "bias", "norm", "embedding" or "vector"; one with several uses is each."""
    found: dict[int, set[str]] = {}
    for layer in model.modules():
        for name, weight in layer.named_parameters(recurse=False):
            if not is_lazy(weight):
                found.setdefault(id(weight), set()).add(_kind(layer, name, weight))
    return found


def _spared(model: nn.Module) -> set[int]:
    """Ids of the parameters that do not decay unless told to."""
    return {weight for weight, kinds in parameter_kinds(model).items() if kinds != {"weight"}}


def _kind(layer: nn.Module, name: str, weight: Tensor) -> str:
    if isinstance(layer, EMBEDDINGS):
        return "embedding"
    lengths = sum(size > 1 for size in weight.shape)
    foreign_norm = bool(NORM_NAME.search(type(layer).__name__)) and lengths <= 1  # a gain of shape (1, C, 1, 1)
    if isinstance(layer, NORMS) or foreign_norm:
        return "norm"
    if name == "bias" or name.startswith("bias_") or name.endswith("_bias"):
        return "bias"
    return "vector" if weight.ndim < 2 or _is_magnitude(layer, name) else "weight"


def _is_magnitude(layer: nn.Module, name: str) -> bool:
    """The length g of weight normalisation, arXiv:1602.07868, eq. 2."""
    if isinstance(layer, ParametrizationList):
        return name == "original0" and type(layer[0]).__name__ == "_WeightNorm"
    return name.endswith("_g") and hasattr(layer, name[:-2] + "_v")


def frozen_parameters(model: nn.Module) -> list[str]:
    """Names of the parameters that no optimizer will move."""
    return [name for name, weight in model.named_parameters() if not weight.requires_grad]


def missing_parameters(model: nn.Module, optimizer: Optimizer) -> list[str]:
    """Names of the trainable parameters that `optimizer` does not hold."""
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    return [name for name, weight in model.named_parameters() if weight.requires_grad and id(weight) not in held]


def layer_table(model: nn.Module, parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each layer with parameters of its own: name, kind, shape, parameters, init_std, decay, trainable.

    `shape` and `init_std` are those of its largest parameter, `parameters` counts a shared one where it comes first,
    and `decay` says whether any of them decays.
    """
    decaying = {id(weight) for part in parts if part.get("weight_decay") for weight in part["params"]}
    return list(_rows(model, decaying))


def _rows(model: nn.Module, decaying: set[int]) -> Iterator[dict[str, Any]]:
    counted: set[int] = set()
    for name, layer in model.named_modules():
        own = [weight for weight in layer.parameters(recurse=False) if not is_lazy(weight)]
        if not own:
            continue
        largest = max(own, key=Tensor.numel)
        new = [weight for weight in own if id(weight) not in counted]
        counted.update(map(id, new))
        yield {
            "name": name or type(model).__name__,
            "kind": type(layer).__name__,
            "shape": tuple(largest.shape),
            "parameters": sum(weight.numel() for weight in new),
            "init_std": _std(largest),
            "decay": any(id(weight) in decaying for weight in own),
            "trainable": any(weight.requires_grad for weight in own),
        }


def _std(weight: Tensor) -> float:
    values = weight.detach().to(torch.float64 if weight.dtype == torch.float64 else torch.float32)
    return float(values.std(correction=0)) if values.numel() else 0.0


def _few(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" … ({len(names)} in all)" if len(names) > most else "")
