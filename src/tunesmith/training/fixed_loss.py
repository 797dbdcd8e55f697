"""The loss over fixed batches as a function of the weights: value, gradient, and products with its Hessian.

Evaluation mode, exact weights over uneven batches, the same random numbers at every look. Legend: w the n trainable
parameters as one vector, f the loss, g its gradient, H its Hessian.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tunesmith.blocks import losses
from tunesmith.records import DataError, ModelError
from tunesmith.records.state import set_random_state
from tunesmith.training.batch import Batch, seen_by

FORWARD, GRADIENT, PRODUCT = 1, 2, 4  # passes: a product runs forward, backward, and backward through both
MISSING = ("not implemented", "double backward", "not differentiable")  # in torch's words where a derivative is absent


class FixedLoss:
    """f(w) = Σ sum / Σ weight over the batches (Σ sum where the loss is a sum). Made by `fixed.fixed_loss`.

    Vectors are flat, float64 where a parameter is, else float32, on the device of the first parameter. `passes` counts
    what was spent: a value 1, a gradient 2, a product 4, each over all batches.
    """

    def __init__(self, model: nn.Module, loss: losses.Loss, batches: Sequence[Batch], random: Any) -> None:
        self.batches, self.passes = batches, 0
        self._model, self._loss, self._random = model, loss, random
        self._before: list[Tensor] = []  # copies of the weights, once they have been moved
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._sizes = [parameter.numel() for parameter in self._parameters]
        self.size, self.device = sum(self._sizes), self._parameters[0].device
        double = any(parameter.dtype == torch.float64 for parameter in self._parameters)
        self.dtype = torch.float64 if double else torch.float32

    def weights(self) -> Tensor:
        """w of the model, copied."""
        self.back()
        return self._flat([parameter.detach() for parameter in self._parameters])

    def value(self, at: Tensor | None = None) -> float:
        """f at `at`, or at the weights of the model."""
        self._place(at)
        self.passes += FORWARD
        with torch.no_grad():
            parts = [(float(part.sum), float(part.weight)) for part in self._forward()]
        return self._finite(sum(total for total, _ in parts) / self._divisor(sum(weight for _, weight in parts)))

    def gradient(self, at: Tensor | None = None) -> tuple[float, Tensor]:
        """f and g."""
        self._place(at)
        self.passes += GRADIENT
        total, weight, gradient = 0.0, 0.0, self.zeros()
        with torch.enable_grad():
            for part in self._forward():
                gradient += self._flat(torch.autograd.grad(part.sum, self._parameters, allow_unused=True))
                total, weight = total + float(part.sum.detach()), weight + float(part.weight)
        divisor = self._divisor(weight)
        self._finite(float(gradient.sum()), "gradient")
        return self._finite(total / divisor), gradient / divisor

    def product(self, vector: Tensor, at: Tensor | None = None) -> Tensor:
        """H v, by differentiating g·v: H itself is never built. Shape: (n,) -> (n,).

        Raises `ModelError` where a layer has no second derivative (`nn.EmbeddingBag`, cuDNN's recurrent ones): there
        `differences` serves.
        """
        self._place(at)
        self.passes += PRODUCT
        weight, product, pieces = 0.0, self.zeros(), self._pieces(vector)
        # the fused attention kernels have no second derivative
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            for part in self._forward():
                weight += float(part.weight)
                try:
                    product += self._flat(self._second(part.sum, pieces))
                except RuntimeError as error:  # NotImplementedError is one
                    if any(words in str(error) for words in MISSING):
                        raise ModelError(
                            f"the model has no second derivative ({str(error).splitlines()[0]}); try differences=True"
                        ) from error
                    raise
        self._finite(float(product.sum()), "product with the Hessian")
        return product / self._divisor(weight)

    def differences(self, vector: Tensor) -> Tensor:
        """H v as (g(w + h v) - g(w - h v)) / 2h: two gradients, for models that can be differentiated only once.

        h = ε^(1/3) (1 + ‖w‖) / ‖v‖, ε the rounding of the weights: 3 to 4 digits in float32, 9 in float64 (measured).
        Source: Nocedal & Wright, Numerical Optimization, section 8.1.
        """
        origin = self.weights()
        precision = min(torch.finfo(parameter.dtype).resolution for parameter in self._parameters)
        step: float = precision ** (1 / 3) * (1 + float(origin.norm())) / max(float(vector.norm()), 1e-30)
        ahead, behind = (self.gradient(origin + sign * step * vector)[1] for sign in (1, -1))
        return (ahead - behind) / (2 * step)

    def _second(self, total: Tensor, pieces: Sequence[Tensor]) -> Sequence[Tensor | None]:
        gradients = torch.autograd.grad(total, self._parameters, create_graph=True, allow_unused=True)
        terms = [
            (gradient * piece).sum()
            for gradient, piece in zip(gradients, pieces, strict=True)
            if gradient is not None and gradient.requires_grad
        ]
        if not terms:  # the loss is linear in every weight
            return [None] * len(pieces)
        return torch.autograd.grad(torch.stack(terms).sum(), self._parameters, allow_unused=True)

    def sum_gradient(self, batch: Batch) -> tuple[Tensor, float]:
        """The gradient of the loss's sum over one batch, and the weight of the batch; not counted in `passes`."""
        with torch.enable_grad():
            part = next(self._forward([batch]))
            gradient = self._flat(torch.autograd.grad(part.sum, self._parameters, allow_unused=True))
        self._finite(float(gradient.sum()), "gradient")
        return gradient, float(part.weight)

    def zeros(self) -> Tensor:
        return torch.zeros(self.size, dtype=self.dtype, device=self.device)

    def _forward(self, batches: Sequence[Batch] = ()) -> Iterator[losses.Reduced]:
        set_random_state(self._random)  # a model that draws is the same function every time
        for batch in batches or self.batches:
            result = self._model(batch.inputs)
            yield self._loss(seen_by(self._loss, result), batch.target, batch.weight)

    def _divisor(self, weight: float) -> float:
        if weight == 0.0:
            raise DataError("the batches have no weight: every row is ignored or weighs 0; give some that count")
        return 1.0 if self._loss.additive else weight

    def _finite(self, value: float, what: str = "loss") -> float:
        if not math.isfinite(value):
            raise ModelError(
                f"the {what} over the batches is {value}, a finite number was expected; look at the inputs and at a "
                "checkpoint from before the training broke"
            )
        return value

    def _pieces(self, vector: Tensor) -> list[Tensor]:
        cut = torch.split(vector, self._sizes)
        return [
            piece.view(parameter.shape).to(parameter) for piece, parameter in zip(cut, self._parameters, strict=True)
        ]

    def _flat(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """One vector of the tensors of all parameters; None is zero."""
        given = [
            torch.zeros_like(parameter) if tensor is None else tensor
            for tensor, parameter in zip(tensors, self._parameters, strict=True)
        ]
        dense = [tensor.to_dense() if tensor.is_sparse else tensor for tensor in given]
        return torch.cat([tensor.detach().reshape(-1).to(self.device, self.dtype) for tensor in dense])

    def _place(self, at: Tensor | None) -> None:
        if at is None:
            self.back()
            return
        self._before = self._before or [parameter.detach().clone() for parameter in self._parameters]
        with torch.no_grad():
            for parameter, piece in zip(self._parameters, self._pieces(at), strict=True):
                parameter.copy_(piece)

    @torch.no_grad()
    def back(self) -> None:
        """The weights as they were at first; untouched where they were never moved, so that a graph of theirs holds."""
        for parameter, before in zip(self._parameters, self._before, strict=bool(self._before)):
            parameter.copy_(before)
