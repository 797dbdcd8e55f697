"""What the rules of thumb ask of a network that is the user's own: its kind, its norms, its size."""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy

ATTENTION = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
PLAIN = (
    nn.Linear,
    nn.Bilinear,
    nn.Embedding,
    nn.EmbeddingBag,
    nn.PReLU,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    _NormBase,
)


def about(model: nn.Module) -> dict[str, Any]:
    """Kind, batch norm, parameters and recurrent layers of a network, by the names of the experience.

    The kind goes by the layers: attention, recurrence, convolution, or nothing but linear ones; anything else is "own".
    """
    modules = list(model.modules())
    found: dict[str, Any] = {"model": _kind(modules), "batch_norm": any(isinstance(one, _BatchNorm) for one in modules)}
    found["parameters"] = sum(weight.numel() for weight in model.parameters() if not is_lazy(weight))
    if found["model"] == "rnn":
        found["layers"] = sum(getattr(one, "num_layers", 1) for one in modules if isinstance(one, RECURRENT))
    return found


def _kind(modules: list[nn.Module]) -> str:
    if any(isinstance(one, ATTENTION) or type(one).__name__.endswith("Attention") for one in modules):
        return "transformer"
    if any(isinstance(one, RECURRENT) for one in modules):
        return "rnn"
    if any(isinstance(one, _ConvNd) for one in modules):
        return "cnn"
    holders = [one for one in modules if next(one.parameters(recurse=False), None) is not None]
    return "mlp" if holders and all(isinstance(one, PLAIN) for one in holders) else "own"
