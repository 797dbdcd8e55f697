"""Live objects as Python expressions: torch's layers as the calls that make them, plain values as literals."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import BuiltinFunctionType, FunctionType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.records import ModelError

WIDTH = 110  # of a line of code
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
Refer = Callable[[str, Any], str]  # the name under which a function or class is known in the text
Inner = Callable[[str, Any], "Call"]  # the expression of a module inside another, by its name there


class NoSource(ModelError):
    """A net, or a part of it, that cannot be written as code; the sentence says why, and once `placed`, where."""

    def __init__(self, message: str, *, placed: bool = False) -> None:
        super().__init__(message)
        self.placed = placed


@dataclass(frozen=True, slots=True)
class Call:
    """`head(label item, …)`: an expression whose items may be calls themselves."""

    head: str
    items: Sequence[tuple[str, "Call | str"]]
    close: str = ")"

    def text(self, indent: int = 0, used: int = 0) -> str:
        """In one line where it fits after `used` letters, else an item a line."""
        line = (
            self.head
            + ", ".join(label + (item if isinstance(item, str) else item.text()) for label, item in self.items)
            + self.close
        )
        if not self.items or ("\n" not in line and used + len(line) <= WIDTH):
            return line
        inner = " " * (indent + 4)
        rows = [f"{inner}{label}{_text(item, indent + 4, indent + 4 + len(label))}," for label, item in self.items]
        return "\n".join([self.head, *rows, " " * indent + self.close])


def _text(item: Call | str, indent: int, used: int) -> str:
    return item if isinstance(item, str) else item.text(indent, used)


def literal(value: Any, refer: Refer) -> str:
    """A plain value as code. Raises `NoSource` for what has no literal."""
    match value:
        case None | bool() | int() | str() | bytes():
            return repr(value)
        case float():
            return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
        case torch.Size():
            return repr(tuple(value))
        case torch.dtype():
            return refer("torch", torch) + repr(value).removeprefix("torch")
        case torch.device():
            return f"{refer('torch', torch)}.{value!r}"
        case list() | set() | tuple() if type(value) in (list, set, tuple):
            inside = ", ".join(literal(item, refer) for item in value)
            if isinstance(value, list):
                return f"[{inside}]"
            if isinstance(value, set):
                return f"{{{inside}}}" if value else "set()"
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        case Mapping() if type(value) is dict:
            return (
                "{" + ", ".join(f"{literal(key, refer)}: {literal(held, refer)}" for key, held in value.items()) + "}"
            )
        case SimpleNamespace():
            return _namespace(vars(value), refer)
        case FunctionType() | BuiltinFunctionType() | type():
            return refer(value.__name__, value)
    if is_dataclass(value):
        return _namespace({field.name: getattr(value, field.name) for field in fields(value)}, refer)
    raise NoSource(f"a {type(value).__name__} has no literal")


def _namespace(values: Mapping[str, Any], refer: Refer) -> str:
    inside = ", ".join(f"{name}={literal(value, refer)}" for name, value in values.items())
    return f"{refer('SimpleNamespace', SimpleNamespace)}({inside})"


def held_tensor(tensor: Tensor, refer: Refer) -> str:
    """A parameter or buffer of the right shape and type; its values come with the weights."""
    kind = "" if tensor.dtype == torch.float32 else f", dtype={literal(tensor.dtype, refer)}"
    empty = f"{refer('torch', torch)}.empty({literal(tuple(tensor.shape), refer)}{kind})"
    if not isinstance(tensor, nn.Parameter):
        return f"{refer('nn', nn)}.Buffer({empty})"
    return f"{refer('nn', nn)}.Parameter({empty}{'' if tensor.is_floating_point() else ', requires_grad=False'})"


def torch_module(module: nn.Module, refer: Refer, inner: Inner) -> Call:
    """A layer of torch as the call that makes it; `inner` writes the modules inside a container.

    Raises `NoSource` for a layer whose settings cannot be read back from it.
    """
    head = _named(type(module), refer)
    match module:
        case nn.Sequential():
            return _sequential(module, head, refer, inner)
        case nn.ModuleList() | nn.ParameterList():
            return Call(head + "([", [("", inner(str(place), item)) for place, item in enumerate(module)], "])")
        case nn.ModuleDict() | nn.ParameterDict():
            return Call(head + "({", [(f"{key!r}: ", inner(key, item)) for key, item in module.items()], "})")
        case nn.TransformerEncoder():
            items: list[tuple[str, Call | str]] = [
                ("", inner("layers.0", module.layers[0])),
                ("", str(module.num_layers)),
            ]
            items += [] if module.norm is None else [("norm=", inner("norm", module.norm))]
            items += [] if module.enable_nested_tensor else [("enable_nested_tensor=", "False")]
            return Call(head + "(", items)
    return Call(head + "(", list(_arguments(module, refer)))


def _named(cls: type, refer: Refer) -> str:
    return f"{refer('nn', nn)}.{cls.__name__}" if getattr(nn, cls.__name__, None) is cls else refer(cls.__name__, cls)


def _sequential(module: nn.Sequential, head: str, refer: Refer, inner: Inner) -> Call:
    from collections import OrderedDict

    names = list(module._modules)
    if names == [str(place) for place in range(len(names))]:
        return Call(head + "(", [("", inner(name, item)) for name, item in module._modules.items()])
    ordered = refer("OrderedDict", OrderedDict)
    return Call(
        f"{head}({ordered}({{", [(f"{name!r}: ", inner(name, item)) for name, item in module._modules.items()], "}))"
    )


def _arguments(module: nn.Module, refer: Refer) -> Iterator[tuple[str, str]]:
    """The arguments that made a layer, those at their default left out."""
    given = _settings(module)
    parameters = _parameters(type(module))
    plain = True  # still in the row of arguments without names
    for name, parameter in parameters.items():
        if name in ("device", "_weight", "_freeze"):
            continue
        if name == "dtype":
            value: Any = next((held.dtype for held in module.parameters(False) if held.dtype != torch.float32), None)
        elif name not in given:
            if parameter.default is inspect.Parameter.empty:
                raise NoSource(f"{type(module).__name__} does not keep its argument {name}")
            continue
        else:
            value = given[name]
        if parameter.default is not inspect.Parameter.empty and _same(value, parameter.default):
            plain = False
            continue
        plain = plain and parameter.default is inspect.Parameter.empty
        yield ("" if plain else f"{name}=", literal(value, refer))


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if base is nn.Module or "__init__" not in vars(base):
            continue
        named = inspect.signature(vars(base)["__init__"]).parameters
        open_ended = any(
            parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in named.values()
        )
        for name, parameter in named.items():
            if name not in ("self", "mode") and parameter.kind in (
                parameter.POSITIONAL_OR_KEYWORD,
                parameter.KEYWORD_ONLY,
            ):
                found.setdefault(name, parameter)
        if not open_ended:
            break
    return found


def _settings(module: nn.Module) -> dict[str, Any]:
    """What a layer was made with, as far as it says."""
    given = {name: getattr(module, name) for name in _parameters(type(module)) if hasattr(module, name)}
    if isinstance(given.get("bias", False), Tensor | None):
        given["bias"] = given["bias"] is not None
    match module:
        case nn.modules.conv._ConvNd():
            given |= {
                name: _single(given[name])
                for name in ("kernel_size", "stride", "padding", "dilation", "output_padding")
                if name in given
            }
        case nn.MultiheadAttention():
            given |= {"bias": module.in_proj_bias is not None, "add_bias_kv": module.bias_k is not None}
            given |= {name: None for name in ("kdim", "vdim") if given[name] == module.embed_dim}
        case nn.TransformerEncoderLayer():
            attention = module.self_attn
            given |= {
                "d_model": attention.embed_dim,
                "nhead": attention.num_heads,
                "dim_feedforward": module.linear1.out_features,
                "dropout": module.dropout.p,
                "activation": module.activation,
                "layer_norm_eps": module.norm1.eps,
                "batch_first": attention.batch_first,
                "bias": module.linear1.bias is not None,
            }
    return given


def _single(value: Any) -> Any:
    """(3, 3) as 3, which is how one writes it."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _same(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and not callable(value) and bool(value == default))
