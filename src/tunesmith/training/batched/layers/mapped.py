"""Any other layer, by `torch.func.vmap` over its weights, with torch's own gradients."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from tunesmith.training.batched.layers.layer import Layer, Stack, beneath, hooked, refuse


class Mapped(Layer):
    """y = f(x; weights) for each trial. Shape: (K, N, …) -> what the layer makes of it, (K, N, …).

    Settings of the layer other than its weights are those of the first trial. Raises `ModelError`, naming the layer, where
    it draws random numbers, changes buffers, has weights that it does not use, or does what vmap has no rule for.
    """

    def __init__(self, layers: Sequence[nn.Module], place: str, stack: Stack) -> None:
        self.layer, self.place = layers[0], place
        for name, part in self.layer.named_modules():
            self._check(part, beneath(place, name) if name else place)
        names = {name: beneath(place, name) for name, _ in self.layer.named_parameters()}
        self.constant = {name: beneath(place, name) for name, _ in self.layer.named_buffers()}
        whole = next((name for name, value in self.layer.named_buffers() if not value.is_floating_point()), None)
        if whole is not None:
            raise refuse(
                self.layer, place, f"its buffer {whole} holds whole numbers, which may change as it is trained"
            )
        self._check_alike(layers)
        super().__init__(stack, names)

    def _check(self, part: nn.Module, place: str) -> None:
        if isinstance(part, _DropoutNd) or (isinstance(part, nn.RNNBase) and part.dropout > 0):
            raise refuse(part, place, "each trial draws its own masks, which only stacked layers do")
        if isinstance(part, _NormBase):
            raise refuse(part, place, "it keeps running averages, which only stacked layers do")
        if hooked(part):
            raise refuse(part, place, "it has hooks, which see one net at a time")

    def _check_alike(self, layers: Sequence[nn.Module]) -> None:
        shown = str(self.layer)  # the settings that a layer tells of itself, and of its parts
        if any(str(layer) != shown for layer in layers):
            raise refuse(self.layer, self.place, "it has other settings in other nets of the group")

    @property
    def mapped(self) -> bool:
        return True

    def forward(self, x: Tensor, training: bool) -> Tensor:
        self.layer.train(training)
        buffers = {own: self.stack[name] for own, name in self.constant.items()}
        if not training:
            return self._called(self.views, buffers, x)
        with torch.enable_grad():
            self.x = x.detach().requires_grad_(x.is_floating_point())
            self.leaves = {own: view.detach().requires_grad_() for own, view in self.views.items()}
            self.y = self._called(self.leaves, buffers, self.x)
        return self.y.detach()

    def _called(self, weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        def call(weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
            found = functional_call(self.layer, (weights, buffers), (x,))
            if not isinstance(found, Tensor):
                raise TypeError(f"it gives a {type(found).__name__}, not a tensor")
            return found

        try:
            return vmap(call, randomness="error")(weights, buffers, x)
        except (RuntimeError, TypeError, NotImplementedError, ValueError) as error:
            because = str(error).strip().splitlines()[0].rstrip(".;")
            raise refuse(self.layer, self.place, f"vmap says: {because}") from error

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        names = list(self.leaves)
        inputs = [self.leaves[own] for own in names] + ([self.x] if wanted else [])
        if not inputs or not self.y.requires_grad:
            return dy
        found = torch.autograd.grad(self.y, inputs, dy, allow_unused=True)
        for own, gradient in zip(names, found, strict=False):
            if gradient is None:  # torch's optimizers would pass over it, those of a stack would let it decay
                raise refuse(self.layer, self.place, f"its {own} takes no part in what it gives")
            self.put(own, gradient)
        if not wanted:
            return dy
        return torch.zeros_like(self.x) if found[-1] is None else found[-1]
