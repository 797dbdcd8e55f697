"""A user's loss as `Loss`: those of torch are recognised and made exact, others are taken as a mean over samples."""

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.blocks.losses.loss import Loss, Reduced, align, class_mass, reduced, single_precision, tensors
from tunesmith.blocks.losses.theory import counterpart
from tunesmith.records import ModelError

# Element by element: outputs and target have one shape.
ALIGNED: tuple[type[nn.Module], ...] = (
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.BCELoss,
    nn.BCEWithLogitsLoss,
    nn.KLDivLoss,
    nn.PoissonNLLLoss,
    nn.SoftMarginLoss,
    nn.HingeEmbeddingLoss,
    nn.MultiLabelSoftMarginLoss,
    nn.MultiLabelMarginLoss,
)
LABELLED: tuple[type[nn.Module], ...] = (nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss)
DIVIDED_BY_WEIGHTS: tuple[type[nn.Module], ...] = (nn.CrossEntropyLoss, nn.NLLLoss)
ONE_A_SAMPLE: tuple[type[nn.Module], ...] = (nn.MultiMarginLoss, nn.MultiLabelMarginLoss, nn.MultiLabelSoftMarginLoss)
FLOAT_TARGETS: tuple[type[nn.Module], ...] = (nn.BCELoss, nn.BCEWithLogitsLoss, nn.MultiLabelSoftMarginLoss)
FUNCTIONS: dict[Any, type[nn.Module]] = {
    functional.cross_entropy: nn.CrossEntropyLoss,
    functional.nll_loss: nn.NLLLoss,
    functional.mse_loss: nn.MSELoss,
    functional.l1_loss: nn.L1Loss,
    functional.smooth_l1_loss: nn.SmoothL1Loss,
    functional.huber_loss: nn.HuberLoss,
    functional.binary_cross_entropy: nn.BCELoss,
    functional.binary_cross_entropy_with_logits: nn.BCEWithLogitsLoss,
    functional.kl_div: nn.KLDivLoss,
    functional.poisson_nll_loss: nn.PoissonNLLLoss,
    functional.soft_margin_loss: nn.SoftMarginLoss,
    functional.hinge_embedding_loss: nn.HingeEmbeddingLoss,
    functional.multilabel_soft_margin_loss: nn.MultiLabelSoftMarginLoss,
    functional.multilabel_margin_loss: nn.MultiLabelMarginLoss,
    functional.multi_margin_loss: nn.MultiMarginLoss,
}
WEIGHT_NAMES = ("sample_weight", "sample_weights", "weight", "weights")


def adopt(loss: Callable[..., Any]) -> Loss:
    """The user's loss as `Loss`. One of `torch.nn` or `torch.nn.functional` (also by `functools.partial`) becomes
    exact."""
    if isinstance(loss, Loss) and not isinstance(loss, type):
        return loss
    if not callable(loss) or isinstance(loss, type):
        raise ModelError(
            f"the loss is {loss!r}, a callable loss(outputs, target) was expected; pass a function, or an instance "
            "such as nn.MSELoss()"
        )
    module = _recognised(loss)
    return Foreign(loss) if module is None else TorchLoss(module)


