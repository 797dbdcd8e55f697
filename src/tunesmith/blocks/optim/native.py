"""The optimizers of torch under their names in lower case, with the recipe's fields mapped by their signatures."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._foreach_utils import _get_fused_kernels_supported_devices

from tunesmith.blocks.optim import OPTIMIZERS
from tunesmith.blocks.optim.member import Groups, given
from tunesmith.records import ModelError, Recipe, RecipeError, did_you_mean

KERNELS = ("fused", "foreach")
RESERVED = ("params", "lr", "weight_decay", *KERNELS)  # have recipe fields of their own, or are made here
SPARSE = (
    "sgd",
    "adagrad",
    "sparseadam",
)  # the classes whose step accepts sparse gradients, by the documentation of torch


class Native:
    """One class of `torch.optim`, or one of another library with the same words for its arguments."""

    def __init__(self, kind: type[Optimizer], name: str = "") -> None:
        self.kind = kind
        self.name = name or kind.__name__.lower()
        self.parameters = inspect.signature(kind).parameters
        self.sparse = self.name in SPARSE
        self.dense = self.name != "sparseadam"

    def _default(self, name: str) -> Any:
        return self.parameters[name].default if name in self.parameters else None

    def weight_decay(self, recipe: Recipe) -> float:
        return float(self._default("weight_decay") or 0.0)

    def fields(self, recipe: Recipe) -> tuple[str, ...]:
        has = [name for name in ("momentum", "weight_decay") if name in self.parameters]
        has += ["beta1", "beta2"] if "betas" in self.parameters else []
        has += ["eps"] if isinstance(self._default("eps"), float) else []  # adafactor has a pair of another meaning
        return tuple(has)

    def arguments(self, recipe: Recipe) -> dict[str, Any]:
        """What the recipe says, in the words of the class; where the recipe says nothing, torch's defaults stand."""
        optim, fields = recipe.optim, self.fields(recipe)
        says: dict[str, Any] = {}
        if "beta1" in fields:
            says["betas"] = (optim.beta1, optim.beta2)
        if "momentum" in fields and (given(recipe, "momentum") or self._default("momentum") == 0):
            says["momentum"] = optim.momentum
        if "eps" in fields and given(recipe, "eps"):
            says["eps"] = optim.eps
        return says | self._extra(optim.extra)

    def _extra(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        known = [name for name in self.parameters if name not in RESERVED]
        for name in extra:
            if name not in known:
                raise RecipeError(f"optim.extra: {self.name} takes no {name!r}{did_you_mean(name, known)}")
        return {name: tuple(value) if isinstance(value, list) else value for name, value in extra.items()}

    def __call__(self, parts: Groups, lr: float, recipe: Recipe) -> Optimizer:
        says = self.arguments(recipe)
        if self.name == "muon":
            _refuse_other_than_matrices(parts)
        if "weight_decay" not in self.parameters:
            parts = _in_one(parts)
        kernel = self._kernel(recipe.optim.implementation, parts, says)
        settings = {"lr": lr, **says, **{name: name == kernel for name in KERNELS if name in self.parameters}}
        try:
            return self.kind([dict(part) for part in parts], **settings)
        except (TypeError, ValueError, RuntimeError) as error:
            shown = ", ".join(f"{name}={value!r}" for name, value in {"lr": lr, **says}.items())
            raise RecipeError(
                f"{self.name} refused {shown}: {error}; see optim.extra and the fields of optim"
            ) from error

    def _kernel(self, asked: str, parts: Groups, says: Mapping[str, Any]) -> str:
        """The kernel asked for, or the fastest that can step these parameters."""
        weights = [weight for part in parts for weight in part["params"]]
        fits = {
            "fused": "fused" in self.parameters and all(self._fuses(weight) for weight in weights),
            "foreach": "foreach" in self.parameters,
            "forloop": True,
        }
        if says.get("differentiable"):  # torch has no other kernel that a gradient can pass
            fits = {"fused": False, "foreach": False, "forloop": True}
        if asked == "auto":
            return next(kernel for kernel, fit in fits.items() if fit)
        if not fits[asked]:
            known = " and ".join(kernel for kernel, fit in fits.items() if fit)
            kinds = " and ".join(sorted({f"{weight.dtype} on {weight.device.type}" for weight in weights}))
            raise RecipeError(
                f"optim.implementation = {asked!r}: {self.name} has {known} only for parameters of {kinds}; set it to "
                "'auto'"
            )
        return asked

    def _fuses(self, weight: Tensor) -> bool:
        """As torch checks it in the first step: too late for a choice."""
        devices = _get_fused_kernels_supported_devices()
        only_on_processor = self.name == "adagrad"
        return weight.is_floating_point() and weight.device.type in (["cpu"] if only_on_processor else devices)


def _in_one(parts: Groups) -> Groups:
    """All parameters of one rate in one group without a decay, for a class that knows none."""
    merged: dict[float, dict[str, Any]] = {}
    for part in parts:
        rest = {key: value for key, value in part.items() if key in ("rate", "lr")}
        group = merged.setdefault(part.get("rate", 1.0), {"params": [], "names": [], **rest})
        group["params"] += part["params"]
        group["names"] += part["names"]
    return list(merged.values())


def _refuse_other_than_matrices(parts: Groups) -> None:
    others = [
        (name, tuple(weight.shape))
        for part in parts
        for name, weight in zip(part["names"], part["params"], strict=True)
        if weight.ndim != 2
    ]
    if others:
        name, shape = others[0]
        raise ModelError(
            f"muon updates matrices only, but {len(others)} parameters have another shape, the first {name!r} with "
            f"{shape}; "
            "freeze them, give Task an optimizer that divides the parameters, or use adamw"
        )


for _kind in vars(torch.optim).values():
    if isinstance(_kind, type) and issubclass(_kind, Optimizer) and _kind is not Optimizer:
        OPTIMIZERS.add(_kind.__name__.lower())(Native(_kind))
