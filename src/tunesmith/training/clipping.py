"""The gradient norm, and clipping: by norm, by value, by a percentile of past norms, and unit by unit.

Pascanu et al., arXiv:1211.5063, algorithm 1 (norm); the Deep Learning Tuning Playbook (percentile of unclipped norms);
Brock et al., arXiv:2102.06171, section 4.1 (adaptive).
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks import experience
from tunesmith.blocks.optim import last_layer
from tunesmith.records import Recipe, RecipeError
from tunesmith.records.state import State

MEMORY = "clipping"  # its key in `state.progress`: {"norms", "clipped", "updates"}
FEWEST = 20  # updates before the share is judged; assumption
LEAST_WEIGHT = 1e-3  # arXiv:2102.06171, section 4.1: ε, so that weights that start at 0 can move


class Clipped:
    """What an update has for those who change its clipping while it goes on."""

    clipping: "Clipping"

    @property
    def clip_norm(self) -> float | None:
        """The largest norm of a whole gradient."""
        return self.clipping.norm

    @clip_norm.setter
    def clip_norm(self, largest: float | None) -> None:
        self.clipping.norm = largest

    @property
    def clip_value(self) -> float | None:
        """The largest absolute value of a gradient entry."""
        return self.clipping.value

    @clip_value.setter
    def clip_value(self, largest: float | None) -> None:
        self.clipping.value = largest


def gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The gradients there are; of a sparse one, its values; of one in parts, this rank's."""
    found = (parameter.grad for parameter in parameters if parameter.grad is not None)
    found = (gradient.to_local() if hasattr(gradient, "to_local") else gradient for gradient in found)
    return [gradient.coalesce().values() if gradient.is_sparse else gradient for gradient in found]


def global_norm(gradients: list[Tensor]) -> Tensor:
    """The Euclidean norm of all gradients taken as one vector: shape ().

    >>> global_norm([torch.tensor([3.0]), torch.tensor([[4.0]])]).item()
    5.0
    """
    if not gradients:
        return torch.zeros(())
    norms = list(torch._foreach_norm(gradients))
    if any(norm.device != norms[0].device or norm.dtype != norms[0].dtype for norm in norms[1:]):
        norms = [norm.to(norms[0].device, norms[0].dtype) for norm in norms]
    total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total


def clip_norm(gradients: list[Tensor], norm: Tensor, largest: float) -> None:
    """Scales the gradients by min(1, largest / (norm + 1e-6)) in place, as torch's `clip_grad_norm_`."""
    if norm.device.type == "cpu":
        measured = norm.item()
        if measured + 1e-6 > largest and math.isfinite(measured):
            torch._foreach_mul_(gradients, largest / (measured + 1e-6))
        return
    torch._foreach_mul_(gradients, torch.clamp(largest / (norm + 1e-6), max=1.0))  # no synchronisation


def clip_value(gradients: list[Tensor], largest: float) -> None:
    """Limits every entry to [-largest, largest] in place."""
    torch._foreach_clamp_min_(gradients, -largest)
    torch._foreach_clamp_max_(gradients, largest)


