"""Initialisers, one a file, and `initialise` for a whole model.

A member fills a weight (out, in, *kernel) in place, `member(weight, activation="relu")`, drawing from torch's global
generator. Legend: n_in = in x kernel positions, n_out = out x kernel positions.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tunesmith.records import Catalog, ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

INITS: Catalog[Callable[..., None]] = Catalog("init")
INITS.load(__path__, __name__)


def fans(weight: "Tensor") -> tuple[int, int]:
    """(n_in, n_out) of a weight (out, in, *kernel).

    >>> import torch
    >>> fans(torch.empty(8, 3, 5, 5))
    (75, 200)
    """
    if weight.dim() < 2:
        raise ModelError(
            f"a weight of shape {tuple(weight.shape)} has no fan: expected (out, in, *kernel); leave vectors alone"
        )
    kernel = weight[0, 0].numel()
    return weight.shape[1] * kernel, weight.shape[0] * kernel


def rule_for(activation: str) -> str:
    """The initialiser that keeps the variance through layers with this activation.

    He for the ReLU family (arXiv:1502.01852, eq. 10), Glorot for saturating ones (AISTATS 2010, eq. 12), LeCun for SELU
    (arXiv:1706.02515, section 2) and for linear networks.

    >>> [rule_for(name) for name in ("gelu", "tanh", "selu", "identity")]
    ['he_normal', 'xavier_uniform', 'lecun_normal', 'lecun_normal']
    """
    from tunesmith.blocks.layers.activations import ACTIVATIONS, RELU_FAMILY, SATURATING

    ACTIVATIONS[activation]
    if activation in RELU_FAMILY:
        return "he_normal"
    return "xavier_uniform" if activation in SATURATING else "lecun_normal"


def initialise(model: "nn.Module", rule: str = "auto", activation: str = "relu") -> "nn.Module":
    """Fills the weights of `model` in place, drawing from torch's global generator, and returns it.

    Linear and convolution weights by `rule` (auto: `rule_for(activation)`), embeddings N(0, 0.02²) with the padding
    row at 0, attention projections by Glorot as three matrices, recurrent input weights by Glorot and hidden ones
    orthogonal gate by gate, biases 0 but the forget gate of an LSTM at 1 (Jozefowicz et al., ICML 2015, section 5).
    Norm layers and modules not named here stay as they are. `rule="default"` leaves the whole model as torch made it.
    """
    import torch

    fill = INITS[rule_for(activation) if rule == "auto" else rule]
    if rule == "default":
        return model
    with torch.no_grad():
        for module in model.modules():
            _initialise_one(module, fill, activation)
    return model


def _initialise_one(module: "nn.Module", fill: Callable[..., None], activation: str) -> None:
    from torch import nn
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

    if isinstance(module, (nn.Linear, _ConvNd)):
        # a transposed convolution keeps its weight as (in, out, *kernel)
        fill(module.weight.transpose(0, 1) if isinstance(module, _ConvTransposeNd) else module.weight, activation)
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        INITS["normal"](module.weight)
        if module.padding_idx is not None:
            module.weight[module.padding_idx].zero_()
    elif isinstance(module, nn.MultiheadAttention):
        _attention(module)
    elif isinstance(module, nn.RNNBase):
        _recurrent(module)


def _attention(module: "nn.MultiheadAttention") -> None:
    packed = module.in_proj_weight
    separate = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    for weight in packed.chunk(3) if packed is not None else separate:
        INITS["xavier_uniform"](weight)
    if module.in_proj_bias is not None:
        module.in_proj_bias.zero_()


def _recurrent(module: "nn.RNNBase") -> None:
    for name, value in module.named_parameters(recurse=False):
        if name.startswith("bias"):
            value.zero_()
            if module.mode == "LSTM" and name.startswith("bias_ih"):
                value[module.hidden_size : 2 * module.hidden_size] = 1.0  # gates stand as input, forget, cell, output
        else:
            for gate in _gates(module, name, value):
                INITS["orthogonal" if name.startswith("weight_hh") else "xavier_uniform"](gate)


def _gates(module: "nn.RNNBase", name: str, value: "Tensor") -> Iterator["Tensor"]:
    yield from (value,) if name.startswith("weight_hr") else value.chunk(value.shape[0] // module.hidden_size)
