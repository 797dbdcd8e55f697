"""Linear layers: one batched product forward, two backward."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tunesmith.training.batched.layers.layer import Layer, Stack, adds, named, same


class Linear(Layer):
    """y = x Wᵀ + b. Shape: (K, N, …, in) -> (K, N, …, out), with W (K, out, in) and b (K, out)."""

    def forward(self, x: Tensor, training: bool) -> Tensor:
        flat = x if x.dim() == 3 else x.flatten(1, -2)
        if training:
            self.x = flat
        weight = self.views["weight"]
        bias = self.views.get("bias")
        y = flat @ weight.mT if bias is None else torch.baddbmm(bias.unsqueeze(1), flat, weight.mT)
        return y if x.dim() == 3 else y.view(*x.shape[:-1], -1)

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        flat = dy if dy.dim() == 3 else dy.flatten(1, -2)
        self.put("weight", torch.bmm(flat.mT, self.x))
        if "bias" in self.views:
            self.put("bias", flat.sum(1))
        if not wanted:
            return dy
        dx = torch.bmm(flat, self.views["weight"])
        return dx if dy.dim() == 3 else dx.view(*dy.shape[:-1], -1)


@adds(nn.Linear)
def linear(layers: Sequence[nn.Linear], place: str, stack: Stack) -> Layer:
    same(layers, place, "in_features", "out_features")
    return Linear(stack, named(layers[0], place))
