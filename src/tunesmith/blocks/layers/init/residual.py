"""Residual branches that start at zero, so that each block starts as its skip.

The last norm's gain of a branch, or the last weight where no norm ends it: Goyal et al., arXiv:1706.02677, section 5.1;
Zhang, Dauphin & Ma, Fixup, arXiv:1901.09321, section 3.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from tunesmith.blocks.layers.init.filling import held_by, is_weight_normed, length_of, set_weight, weight_of
from tunesmith.blocks.layers.init.following import graph_of
from tunesmith.blocks.layers.init.graph import Graph, Step
from tunesmith.blocks.layers.init.passing import plain
from tunesmith.blocks.layers.init.symbolic import IN_A_ROW
from tunesmith.records import ModelError


def zero_residual(model: nn.Module, batch: Any = None) -> list[str]:
    """Makes every residual branch start at zero, in place; gives the layers that were set.

    A branch is the operand of an addition that comes through more weights from what both operands come from. Its last
    norm with a gain, else its last linear layer, convolution or attention output is set to 0. A branch that ends in a
    ReLU stays: at zero it would pass no gradient.

    Raises `ModelError` where there is no such branch, or only layers that are frozen.
    Source: arXiv:1706.02677, section 5.1; arXiv:1901.09321, section 3.
    """
    inner = plain(model)
    return start_at_zero(inner, graph_of(inner, batch))


def start_at_zero(model: nn.Module, graph: Graph) -> list[str]:
    """The same for a model whose graph is known."""
    if graph.source == IN_A_ROW:
        raise ModelError(
            f"residual branches cannot be told from the {graph.source}; give a batch, as in zero_residual(model, batch)"
        )
    ends = [end for _, end in graph.branches()]
    found = {end.layer: end for end in ends if end is not None and _can_be_zero(end)}
    if not found:
        seen = (
            f"{len(ends)} end in something whose zero would pass no gradient or is frozen" if ends else "none is there"
        )
        raise ModelError(
            f"no residual branch of the {type(model).__name__} can start at zero: {seen}; leave zero_residual off"
        )
    for end in found.values():
        _zero(end.module)
    return list(found)


def _can_be_zero(end: Step) -> bool:
    module = end.module
    if isinstance(module, nn.MultiheadAttention):
        return module.out_proj.weight.requires_grad
    if end.kind == "norm":
        return isinstance(module, nn.Module) and bool(getattr(module.weight, "requires_grad", False))
    return isinstance(module, (nn.Linear, _ConvNd)) and any(one.requires_grad for one in held_by(module))


@torch.no_grad()
def _zero(module: Any) -> None:
    if isinstance(module, nn.MultiheadAttention):
        module = module.out_proj
    if is_weight_normed(module):
        length_of(module).zero_()  # the direction stays: a zero has none
    elif isinstance(module, (nn.Linear, _ConvNd)):
        set_weight(module, torch.zeros_like(weight_of(module)))
    else:
        module.weight.zero_()
    if getattr(module, "bias", None) is not None:
        module.bias.zero_()
