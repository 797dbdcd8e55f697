"""The forward pass without a batch: by torch.fx where it can follow the model, else by the order of the modules."""

import operator
from typing import Any

import torch
from torch import fx, nn

from tunesmith.blocks.layers.init import vocabulary
from tunesmith.blocks.layers.init.graph import Graph, Step
from tunesmith.blocks.layers.init.passing import untouched

IN_A_ROW = "order of the modules"


def symbolic(model: nn.Module) -> Graph:
    """The calls as torch.fx sees them, or a chain of the modules in the order they were made; `source` says which, `reason` why."""
    try:
        with untouched(model):
            return from_fx(model, fx.Tracer().trace(model))
    except Exception as error:  # any line of the model's own code may refuse a symbol; the reason is told
        told = (" ".join(str(error).split()) or type(error).__name__)[:120]
        return in_a_row(model, f"torch.fx cannot follow the model ({told}); a batch would show what follows each layer")


def from_fx(model: nn.Module, found: fx.Graph) -> Graph:
    """A torch.fx graph as steps. Sizes and parameters are no data."""
    steps: list[Step] = []
    number: dict[fx.Node, int] = {}
    outputs: list[int] = []
    for node in found.nodes:
        data = [number[before] for before in node.all_input_nodes if before in number]
        if node.op == "output":
            outputs = data
        elif node.op == "placeholder" or (node.op != "get_attr" and data):
            number[node] = len(steps)
            steps.append(_step(model, node, len(steps), tuple(data)))
    return Graph(steps, outputs, "torch.fx")


def _step(model: nn.Module, node: fx.Node, number: int, data: tuple[int, ...]) -> Step:
    if node.op == "placeholder":
        return Step(number, "input", (), "input")
    if node.op == "call_module":
        return whole(number, str(node.target), model.get_submodule(str(node.target)), data)
    name = str(node.target) if node.op == "call_method" else vocabulary.name_of(node.target)
    name = vocabulary.SAME.get(name.strip("_"), name.strip("_"))
    held = [str(before.target) for before in node.all_input_nodes if before.op == "get_attr"]
    args = [_real(model, one) for one in node.args]
    given = {key: _real(model, one) for key, one in node.kwargs.items()}
    activation = vocabulary.activation_of_call(name, args, given)
    kind = "activation" if activation else _kind(name, data, bool(held))
    layer, owner = vocabulary.owner_of(model, held if kind == "weight" else ())
    floating = node.target not in (operator.gt, operator.lt, operator.eq)
    return Step(number, name, data, kind, activation, layer, owner, floating)


def _real(model: nn.Module, one: Any) -> Any:
    if isinstance(one, fx.Node) and one.op == "get_attr":
        owner, _, name = str(one.target).rpartition(".")
        return getattr(model.get_submodule(owner), name, None)
    return one


def _kind(name: str, data: tuple[int, ...], held: bool) -> str:
    if held and (name in vocabulary.WEIGHTS or name.startswith("conv")):
        return "weight"
    if name in vocabulary.ATTENTION and len(data) > 1:
        return "attention"
    if name in vocabulary.NORMS:
        return "norm"
    if name in vocabulary.SOFTMAXES:
        return "softmax"
    return "product" if name == "mul" and len(set(data)) > 1 else ""


def whole(number: int, path: str, module: nn.Module, data: tuple[int, ...]) -> Step:
    """A module as one step."""
    kind = vocabulary.kind_of(module)
    activation = vocabulary.activation_of(module) if kind == "activation" else ""
    name = "softmax" if isinstance(module, (nn.Softmax, nn.LogSoftmax)) else type(module).__name__.lower()
    kind = "softmax" if name == "softmax" else kind
    return Step(number, name, data, kind, activation, path, module)


def in_a_row(model: nn.Module, reason: str = "") -> Graph:
    """The modules that do something, each after the one made before it."""
    steps = [Step(0, "input", (), "input")]
    for path, module in model.named_modules():
        if vocabulary.kind_of(module) and not _inside_a_whole(model, path):
            steps.append(whole(len(steps), path, module, (len(steps) - 1,)))
    return Graph(steps, [len(steps) - 1], IN_A_ROW, reason)


def _inside_a_whole(model: nn.Module, path: str) -> bool:
    parts = path.split(".")
    above: list[torch.nn.Module] = [model.get_submodule(".".join(parts[:n])) for n in range(len(parts))]
    return any(vocabulary.kind_of(module) for module in above if module is not model or len(parts) > 1)
