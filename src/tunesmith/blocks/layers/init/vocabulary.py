"""What the calls of a forward pass mean: which are weights, norms, activations, and what each activation is called."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from tunesmith.blocks.layers.init.gains import LEAK

WEIGHTED = (nn.Linear, _ConvNd, nn.Bilinear, nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
FUNCTIONS = {  # of torch, and of its tensors: the activation meant
    "relu": "relu",
    "relu6": "relu6",
    "threshold": "threshold",
    "elu": "elu",
    "celu": "celu",
    "selu": "selu",
    "gelu": "gelu",
    "silu": "silu",
    "mish": "mish",
    "hardswish": "hard_swish",
    "softplus": "softplus",
    "logsigmoid": "log_sigmoid",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "special_expit": "sigmoid",
    "expit": "sigmoid",
    "hardtanh": "hard_tanh",
    "hardsigmoid": "hard_sigmoid",
    "softsign": "softsign",
    "erf": "erf",
    "glu": "sigmoid",  # a gate
}
IN_A_NAME = (  # of a class that somebody else wrote; the first that fits
    ("leakyrelu", "leaky_relu"),
    ("gelu", "gelu"),
    ("hardswish", "hard_swish"),
    ("swish", "silu"),
    ("silu", "silu"),
    ("mish", "mish"),
    ("selu", "selu"),
    ("celu", "celu"),
    ("relu6", "relu6"),
    ("relu", "relu"),
    ("elu", "elu"),
    ("softplus", "softplus"),
    ("logsigmoid", "log_sigmoid"),
    ("hardsigmoid", "hard_sigmoid"),
    ("sigmoid", "sigmoid"),
    ("hardtanh", "hard_tanh"),
    ("softsign", "softsign"),
    ("tanhshrink", ""),
    ("tanh", "tanh"),
    ("threshold", "threshold"),
)
SAME = {"iadd": "add", "radd": "add", "imul": "mul", "rmul": "mul", "multiply": "mul", "rmatmul": "matmul"}
NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm", "normalize")
PRODUCTS = ("matmul", "mm", "bmm", "einsum", "addmm", "baddbmm", "addbmm", "tensordot", "inner", "mv", "addmv")
WEIGHTS = ("linear", "bilinear", "multi_head_attention_forward", "lstm", "gru", "rnn_tanh", "rnn_relu", *PRODUCTS)
ATTENTION = ("scaled_dot_product_attention", *PRODUCTS)  # of two things that both come from the data
CONSTANTS = (  # what they give knows only a shape
    *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like", "new_zeros", "new_ones"),
    *("new_full", "new_empty", "new_tensor", "size", "dim", "numel"),
)
SOFTMAXES = ("softmax", "log_softmax", "softmin")


def name_of(function: Any) -> str:
    """The plain name of a torch function or method: `__iadd__` and `add_` are `add`."""
    name = str(getattr(function, "__name__", "")).strip("_")
    return SAME.get(name, name)


def activation_of_call(name: str, args: Sequence[Any], given: Mapping[str, Any]) -> str:
    """The activation that a call computes; "" for none."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    match name:
        case "leaky_relu":
            return _sloped("leaky_relu", _argument(args, given, 1, "negative_slope", LEAK))
        case "rrelu":
            lower, upper = _argument(args, given, 1, "lower", 1 / 8), _argument(args, given, 2, "upper", 1 / 3)
            return _sloped("rrelu", (float(lower) + float(upper)) / 2)
        case "prelu":
            return _sloped("prelu", float(_argument(args, given, 1, "weight", 0.25).detach().mean()))
        case "clamp" | "clip" | "clamp_min" | "clip_min":
            return _clamped(_argument(args, given, 1, "min", None), _argument(args, given, 2, "max", None))
        case "maximum" | "max":
            other = _argument(args, given, 1, "other", None)
            return "relu" if isinstance(other, Tensor) and other.is_floating_point() and not other.any() else ""
        case _:
            return ""


def _argument(args: Sequence[Any], given: Mapping[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else given.get(name, default)


def _sloped(name: str, slope: float) -> str:
    return f"{name}({slope:.6g})"


def _clamped(low: Any, high: Any) -> str:
    low, high = (float(x) if isinstance(x, Tensor) and x.numel() == 1 else x for x in (low, high))
    if low == 0:
        return "relu" if high is None else "relu6"
    return "hard_tanh" if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low == -high else ""


def activation_of(module: nn.Module) -> str:
    """The activation that a module is, also one that somebody else wrote; "" for none."""
    if next(module.children(), None) is not None or any(p.dim() > 1 for p in module.parameters(recurse=False)):
        return ""
    if isinstance(module, nn.LeakyReLU):
        return _sloped("leaky_relu", module.negative_slope)
    if isinstance(module, nn.RReLU):
        return _sloped("rrelu", (module.lower + module.upper) / 2)
    if isinstance(module, nn.PReLU):
        return _sloped("prelu", float(module.weight.detach().mean()))
    if isinstance(module, nn.GLU):
        return "sigmoid"
    written = type(module).__name__.lower().replace("_", "")
    return next((name for part, name in IN_A_NAME if part in written), "")


def is_norm(module: nn.Module) -> bool:
    """Whether a module only normalises: by its name, or as one of the norm catalogue, and without a matrix inside."""
    ours = type(module).__module__.startswith("tunesmith.blocks.layers.norm")
    if not (ours or "norm" in type(module).__name__.lower()):
        return False
    return not any(isinstance(part, (*WEIGHTED, *EMBEDDINGS)) for part in module.modules()) and not any(
        parameter.squeeze().dim() > 1 for parameter in module.parameters() if not isinstance(module, nn.LayerNorm)
    )


def kind_of(module: nn.Module) -> str:
    """weight, embedding, norm, activation or dropout, for a module that is one whole; "" for all others."""
    if isinstance(module, EMBEDDINGS):
        return "embedding"
    if isinstance(module, WEIGHTED):
        return "weight"
    if is_norm(module):
        return "norm"
    return "activation" if activation_of(module) else ""


def owner_of(model: nn.Module, paths: Sequence[str]) -> tuple[str, nn.Module | None]:
    """The layer that these parameters, used by a function, make up whole; else the first one's path, and None."""
    for path in paths:
        owner, _, name = path.rpartition(".")
        module = model.get_submodule(owner) if name == "weight" else None
        if module is not None and kind_of(module) in ("weight", "embedding"):
            bias = f"{owner}.bias".lstrip(".")
            if getattr(module, "bias", None) is None or bias in paths:
                return owner, module
    return (paths[0] if paths else ""), None


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors of nested lists, tuples, mappings and the objects that hold outputs, in order."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, Mapping):
        return [tensor for value in tree.values() for tensor in tensors_in(value)]
    if isinstance(tree, (list, tuple)):
        return [tensor for value in tree for tensor in tensors_in(value)]
    if hasattr(tree, "__dataclass_fields__"):
        return [tensor for name in tree.__dataclass_fields__ for tensor in tensors_in(getattr(tree, name, None))]
    if isinstance(tree, torch.nn.utils.rnn.PackedSequence):
        return [tree.data]
    return []
