"""Layer-sequential unit variance. Mishkin & Matas, All you need is a good init, arXiv:1511.06422, algorithm 1.

As a member it is the first half, which needs no data; `lsuv(model, batch)` is the whole.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.conv import _ConvNd

from tunesmith.blocks.layers.init.catalogue import DEVIATIONS, INITS
from tunesmith.blocks.layers.init.filling import fill_weight, held_by, set_weight, weight_of
from tunesmith.blocks.layers.init.orthogonal import deviation, orthogonal
from tunesmith.blocks.layers.init.passing import called, plain, refuse_empty, refuse_lazy, untouched
from tunesmith.records import ModelError

TOL = 0.1  # paper, section 2; the authors' code has 0.02
MAX_ITERATIONS = 10  # paper, section 2; the authors' code has 20
SILENT = 1e-20  # assumption: a variance below is a constant output
SCALE_FREE = 1e-3  # assumption: a variance that moves by less when the weight is scaled does not go by the weight

DEVIATIONS.add("lsuv")(deviation)


@INITS.add("lsuv")
def orthonormal_start(
    weight: Tensor, activation: str = "identity", *, groups: int = 1, generator: Generator | None = None
) -> None:
    """W Wᵀ = I or Wᵀ W = I, and then, with data, W <- W / √Var(W x) layer by layer: every output gets variance 1.

    Filling one weight is only the first half; a recipe with `model.init = "lsuv"` sends the first training batch through
    the built model for the second, in anybody's code `lsuv(model, batch)` or `initialise(model, "lsuv", batch=batch)`.

    Shape: (out, in, *kernel), filled in place.
    Source: arXiv:1511.06422, algorithm 1.
    Use: deep nets without norm layers, whatever their activations; with norm layers it changes little.
    """
    orthogonal(weight, "identity", groups=groups, generator=generator)


def lsuv(
    model: nn.Module, batch: Any, *, tol: float = TOL, max_iterations: int = MAX_ITERATIONS, orthonormal: bool = True
) -> dict[str, float]:
    """Variance of each layer's output on the batch, in the order of the pass, after W <- W / √Var until |Var - 1| < tol.

    Layers are the linear layers and convolutions that the pass calls, the last one too; their outputs are those before
    any activation, with the bias, over all rows, units and positions. A layer called several times has one variance over
    all its calls. Weights start orthonormal (`orthonormal=False` keeps their directions); biases stay as they are. Frozen
    layers stay, and so do those whose weight has no scale (cosine or spectral normalisation): they are in the result as
    they are. One large batch, of many rows or positions, is meant; the pass is in evaluation mode, and nothing but these
    weights is changed.

    Raises `ModelError` for an empty batch, a layer whose output is constant on it, and one that does not come within
    `tol` in `max_iterations`.
    Source: arXiv:1511.06422, algorithm 1 and section 2.
    """
    if not 0 < tol < 1 or max_iterations < 1:
        raise ModelError(
            f"lsuv got tol = {tol} and max_iterations = {max_iterations}; expected 0 < tol < 1 and at least one iteration"
        )
    refuse_empty(batch)
    model = plain(model)
    refuse_lazy(model)
    called_in_order = in_order(model, batch)
    if orthonormal:
        for module, _ in called_in_order.values():
            if is_free(module):
                fill_weight(module, INITS["lsuv"], "identity")
    return {
        name: _to_unit_variance(model, batch, name, module, calls, tol, max_iterations)
        for name, (module, calls) in called_in_order.items()
    }


def is_free(module: nn.Module) -> bool:
    """Whether the weight of a layer may change."""
    return any(parameter.requires_grad for parameter in held_by(module))


def _to_unit_variance(
    model: nn.Module, batch: Any, name: str, module: nn.Module, calls: int, tol: float, max_iterations: int
) -> float:
    variance = variance_of(model, batch, module)
    if not is_free(module):
        return variance
    scales = False  # whether the variance has been seen to go by the weight
    for _ in range(max_iterations):
        if abs(variance - 1) < tol:
            return variance
        if not math.isfinite(variance) or variance < SILENT:
            raise ModelError(
                f"lsuv: the output of {name} has variance {variance:.3g} on this batch, and no scale makes it 1; give a "
                "larger batch with scaled inputs, or mend what comes before this layer"
            )
        # a layer called k times in a row is scaled k times by its weight: the root keeps the iteration from overshooting
        _scale(module, variance ** (-0.5 / calls))
        before, variance = variance, variance_of(model, batch, module)
        if not scales and abs(variance / before - 1) < SCALE_FREE and not _has_scale(model, batch, module):
            return variance
        scales = True
    if abs(variance - 1) < tol:
        return variance
    raise ModelError(
        f"lsuv: the output of {name} has variance {variance:.3g} after {max_iterations} iterations, not within {tol:g} of 1; "
        "give a larger max_iterations or tol, or set the biases to 0 first"
    )


@torch.no_grad()
def _has_scale(model: nn.Module, batch: Any, module: nn.Module) -> bool:
    """Whether a weight a thousand times as large changes the variance; it is put back."""
    kept = [parameter.clone() for parameter in held_by(module)]
    before = variance_of(model, batch, module)
    _scale(module, 1e3)
    after = variance_of(model, batch, module)
    for parameter, value in zip(held_by(module), kept, strict=True):
        parameter.copy_(value)
    return abs(after / before - 1) >= SCALE_FREE


@torch.no_grad()
def _scale(module: nn.Module, factor: float) -> None:
    set_weight(module, weight_of(module).detach() * factor)


def in_order(model: nn.Module, batch: Any) -> dict[str, tuple[nn.Module, int]]:
    """Linear layers and convolutions in the order of their first call, each with the number of its calls."""
    found: dict[str, tuple[nn.Module, int]] = {}

    def seen(name: str, module: nn.Module, _: Tensor) -> None:
        found[name] = module, found.get(name, (module, 0))[1] + 1

    with untouched(model), torch.no_grad(), heard(model, seen):
        called(model, batch)
    if not found:
        raise ModelError(f"the {type(model).__name__} called no linear layer or convolution; there is nothing to scale")
    return found


def variance_of(model: nn.Module, batch: Any, layer: nn.Module) -> float:
    """Variance of all entries that a layer gives in one pass, biased, in double precision."""
    parts: list[Tensor] = []

    def seen(_: str, module: nn.Module, output: Tensor) -> None:
        if module is layer:
            parts.append(output.detach().double().flatten())

    with untouched(model), torch.no_grad(), heard(model, seen):
        called(model, batch)
    return float(torch.cat(parts).var(unbiased=False))


@contextmanager
def heard(model: nn.Module, tell: Callable[[str, nn.Module, Tensor], None]) -> Iterator[None]:
    """Tells the output of every linear layer and convolution as it is called."""
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, (nn.Linear, _ConvNd)):

            def hook(module: nn.Module, _: Any, output: Any, name: str = name) -> None:
                tell(name or type(module).__name__, module, output)

            hooks.append(module.register_forward_hook(hook))
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()
