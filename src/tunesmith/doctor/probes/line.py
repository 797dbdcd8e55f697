"""The loss on the line through two models. Goodfellow et al., arXiv:1412.6544, section 3; Keskar et al., section 2.2.1."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tunesmith.doctor.probes.sharpness import RESCALING
from tunesmith.records import ModelError, RecipeError
from tunesmith.training.fixed import fixed_loss, held_batches

Statistics = Literal["estimate", "interpolate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Losses at the places `alphas`: 0 is the first model, 1 the second. They are exact but for rounding (`error` 0)."""

    alphas: tuple[float, ...]
    losses: tuple[float, ...]
    statistics: Statistics
    passes: int
    error: float = 0.0
    caveat: str = RESCALING

    @property
    def value(self) -> float:
        """The barrier: how far the loss rises above the straight line between its values at 0 and 1; 0 where it does not.

        Of the places listed, which must hold 0 and 1. Source: Entezari et al., arXiv:2110.06296, section 2.
        """
        known = dict(zip(self.alphas, self.losses, strict=True))
        if not {0.0, 1.0} <= known.keys():
            raise RecipeError("the barrier needs the losses of both models; put 0 and 1 among the alphas")
        between = [(alpha, loss) for alpha, loss in known.items() if 0 <= alpha <= 1]
        return max(loss - (1 - alpha) * known[0.0] - alpha * known[1.0] for alpha, loss in between)


def loss_on_line(
    model_a: nn.Module,
    model_b: nn.Module,
    loss: Any,
    batches: Any,
    *,
    alphas: Sequence[float],
    statistics: Statistics = "estimate",
) -> Line:
    """f((1 - α) w_a + α w_b) for each α, over all parameters of two models of one architecture.

    The running averages of batch norm belong to other weights than those in between: "estimate" takes them anew on the
    batches at each α (each batch weighs by its rows), "interpolate" mixes them as the weights, which makes a barrier
    where there is none. Other buffers are mixed where they are floating, else the first model's. Both models stay as they
    are: the places are visited in a copy. Cost: 1 pass an α, 2 with "estimate" and batch norm; memory: three models.
    Raises `ModelError` where the models differ in names or shapes, `RecipeError` for no α or an unknown word.
    Use: alphas from -1 to 2 show how wide two minima are (Keskar); 0 to 1 whether a barrier lies between them.
    Source: arXiv:1412.6544, section 3; averages taken anew as for averaged weights, arXiv:1803.05407, section 3.
    """
    if statistics not in ("estimate", "interpolate") or not alphas:
        raise RecipeError(
            f"alphas = {list(alphas)!r} and statistics = {statistics!r}: at least one place, and 'estimate' or "
            "'interpolate' were expected"
        )
    first, second = _tensors(model_a), _tensors(model_b)
    _refuse_strangers(first, second)
    probe = copy.deepcopy(model_a)
    held = held_batches(batches, next(probe.parameters()).device)
    norms = [module for module in probe.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    losses, passes = [], 0
    for alpha in alphas:
        _mix(probe, first, second, float(alpha))
        if norms and statistics == "estimate":
            _estimate(probe, norms, held)
            passes += 1
        with fixed_loss(probe, loss, held) as fixed:
            losses.append(fixed.value())
            passes += fixed.passes
    places = tuple(float(alpha) for alpha in alphas)
    return Line(alphas=places, losses=tuple(losses), statistics=statistics, passes=passes)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def _refuse_strangers(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    for name in sorted(first.keys() | second.keys()):
        one, other = (tuple(side[name].shape) if name in side else None for side in (first, second))
        if one != other:
            raise ModelError(
                f"the models differ at {name!r}: {one or 'absent'} and {other or 'absent'}; a line needs two models of "
                "one architecture"
            )


@torch.no_grad()
def _mix(probe: nn.Module, first: dict[str, Tensor], second: dict[str, Tensor], alpha: float) -> None:
    for name, tensor in _tensors(probe).items():
        if tensor.is_floating_point() or tensor.is_complex():
            tensor.copy_((1 - alpha) * first[name] + alpha * second[name].to(first[name]))
        else:
            tensor.copy_(first[name])


@torch.no_grad()
def _estimate(probe: nn.Module, norms: Sequence[_BatchNorm], held: Sequence[Any]) -> None:
    """Running averages as the means over the batches, weighted by rows; nothing but the norms is in training mode."""
    probe.eval()
    momenta = [norm.momentum for norm in norms]
    seen = 0
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    for batch in held:
        seen += batch.size
        for norm in norms:
            norm.momentum = batch.size / seen
        probe(batch.inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
