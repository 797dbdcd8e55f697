"""Which activation follows each layer with weights, and how that was found out."""

from typing import Any, NamedTuple

from torch import nn

from tunesmith.blocks.layers.init.graph import Graph, Step
from tunesmith.blocks.layers.init.symbolic import IN_A_ROW, in_a_row, symbolic
from tunesmith.blocks.layers.init.tracing import traced
from tunesmith.blocks.layers.init.vocabulary import activation_of


class Following(NamedTuple):
    """The activation after a layer, whether the layer is one of the last, and where this is known from."""

    activation: str
    last: bool
    source: str


def graph_of(model: nn.Module, batch: Any = None) -> Graph:
    """The calls of the model: traced with a batch, else by torch.fx, else by the order of the modules."""
    return symbolic(model) if batch is None else traced(model, batch)


def following(model: nn.Module, graph: Graph) -> dict[str, Following]:
    """By path of the layer. A layer called several times goes by its first call; one that was not called, by its place."""
    found = _read(model, graph)
    if graph.source == IN_A_ROW:
        return found
    for path, guess in _read(model, in_a_row(model)).items():
        found.setdefault(path, guess._replace(source=f"{IN_A_ROW} ({graph.source}: not called)"))
    return found


def _read(model: nn.Module, graph: Graph) -> dict[str, Following]:
    modules = dict(model.named_modules())
    functional = not any(True for _ in graph.of("activation"))
    found: dict[str, Following] = {}
    for step in graph.of("weight", "embedding"):
        path = step.layer if step.module is not None else step.layer.rpartition(".")[0]
        if path not in modules or path in found:
            continue
        activation, last = graph.after(step.number)
        source = graph.source
        if graph.source == IN_A_ROW and activation == "identity" and not last:
            activation, source = _beside(modules, path, step, functional, source)
        found[path] = Following(activation, last, source)
        if isinstance(step.module, nn.MultiheadAttention):
            found[f"{path}.out_proj"] = Following(activation, last, source)
    return found


def _beside(modules: dict[str, nn.Module], path: str, step: Step, functional: bool, source: str) -> tuple[str, str]:
    """Where the order of modules shows no activation: the one its parent holds, or ReLU in a net that shows none at all."""
    parent = modules[path.rpartition(".")[0]]
    children = list(parent.children())
    near = [i for i, child in enumerate(children) if activation_of(child)]
    # behind a convolution its block's one activation usually stands twice; behind the second linear layer of an MLP not
    passed = (
        isinstance(step.module, nn.Linear)
        and step.module in children
        and near
        and near[0] < children.index(step.module)
    )
    if near and not passed and not isinstance(parent, nn.Sequential):
        return activation_of(children[near[0]]), source
    return ("relu", "assumed") if functional else ("identity", source)