class TorchLoss:
    """A loss module of torch under its own reduction, with the divisor told."""

    opaque = couples = False
    labels = False

    def __init__(self, module: nn.Module) -> None:
        self.source = module
        self.name = type(module).__name__
        self.reduction = str(module.reduction)
        self.additive = self.reduction == "sum"
        self._ignore_index = int(getattr(module, "ignore_index", -100))
        self._kind = next(kind for kind in ALIGNED + LABELLED if isinstance(module, kind))
        self.labels = self._kind in LABELLED
        self._tensors = {name: held for name, held in module._buffers.items() if held is not None}
        self._each, self._total = _with_reduction(module, "none"), _with_reduction(module, "sum")

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Reduced:
        outputs, target = self._shaped(outputs, target)
        if weight is None:
            total, mass = self._total(outputs, target), self._mass(outputs, target)
            return Reduced(total, self._count(outputs) if mass is None else mass.sum())
        values = self._each(outputs, target)
        if self.reduction == "batchmean":
            values = values.flatten(1).sum(1) if values.dim() > 1 else values
        return reduced(values, self._mass(outputs, target), weight, self.name)

    def at_start(self, target: Any, **about: Any) -> float:
        """As `Member.at_start`, where the catalogue has the same loss."""
        return float(counterpart(self.source).at_start(target, **about))

    def no_skill(self, target: Any, **about: Any) -> float:
        """As `Member.no_skill`, where the catalogue has the same loss."""
        return float(counterpart(self.source).no_skill(target, **about))

    def skill(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> float:
        """As `Member.skill`, where the catalogue has the same loss."""
        return float(counterpart(self.source).skill(outputs, target, weight))

    def _shaped(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if not self._tensors:
            outputs = single_precision(outputs)
        if self._kind in ALIGNED:
            outputs, target = align(outputs, target, self.name)
            if self._kind in (nn.BCELoss, nn.BCEWithLogitsLoss):
                self._refuse_misplaced(self._tensors.get("weight"), target)
            return outputs, target.to(outputs.dtype) if self._kind in FLOAT_TARGETS else target
        labels = outputs.shape[:1] + outputs.shape[2:]
        if target.shape == (*labels, 1) and target.shape != outputs.shape:
            target = target.squeeze(-1)
        if outputs.dim() < 2 or target.shape not in (labels, outputs.shape):
            raise ModelError(
                f"{self.name} got outputs of shape {tuple(outputs.shape)} and a target of shape {tuple(target.shape)}, "
                f"labels of shape {tuple(labels)} were expected; torch keeps the classes at dimension 1"
            )
        return outputs, target

    def _refuse_misplaced(self, elements: Tensor | None, target: Tensor) -> None:
        """Torch would broadcast a weight per row of one fixed batch; it must fit the rows that came."""
        if elements is None:
            return
        pairs = zip(reversed(elements.shape), reversed(target.shape), strict=False)
        if elements.dim() > target.dim() or any(own not in (1, of) for own, of in pairs):
            raise ModelError(
                f"the weight of {self.name} has shape {tuple(elements.shape)} and the target {tuple(target.shape)}; "
                "give the weights of samples as sample weights, so that they follow the rows"
            )

    def _mass(self, outputs: Tensor, target: Tensor) -> Tensor | None:
        """Torch divides by the weights of the labels in `CrossEntropyLoss` and `NLLLoss`, by a count in all others."""
        if self._kind not in DIVIDED_BY_WEIGHTS or self.reduction == "none" or target.is_floating_point():
            return None
        return class_mass(target, self._tensors.get("weight"), self._ignore_index)

    def _count(self, outputs: Tensor) -> float:
        if self.reduction == "batchmean" or self._kind in ONE_A_SAMPLE:
            return float(outputs.shape[0])
        return float(outputs.numel() // outputs.shape[1] if self._kind in LABELLED else outputs.numel())


class Foreign:
    """A callable of unknown reduction. It is `opaque` until a call returns (sum, weight)."""

    couples = additive = False
    whole = True  # also once it has returned (sum, weight)

    def __init__(self, loss: Callable[..., Any]) -> None:
        self.source = loss
        self.name = getattr(loss, "__name__", type(loss).__name__)
        self.opaque = True
        self._weight_name = _weight_name(loss)

    def __call__(self, outputs: Any, target: Any, weight: Tensor | None = None) -> Reduced:
        if weight is None:
            result = self.source(outputs, target)
        elif self._weight_name is None:
            raise ModelError(
                f"the data carry sample weights, but the loss {self.name!r} takes none; let it accept a third argument "
                "named weight, or drop the weights"
            )
        else:
            result = self.source(outputs, target, **{self._weight_name: weight})
        needs_gradient = torch.is_grad_enabled() and any(each.requires_grad for each in tensors(outputs))
        if isinstance(result, tuple) and len(result) == 2:
            self.opaque = False
            return Reduced(self._number(result[0], needs_gradient), _divisor(result[1], self.name))
        value = self._number(result, needs_gradient)
        share = _samples(outputs, target, self.name) if weight is None else weight.sum()
        return Reduced(value * share, share)

    def _number(self, value: Any, needs_gradient: bool) -> Tensor:
        if not isinstance(value, Tensor):
            raise ModelError(
                f"the loss {self.name!r} returned a {type(value).__name__}, a tensor was expected; compute it with "
                "torch, without .item() and numpy"
            )
        if value.numel() != 1:
            raise ModelError(
                f"the loss {self.name!r} returned a tensor of shape {tuple(value.shape)}, one number was expected; "
                "return its mean, or (sum, weight)"
            )
        if needs_gradient and not value.requires_grad:
            raise ModelError(
                f"the loss {self.name!r} returned a number without a gradient, so nothing can be learned; remove "
                ".detach(), .item(), argmax or torch.no_grad() in it"
            )
        return value.reshape(())


def _recognised(loss: Callable[..., Any]) -> nn.Module | None:
    """The loss as a module of torch that can be taken apart, or None."""
    if isinstance(loss, nn.Module):
        kind = next((kind for kind in ALIGNED + LABELLED if isinstance(loss, kind)), None)
        altered = loss._forward_hooks or loss._forward_pre_hooks or type(loss).__call__ is not nn.Module.__call__
        return None if kind is None or altered or type(loss).forward is not kind.forward else loss
    function, settings = (loss.func, loss.keywords) if isinstance(loss, partial) and not loss.args else (loss, {})
    kind = FUNCTIONS.get(function) if _hashable(function) else None
    if kind is None or not set(settings) <= set(inspect.signature(kind.__init__).parameters):
        return None
    return kind(**settings)


def _hashable(value: object) -> bool:
    return type(value).__hash__ is not None


def _with_reduction(module: nn.Module, reduction: str) -> nn.Module:
    """The same module, sharing its tensors, under another reduction."""
    twin = copy.copy(module)
    setattr(twin, "reduction", reduction)  # noqa: B010 - modules declare no such attribute to the type checker
    return twin


def _weight_name(loss: Callable[..., Any]) -> str | None:
    """What the callable calls its sample weights, or None where it takes none."""
    called = loss.forward if isinstance(loss, nn.Module) else loss
    try:
        parameters = inspect.signature(called).parameters
    except (TypeError, ValueError):  # some compiled callables have no signature: they are called with two arguments
        return None
    bound = loss.keywords if isinstance(loss, partial) else {}
    return next((name for name in WEIGHT_NAMES if name in parameters and name not in bound), None)


def _samples(outputs: Any, target: Any, name: str) -> float:
    first = next((each for each in tensors(target, outputs) if each.dim()), None)
    if first is None:
        raise ModelError(
            f"the loss {name!r} got neither a target nor outputs with rows, so its mean has no size; return (sum, "
            "weight)"
        )
    return float(len(first))


def _divisor(weight: Any, name: str) -> Tensor | float:
    if isinstance(weight, Tensor) and weight.numel() == 1:
        return weight.detach().reshape(())
    if isinstance(weight, int | float):
        return float(weight)
    came = f"a tensor of shape {tuple(weight.shape)}" if isinstance(weight, Tensor) else f"a {type(weight).__name__}"
    raise ModelError(
        f"the loss {name!r} returned {came} as the weight of (sum, weight), one number was expected; return the number "
        "of samples"
    )
