"""Embeddings: rows of a table of each trial."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tunesmith.training.batched.layers.layer import Layer, Stack, adds, named, refuse, same


class Embedding(Layer):
    """y = W[i]. Shape: whole numbers (K, N, …) -> (K, N, …, D), with W (K, V, D). The row of `padding` is not trained."""

    def __init__(self, stack: Stack, names: dict[str, str], padding: int | None) -> None:
        super().__init__(stack, names)
        self.padding = padding

    def forward(self, x: Tensor, training: bool) -> Tensor:
        table = self.views["weight"]
        trial = torch.arange(len(table), device=x.device).view(-1, *(1,) * (x.dim() - 1))
        if training:
            self.rows = (x + trial * table.shape[1]).reshape(-1)
            self.padded = x == self.padding if self.padding is not None else None
        return table[trial, x]

    def backward(self, dy: Tensor, wanted: bool) -> Tensor:
        table = self.views["weight"]
        if self.padded is not None:
            dy = dy.masked_fill(self.padded.unsqueeze(-1), 0.0)
        size = table.shape[-1]
        total = dy.new_zeros(table.shape[0] * table.shape[1], size)
        self.put("weight", total.index_add_(0, self.rows, dy.reshape(-1, size)))
        return dy


@adds(nn.Embedding)
def embedding(layers: Sequence[nn.Embedding], place: str, stack: Stack) -> Layer:
    same(layers, place, "padding_idx", "max_norm", "scale_grad_by_freq", "sparse")
    first = layers[0]
    if first.max_norm is not None or first.scale_grad_by_freq or first.sparse:
        raise refuse(first, place, "max_norm, scale_grad_by_freq and sparse gradients have no stacked form")
    return Embedding(stack, named(first, place), first.padding_idx)
