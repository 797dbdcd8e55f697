"""The forward pass of a program's net as a graph of calls, and its dense head after convolutions: a tool of the checks."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from tunesmith.blocks.layers.init.graph import Graph, Step
from tunesmith.blocks.layers.init.tracing import traced
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.model_call import arguments, leaves
from tunesmith.doctor.preflight.seeing import quiet
from tunesmith.records import ModelError
from tunesmith.records.check import Inapplicable


@dataclass(frozen=True, slots=True)
class Head:
    """The first dense layer after the last convolution; names are paths of modules."""

    first: str  # the first convolution
    last: str  # the last one
    dense: str
    layer: nn.Linear
    channels: int  # that the last convolution gives


def graph_of(bench: Bench) -> Graph:
    """The calls of one pass in evaluation mode. Raises `Inapplicable` where the net is not called with its inputs alone."""
    return bench.kept("net_graph", lambda: _graph(bench))


def _graph(bench: Bench) -> Graph:
    given, named = arguments(bench, bench.batch(2, "net_graph"))
    if named and given:
        raise Inapplicable("the net is called with more than its inputs")
    try:
        with quiet():
            return traced(bench.model(), named or (given[0] if len(given) == 1 else given))
    except ModelError as error:
        raise Inapplicable(str(error)[:200]) from error


def as_it_is(bench: Bench) -> bool:
    """Whether the net is given the inputs as the data hold them."""
    batch = bench.batch(2, "net_graph")
    given, named = arguments(bench, batch)
    mine, theirs = list(leaves(batch.inputs)), list(leaves((given, named)))
    return len(mine) == len(theirs) and all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))


def head_of(bench: Bench) -> Head:
    """Raises `Inapplicable` where no dense layer follows convolutions."""
    graph = graph_of(bench)
    weights = list(graph.of("weight"))
    convolutions = [step for step in weights if isinstance(step.module, _ConvNd)]
    if not convolutions or any(isinstance(step.module, _ConvTransposeNd) for step in convolutions):
        raise Inapplicable("the net has no convolutions, or some that enlarge")
    first, last = convolutions[0], convolutions[-1]
    dense = next((step for step in weights if _follows(graph, step, last)), None)
    if dense is None or not isinstance(dense.module, nn.Linear) or not isinstance(last.module, _ConvNd):
        raise Inapplicable("no dense layer follows the convolutions")
    return Head(first.layer, last.layer, dense.layer, dense.module, last.module.out_channels)


def _follows(graph: Graph, step: Step, last: Step) -> bool:
    return isinstance(step.module, nn.Linear) and step.number > last.number and last.number in graph.before(step.number)
