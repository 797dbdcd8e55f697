"""Layer norm and batch norm; formulas with the legend of `blocks/layers/norm`."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from tunesmith.records import DataError
from tunesmith.training.batched.layers.layer import Layer, Stack, across, adds, beneath, named, same

aten = torch.ops.aten


class LayerNorm(Layer):
    """y = γ (x - μ) / √(σ² + ε) + β over the last dimensions. Shape: (K, N, …, *sizes) -> the same. arXiv:1607.06450, eq. 4."""

    def __init__(self, stack: Stack, names: dict[str, str], sizes: tuple[int, ...], eps: float) -> None:
        super().__init__(stack, names)
        self.sizes, self.eps = list(sizes), eps

    def forward(self, x: Tensor, training: bool) -> Tensor:
        y, mean, spread = torch.native_layer_norm(x, self.sizes, None, None, self.eps)
        if training:
            self.x, self.normed, self.mean, self.spread = x, y, mean, spread
        if "weight" in self.views:
            y = y * self._beside("weight", x)
        if "bias" in self.views:
            y = y + self._beside("bias", x)
        return y

    def _beside(self, name: str, x: Tensor) -> Tensor:
        values = self.views[name]
        return values.view(len(values), *(1,) * (x.dim() - values.dim()), *self.sizes)

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        rows = list(range(1, dy.dim() - len(self.sizes)))
        if "bias" in self.views:
            self.put("bias", dy.sum(rows))
        if "weight" in self.views:
            self.put("weight", (dy * self.normed).sum(rows))
            dy = dy * self._beside("weight", dy)
        if not wanted:
            return dy
        kept = [True, False, False]
        found: Tensor = aten.native_layer_norm_backward(
            dy.contiguous(), self.x, self.sizes, self.mean, self.spread, None, None, kept
        )[0]
        return found


class BatchNorm(Layer):
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² over rows and positions of each channel of each trial.

    Shape: (K, N, C, *positions) -> the same. Running averages take n/(n-1) of σ². arXiv:1502.03167, algorithm 1; the gradient
    is that of its section 3. Raises `DataError` for one value a channel in training, as torch does.
    """

    def __init__(self, stack: Stack, names: dict[str, str], averages: dict[str, str], layer: nn.BatchNorm1d) -> None:
        self.averages = averages
        super().__init__(stack, names)
        self.eps, self.momentum = layer.eps, layer.momentum

    def bind(self) -> None:
        super().bind()
        self.running = {own: self.stack[name] for own, name in self.averages.items() if own != "num_batches_tracked"}

    def forward(self, x: Tensor, training: bool) -> Tensor:
        over = [1, *range(3, x.dim())]
        if training or not self.running:
            self._check(x, over, training)
            spread, mean = torch.var_mean(x, over, correction=0, keepdim=True)
            if training:
                self._remember(mean, spread, prod(x.shape[dim] for dim in over))
        else:
            mean, spread = (across(self.running[name], x) for name in ("running_mean", "running_var"))
        scale = (spread + self.eps).rsqrt()
        normed = (x - mean).mul_(scale)
        if training:
            self.over, self.normed, self.scale = over, normed, scale
        if "weight" not in self.views:
            return normed
        return torch.addcmul(across(self.views["bias"], x), normed, across(self.views["weight"], x))

    def _check(self, x: Tensor, over: Sequence[int], training: bool) -> None:
        if training and prod(x.shape[dim] for dim in over) == 1:
            raise DataError(
                "a batch norm got a batch of one row, whose variance is 0; set drop_last=True, or another batch_size"
            )

    def _remember(self, mean: Tensor, spread: Tensor, count: int) -> None:
        if not self.running:
            return
        seen = self.stack.counters[self.averages["num_batches_tracked"]]
        seen += 1
        share = 1 / int(seen) if self.momentum is None else self.momentum
        latest = {"running_mean": mean, "running_var": spread * (count / (count - 1))}
        for name, value in latest.items():
            running = self.running[name]
            running.mul_(1 - share).add_(value.view_as(running), alpha=share)

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        along = (dy * self.normed).sum(self.over, keepdim=True)
        total = dy.sum(self.over, keepdim=True)
        scale = self.scale
        if "weight" in self.views:
            weight = self.views["weight"]
            self.put("weight", along.view_as(weight))
            self.put("bias", total.view_as(weight))
            scale = scale * across(weight, dy)
        if not wanted:
            return dy
        count = prod(dy.shape[dim] for dim in self.over)
        dx: Tensor = (dy - total / count).addcmul_(self.normed, along, value=-1 / count).mul_(scale)
        return dx


@adds(nn.LayerNorm)
def layer_norm(layers: Sequence[nn.LayerNorm], place: str, stack: Stack) -> Layer:
    same(layers, place, "normalized_shape", "eps", "elementwise_affine")
    return LayerNorm(stack, named(layers[0], place), layers[0].normalized_shape, layers[0].eps)


@adds(nn.BatchNorm1d, nn.BatchNorm2d)
def batch_norm(layers: Sequence[nn.BatchNorm1d], place: str, stack: Stack) -> Layer:
    same(layers, place, "num_features", "eps", "momentum", "affine", "track_running_stats")
    averages = {name: beneath(place, name) for name, value in layers[0].named_buffers() if value is not None}
    return BatchNorm(stack, named(layers[0], place), averages, layers[0])
