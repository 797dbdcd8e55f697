"""Layers of K nets at once: forward and backward written out over stacked weights.

Legend of the shapes: K trials, N rows of a batch, F features, C channels. A layer takes (K, N, …) and gives (K, N, …). What it
needs for its backward pass it keeps from its forward pass in training. Gradients of parameters go to `stack.parameters`.

A file of this folder adds its builders to `LAYERS` by the type of torch's layer. A type that is not there is computed by
`torch.func.vmap` (`mapped.py`), or refused.
"""

from importlib import import_module

from tunesmith.training.batched.layers.layer import LAYERS, Layer, Stack, build

for _name in (
    "activations",
    "builtin",
    "convolution",
    "dropout",
    "embedding",
    "linear",
    "normalization",
    "pooling",
    "shapes",
):
    import_module(f"{__name__}.{_name}")

__all__ = ["LAYERS", "Layer", "Stack", "build"]
