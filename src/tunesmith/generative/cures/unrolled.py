"""Unrolled steps: the generator's loss at the discriminator as it will be after some steps of its own optimizer.

Legend: θ the discriminator's weights, f its loss, k the steps looked ahead, g = ∇f; m and v the moments of Adam.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from tunesmith.generative.cures import CURES
from tunesmith.records import ModelError, RecipeError

Weights = dict[str, Tensor]
Judging = Callable[[Tensor], Tensor]  # samples to scores


@CURES.add("unrolled")
def unrolled(
    discriminator: nn.Module, loss: Callable[[Judging], Tensor], optimizer: torch.optim.Optimizer, steps: int = 5
) -> Judging:
    """θ_{j+1} = θ_j - step(∇f(θ_j)) for k steps, differentiable in all that f depends on; gives D(·; θ_k), a function of samples.

    `loss(judge)` is f for a discriminator `judge`: of real samples, and of made ones that are not detached, so that the gradient of G
    sees how D would answer. Steps are those of `optimizer`, SGD (with momentum) or Adam, from its present moments. θ itself and
    the optimizer are left alone: D then takes one real step of its own.

    Raises `RecipeError` for `steps` below 0, `ModelError` for another optimizer.
    Use: against collapse where k times the time of an update may be spent; k = 5 or 10.
    Source: Metz et al., arXiv:1611.02163, eq. 9 to 11.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> _ = net.weight.data.fill_(1.0)
    >>> ahead = unrolled(net, lambda judge: judge(torch.ones(1, 1)).square().sum() / 2, torch.optim.SGD(net.parameters(), lr=0.1), 2)
    >>> round(ahead(torch.ones(1, 1)).item(), 6), net.weight.item()  # (1 - 0.1)²
    (0.81, 1.0)
    """
    if not isinstance(steps, int) or steps < 0:
        raise RecipeError(f"{steps!r} steps were to be unrolled; expected a whole number of 0 or more")
    weights: Weights = dict(discriminator.named_parameters())
    rule = _rule(optimizer, weights)
    for _ in range(steps):
        value = loss(_judging(discriminator, weights))
        trained = [name for name in weights if weights[name].requires_grad]
        found = torch.autograd.grad(value, [weights[name] for name in trained], create_graph=True)
        weights = weights | rule({name: (weights[name], slope) for name, slope in zip(trained, found, strict=True)})
    return _judging(discriminator, weights)


def _judging(discriminator: nn.Module, weights: Mapping[str, Tensor]) -> Judging:
    def judge(samples: Tensor) -> Tensor:
        # Statistics and counters change on copies: what is looked ahead has not happened.
        buffers = {name: buffer.detach().clone() for name, buffer in discriminator.named_buffers()}
        scores: Tensor = functional_call(discriminator, {**weights, **buffers}, (samples,))
        return scores

    return judge


def _rule(optimizer: torch.optim.Optimizer, weights: Weights) -> Callable[[dict[str, tuple[Tensor, Tensor]]], Weights]:
    """One step of the optimizer as a function of weights and slopes that keeps its own moments."""
    kinds: dict[type, type[_Sgd | _Adam]] = {torch.optim.SGD: _Sgd, torch.optim.Adam: _Adam}
    kind = kinds.get(type(optimizer))
    names = {id(weight): name for name, weight in weights.items()}
    groups = {names[id(one)]: group for group in optimizer.param_groups for one in group["params"] if id(one) in names}
    if kind is None or any(group.get("maximize") or group.get("amsgrad") for group in groups.values()):
        raise ModelError(
            f"steps of {type(optimizer).__name__} cannot be unrolled; SGD and Adam, without amsgrad or maximize, can"
        )
    lacking = [name for name, weight in weights.items() if weight.requires_grad and name not in groups]
    if lacking:
        raise ModelError(
            f"the optimizer does not train {lacking[0]!r} of the discriminator, so its steps cannot be unrolled; give the "
            "discriminator's own optimizer"
        )
    return kind(groups, {name: optimizer.state.get(weights[name], {}) for name in groups})


class _Sgd:
    """m ← μ m + (1 - τ) g, θ ← θ - η m; the first m is g."""

    def __init__(self, groups: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        self.groups = groups
        self.moments = {
            name: None if one.get("momentum_buffer") is None else one["momentum_buffer"].detach().clone()
            for name, one in state.items()
        }

    def __call__(self, slopes: dict[str, tuple[Tensor, Tensor]]) -> Weights:
        found = {}
        for name, (weight, slope) in slopes.items():
            group, moment = self.groups[name], self.moments[name]
            slope = slope + group["weight_decay"] * weight
            step = slope
            if group["momentum"]:
                step = slope if moment is None else group["momentum"] * moment + (1 - group["dampening"]) * slope
                self.moments[name] = step
                step = slope + group["momentum"] * step if group["nesterov"] else step
            found[name] = weight - group["lr"] * step
        return found


class _Adam:
    """m ← β1 m + (1 - β1) g, v ← β2 v + (1 - β2) g², θ ← θ - η m̂ / (√v̂ + ε)."""

    def __init__(self, groups: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        self.groups = groups
        self.state = {
            name: (one["exp_avg"].detach().clone(), one["exp_avg_sq"].detach().clone(), int(one["step"]))
            if one
            else None
            for name, one in state.items()
        }

    def __call__(self, slopes: dict[str, tuple[Tensor, Tensor]]) -> Weights:
        found = {}
        for name, (weight, slope) in slopes.items():
            group = self.groups[name]
            first, second, count = self.state[name] or (torch.zeros_like(slope), torch.zeros_like(slope), 0)
            (beta1, beta2), count = group["betas"], count + 1
            slope = slope + group["weight_decay"] * weight
            first, second = beta1 * first + (1 - beta1) * slope, beta2 * second + (1 - beta2) * slope.square()
            self.state[name] = (first, second, count)
            # The root has no slope at 0, where a dead unit's moment lies.
            root = torch.where(second > 0, second, torch.ones_like(second)).sqrt() * (second > 0)
            found[name] = weight - group["lr"] / (1 - beta1**count) * first / (
                root / (1 - beta2**count) ** 0.5 + group["eps"]
            )
        return found