def percentile(norms: Iterable[float], share: float) -> float:
    """The value below which `share` percent lie, linear between neighbours as NumPy's default.

    >>> percentile([3.0, 1.0, 2.0], 75)
    2.5
    """
    ordered = sorted(norms)
    place = (len(ordered) - 1) * share / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def unit_norms(tensor: Tensor, unit: int = 0, groups: int = 1) -> Tensor:
    """The norm of each output unit, in a shape that multiplies with `tensor`; of a vector or number, that of the whole.

    `unit` is the dimension of the units: 0, or 1 for transposed convolutions, whose units lie in `groups` there.
    Source: arXiv:2102.06171, section 4.1 (eq. 3 and below).

    >>> unit_norms(torch.tensor([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [[5.0], [1.0]]
    """
    if tensor.ndim < 2:
        return torch.linalg.vector_norm(tensor)  # type: ignore[no-any-return]
    if groups > 1:  # (in, out / groups, ...): the unit (g, o) sees the inputs of group g alone
        parts = tensor.reshape(groups, tensor.shape[0] // groups, *tensor.shape[1:])
        norms: Tensor = torch.linalg.vector_norm(parts, dim=(1, *range(3, parts.ndim)), keepdim=True)
        single = [1] * (tensor.ndim - 2)
        return norms.expand(-1, parts.shape[1], -1, *single).reshape(*tensor.shape[:2], *single)
    others = [place for place in range(tensor.ndim) if place != unit]
    return torch.linalg.vector_norm(tensor, dim=others, keepdim=True)  # type: ignore[no-any-return]


class Adaptive:
    """g ← g · λ max(|w|, 1e-3) / |g| for every unit where |g| > λ max(|w|, 1e-3); norms are those of the unit.

    The last layer is left out, as in the paper. A sparse gradient raises `RecipeError`.
    Use: nets without batch norm at large batches and rates, λ = 0.01; the smaller the batch, the larger λ.
    Source: arXiv:2102.06171, eq. 3.
    """

    def __init__(self, model: nn.Module, share: float) -> None:
        self.share = share
        self.spared = last_layer(model)
        self.layout: dict[int, tuple[int, int]] = {}
        for layer in model.modules():
            if isinstance(layer, nn.modules.conv._ConvTransposeNd):
                self.layout[id(layer.weight)] = (1, layer.groups)
        self.weights = [weight for name, weight in model.named_parameters() if name not in self.spared]
        if not self.weights:
            raise RecipeError(
                "adaptive clipping has nothing to clip: it leaves the last layer out, and the model has no other; use clip_norm"
            )

    @torch.no_grad()
    def __call__(self) -> None:
        for weight in self.weights:
            gradient = weight.grad
            if gradient is None:
                continue
            if gradient.is_sparse:
                raise RecipeError(
                    "optim.clip_adaptive cannot clip sparse gradients; make the embedding with sparse=False"
                )
            layout = self.layout.get(id(weight), (0, 1))
            largest = unit_norms(weight, *layout).clamp_(min=LEAST_WEIGHT).mul_(self.share)
            norm = unit_norms(gradient, *layout)
            gradient.mul_(torch.where(norm > largest, largest / norm.clamp(min=1e-6), torch.ones_like(norm)))


class Clipping:
    """What is done to the gradients before each step, by the recipe: unit by unit, by norm, by percentile, by value.

    The threshold of the percentile is that of the latest `window` unclipped norms; until there are as many, nothing is
    clipped by it. They lie in `state.progress`, so that a resumed run clips as the run that never stopped. Norms that
    are not finite, and those of updates that were not made, do not count.
    """

    def __init__(self) -> None:
        self.norm: float | None = None
        self.value: float | None = None
        self.percentile: float | None = None
        self.window = 100
        self.adaptive: Adaptive | None = None

    @property
    def limits(self) -> bool:
        """Whether there is any limit on a gradient."""
        return any(one is not None for one in (self.norm, self.value, self.percentile, self.adaptive))

    @classmethod
    def of(cls, recipe: Recipe, model: nn.Module) -> "Clipping":
        """What the recipe asks for."""
        made, optim = cls(), recipe.optim
        made.norm, made.value = optim.clip_norm, optim.clip_value
        made.percentile, made.window = optim.clip_percentile, optim.clip_window
        made.adaptive = Adaptive(model, optim.clip_adaptive) if optim.clip_adaptive is not None else None
        return made

    def __call__(self, state: State, found: list[Tensor], norm: Tensor) -> None:
        """Clips the gradients in place; `norm` is that of all of them, unclipped."""
        if self.adaptive is not None:
            self.adaptive()
            norm = global_norm(found)
        if (largest := self.threshold(state)) is not None:
            clip_norm(found, norm, largest)
        if self.value is not None:
            clip_value(found, self.value)

    def threshold(self, state: State) -> float | None:
        """The norm above which the next gradient is scaled down: the smaller of the fixed one and the percentile."""
        norms = state.progress.get(MEMORY, {}).get("norms", ())
        if self.percentile is None or len(norms) < self.window:
            return self.norm
        learnt = percentile(norms, self.percentile)
        return learnt if self.norm is None else min(learnt, self.norm)

    def note(self, state: State, norm: Tensor) -> None:
        """Counts an update that was made, with the unclipped norm of its gradient."""
        if self.percentile is None and self.norm is None:
            return
        memory = state.progress.setdefault(MEMORY, {"norms": [], "clipped": 0, "updates": 0})
        largest = self.threshold(state)
        memory["updates"] += 1
        if (
            self.percentile is None and largest is not None and norm.device.type != "cpu"
        ):  # counted there: nothing waits for the device
            memory["clipped"] = torch.as_tensor(memory["clipped"], device=norm.device) + (norm > largest)
            return
        measured = norm.item()
        memory["clipped"] += largest is not None and measured > largest
        if self.percentile is not None and math.isfinite(measured):
            memory["norms"].append(measured)
            del memory["norms"][: -self.window]

    def told(self, state: State) -> Mapping[str, float]:
        """At an evaluation: `clip_share` of the updates so far, and `clip_threshold` where it is learnt."""
        memory: dict[str, Any] = state.progress.get(MEMORY, {})
        if not memory.get("updates"):
            return {}
        told = {"clip_share": float(memory["clipped"]) / memory["updates"]}
        if self.percentile is not None and (largest := self.threshold(state)) is not None:
            told["clip_threshold"] = largest
        return told

    def warning(self, state: State) -> str:
        """A sentence, once, when more than half of the updates were clipped; else nothing."""
        memory: dict[str, Any] = state.progress.get(MEMORY, {})
        updates = memory.get("updates", 0)
        if updates < FEWEST or memory.get("warned"):
            return ""
        share = float(memory["clipped"]) / updates
        if not experience.lint({"clip.share": share}):  # reg.clip
            return ""
        memory["warned"] = True
        return (
            f"{share:.0%} of the {updates} updates so far were clipped: the step is then set by the limit, not by the "
            "gradient; lower optim.lr rather than clip so much"
        )
