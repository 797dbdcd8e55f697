"""Invariances measured: does a scale of the weights, or of the data, change what a layer computes?

With λ > 0, ε small against the variance and no bias before the norm, outputs of a normalised layer stay and the gradient
of the weights becomes 1/λ of what it was, so that SGD moves them by an effective rate of lr / ‖w‖²; van Laarhoven,
arXiv:1706.05350, eq. 4. A negative λ turns the sign of the output.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tunesmith.blocks.layers.norm import NORMS
from tunesmith.blocks.layers.norm.batch_renorm import BatchRenorm
from tunesmith.blocks.layers.norm.cosine import CosineConv, CosineLinear
from tunesmith.blocks.layers.norm.families import family
from tunesmith.blocks.layers.norm.weight import has_weight_norm
from tunesmith.records import ModelError

TOLERANCE = (
    1e-3  # assumption: above what ε = 1e-5 and float32 do to an invariant layer, far below what a scale of 3 does
)


@dataclass(frozen=True, slots=True)
class Invariance:
    """What a scale did: `deviation` is the largest change of an output over the largest output."""

    of: str  # weight_scale, neuron_scale, batch_scale, sample_scale, shift, neuron_shift
    factor: float
    deviation: float
    holds: bool
    gradient_ratio: float | None = (
        None  # ‖gradient of the weights‖ after over before, times λ: 1 where the scale is free
    )

    def __str__(self) -> str:
        return f"{self.of} by {self.factor:g}: outputs move by {self.deviation:.2g} of their size"


def invariances(layer: nn.Module | str) -> frozenset[str]:
    """What leaves the output of a norm layer as it is, by its member's claim; batch renorm's go as its limits open."""
    if isinstance(layer, str):
        claimed: frozenset[str] = NORMS[layer].invariant_to  # type: ignore[attr-defined]
        return claimed
    if isinstance(layer, CosineLinear | CosineConv):
        return invariances("cosine") | ({"shift"} if layer.centred else set())
    if has_weight_norm(layer):
        return invariances("weight")
    if isinstance(layer, BatchRenorm):
        rmax, dmax = (float(limit) for limit in layer.limits_now())
        return invariances("batch_renorm") if (rmax, dmax) == (1.0, 0.0) else frozenset()
    found = family(layer)
    if found is None:
        raise ModelError(f"a {type(layer).__name__} is no norm layer; measure it with weight_scale_invariance")
    return invariances(found.name)


def weight_scale_invariance(
    model: nn.Module,
    x: Tensor,
    *,
    layer: str = "",
    factor: float = 3.0,
    per_neuron: bool = False,
    tolerance: float = TOLERANCE,
) -> Invariance:
    """Scales the weights of the linear layer or convolution at the path `layer` (the first, else) and compares outputs.

    `model` holds that layer and the norm after it, and runs on x in its present mode; it is measured on a copy.
    `per_neuron` scales each output unit by a λ of its own between 1/factor and factor. A bias of that layer is scaled
    by nothing, so a layer norm after it moves.

    >>> net = nn.Sequential(nn.Linear(4, 8, bias=False), nn.LayerNorm(8))
    >>> [weight_scale_invariance(net, torch.randn(16, 4), per_neuron=each).holds for each in (False, True)]
    [True, False]
    """
    _positive(factor)
    before, scaled = copy.deepcopy(model), copy.deepcopy(model)
    one, other = _weight(before, layer), _weight(scaled, layer)
    with torch.no_grad():
        other.mul_(_factors(other.shape[0], factor, other, per_neuron))
    y, z = before(x), scaled(x)
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y)
    (g,) = torch.autograd.grad((y * direction).sum(), one)
    (h,) = torch.autograd.grad((z * direction).sum(), other)
    ratio = None if per_neuron else float(h.norm() * factor / g.norm().clamp(min=torch.finfo(g.dtype).tiny))
    return _compared("neuron_scale" if per_neuron else "weight_scale", factor, y, z, tolerance, ratio)


def data_scale_invariance(
    model: nn.Module, x: Tensor, *, factor: float = 3.0, per_sample: bool = False, tolerance: float = TOLERANCE
) -> Invariance:
    """Scales the data, the whole batch by `factor` or each sample by a λ of its own, and compares outputs.

    >>> norm = nn.BatchNorm1d(4)
    >>> [data_scale_invariance(norm, torch.randn(16, 4), per_sample=each).holds for each in (False, True)]
    [True, False]
    """
    _positive(factor)
    return _apart(
        model,
        x,
        x * _factors(len(x), factor, x, per_sample),
        "sample_scale" if per_sample else "batch_scale",
        factor,
        tolerance,
    )


def shift_invariance(
    model: nn.Module, x: Tensor, *, by: float = 3.0, per_neuron: bool = False, tolerance: float = TOLERANCE
) -> Invariance:
    """Adds a constant to the data, one for all or one for each channel (dimension 1), and compares outputs."""
    shift = torch.full_like(x, by)
    if per_neuron:
        shift = by * torch.linspace(-1, 1, x.shape[1]).to(x).reshape(1, -1, *(1,) * (x.dim() - 2)).expand_as(x)
    return _apart(model, x, x + shift, "neuron_shift" if per_neuron else "shift", by, tolerance)


def _apart(model: nn.Module, x: Tensor, changed: Tensor, of: str, factor: float, tolerance: float) -> Invariance:
    with torch.no_grad():
        return _compared(of, factor, copy.deepcopy(model)(x), copy.deepcopy(model)(changed), tolerance)


def _compared(of: str, factor: float, y: Tensor, z: Tensor, tolerance: float, ratio: float | None = None) -> Invariance:
    size = float(y.detach().abs().max().clamp(min=torch.finfo(y.dtype).tiny))
    deviation = float((z - y).detach().abs().max()) / size
    return Invariance(of, factor, deviation, deviation <= tolerance, ratio)


def _positive(factor: float) -> None:
    if not factor > 0:
        raise ModelError(f"a scale of {factor}: expected a number above 0; a negative one turns the sign of the output")


def _factors(count: int, factor: float, like: Tensor, each: bool) -> Tensor:
    """One factor, or `count` of them from 1/factor to factor along the first dimension."""
    if not each:
        return torch.tensor(factor, dtype=like.dtype, device=like.device)
    exponents = torch.linspace(-1, 1, count).to(like).reshape(-1, *(1,) * (like.dim() - 1))
    return torch.tensor(factor, dtype=like.dtype, device=like.device).pow(exponents)


def _weight(model: nn.Module, path: str) -> nn.Parameter:
    """The weight that is learnt: v under weight normalisation."""
    for name, module in model.named_modules():
        if path and name != path:
            continue
        if has_weight_norm(module):
            found: nn.Parameter = module.parametrizations.weight.original1
            return found
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.dim() > 1:
            return weight
    raise ModelError(
        f"there is no layer with a weight matrix {f'at {path!r}' if path else 'in the model'}; name one as layer="
    )
