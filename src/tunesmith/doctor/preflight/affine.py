"""The products with weights in a model's graph, and what lies between them: a tool of the checks.

Read from torch's own graph of one forward pass in evaluation mode, so that layers, functions and products by hand look alike.
"""

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from torch import Tensor, nn

PRODUCTS = ("Addmm", "Mm", "Addmv", "Mv", "Convolution", "MkldnnConvolution")
SOURCES = ("Embedding", "EmbeddingBag")
SHAPES = (
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "Transpose",
    "T",
    "Permute",
    "Squeeze",
    "Unsqueeze",
    "Expand",
    "Clone",
    "Alias",
)
PARTS = (
    "Slice",
    "Select",
    "Index",
    "Split",
    "SplitWithSizes",
    "Unbind",
    "Flip",
    "Roll",
    "Repeat",
    "AsStrided",
    "ConstantPadNd",
    "ToCopy",
)
MEANS = (
    "Mean",
    "Sum",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "AdaptiveAvgPool1D",
    "AdaptiveAvgPool2D",
    "AdaptiveAvgPool3D",
)
SIMPLE = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Neg",
    "NativeBatchNorm",
    "NativeDropout",
    "UpsampleNearest2D",
    "UpsampleBilinear2D",
)
UNARY = (*SHAPES, *PARTS, *MEANS, *SIMPLE)  # affine where a single operand comes from the data
RECURRENT = (nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


@dataclass(frozen=True, slots=True)
class Product:
    """A product of data with a weight."""

    name: str  # of the layer, or of the parameter where it is used by hand
    into: int  # numbers that go into one output: with those of the kernel
    out: int
    middle: int  # width that it takes: channels of a convolution
    grouped: bool
    transposed: bool
    kernel: tuple[int, ...]
    recurrent: bool  # of a recurrent or attention layer, whose inner products are no layers of their own


@dataclass(frozen=True, slots=True)
class Pair:
    """Two products with nothing but affine maps between, the second the only reader of the first."""

    first: Product
    second: Product

    @property
    def middle(self) -> int:
        """How many numbers pass from one to the other."""
        return self.first.out if self.second.kernel else self.second.middle

    @property
    def siblings(self) -> bool:
        """Whether both stand in the same part of the model; where two parts meet, what passes may be wanted as it is."""
        return self.first.name.rpartition(".")[0] == self.second.name.rpartition(".")[0]

    @property
    def composed(self) -> int:
        """Weights of the one map that the two make: kernels of a and b give one of a + b - 1."""
        size = self.first.middle * self.second.out
        for one, two in zip_longest(self.first.kernel, self.second.kernel, fillvalue=1):
            size *= one + two - 1
        return size

    @property
    def deliberate(self) -> bool:
        """Whether it is a factorisation: with fewer weights than the one map, by groups, by axes, or an upsampling."""
        one, two = self.first, self.second
        if one.grouped or two.grouped or one.transposed or two.transposed:
            return True
        weights = one.into * one.out + two.into * two.out
        apart = one.kernel and two.kernel and all(1 in pair for pair in zip(one.kernel, two.kernel, strict=False))
        spread = max((*one.kernel, 1)) > 1 and max((*two.kernel, 1)) > 1
        return bool(apart and spread) or weights < self.composed


class Graph:
    """The products and the pairs of them."""

    def __init__(self, model: nn.Module, outputs: Tensor, inputs: list[Tensor]) -> None:
        self.names = {
            id(each): (name, f"{name}.{own}".removeprefix("."), isinstance(module, RECURRENT))
            for name, module in model.named_modules()
            for own, each in module.named_parameters(recurse=False)
        }
        self.inputs = {id(each) for each in inputs}
        self.order: list[Any] = []
        self.readers: dict[Any, int] = {}
        self._walk(outputs.grad_fn)
        self.data: dict[Any, bool] = {}
        for node in self.order:
            self.data[node] = self._from_data(node)
        self.products = {node: made for node in self.order if (made := self._product(node)) is not None}

    def _walk(self, root: Any) -> None:
        """Nodes with those that feed them first."""
        stack, seen = [(root, False)], set()
        while stack:
            node, done = stack.pop()
            if done:
                self.order.append(node)
                continue
            if node is None or node in seen:
                continue
            seen.add(node)
            stack.append((node, True))
            for before, _ in node.next_functions:
                if before is not None:
                    self.readers[before] = self.readers.get(before, 0) + 1
                    stack.append((before, False))

    def _from_data(self, node: Any) -> bool:
        variable = getattr(node, "variable", None)
        if variable is not None:
            return id(variable) in self.inputs
        return kind(node) in SOURCES or any(self.data.get(before, False) for before, _ in node.next_functions)

    def _operands(self, node: Any) -> list[Any]:
        """The operands that come from the data."""
        return [before for before, _ in node.next_functions if before is not None and self.data.get(before, False)]

    def _product(self, node: Any) -> Product | None:
        name = kind(node)
        if name not in PRODUCTS or len(self._operands(node)) != 1:
            return None
        places = [place for place, (before, _) in enumerate(node.next_functions) if self.data.get(before, False)]
        told = self._told(node, places[0])
        if "Convolution" in name:
            if places[0] != 0:
                return None
            weight, groups = node._saved_weight, node._saved_groups
            transposed = bool(getattr(node, "_saved_transposed", False))
            kernel = tuple(weight.shape[2:])
            size = 1
            for each in kernel:
                size *= each
            one, two = weight.shape[0], weight.shape[1] * groups
            channels, out = (one, two) if transposed else (two, one)
            return Product(told[0], channels * size, out, channels, groups > 1, transposed, kernel, told[1])
        widths = _widths(node, name, places[0])
        return None if widths is None else Product(told[0], *widths, widths[0], False, False, (), told[1])

    def _told(self, node: Any, data: int) -> tuple[str, bool]:
        """The name of the layer whose weight it is, and whether that is a recurrent or an attention layer."""
        for place, (before, _) in enumerate(node.next_functions):
            while before is not None and place != data:
                variable = getattr(before, "variable", None)
                if variable is not None:
                    layer, path, inner = self.names.get(id(variable), ("", "", False))
                    if variable.dim() > 1 or layer:
                        return layer or path, inner
                    break
                before = before.next_functions[0][0] if before.next_functions else None
        return "", False

    def pairs(self) -> list[Pair]:
        """Products that follow each other with nothing between."""
        found = []
        for node, second in self.products.items():
            before = self._operands(node)[0]
            while before not in self.products and kind(before) in UNARY and self.readers[before] == 1:
                operands = self._operands(before)
                if len(operands) != 1 or (kind(before) == "Div" and before.next_functions[0][0] not in operands):
                    break
                before = operands[0]
            first = self.products.get(before)
            if first is not None and self.readers[before] == 1 and not (first.recurrent or second.recurrent):
                found.append(Pair(first, second))
        return found


def _widths(node: Any, name: str, data: int) -> tuple[int, int] | None:
    """Numbers in and out of a matrix product; the sizes that torch keeps for the gradient."""
    left = data == (1 if name == "Addmm" else 0)
    if name in ("Addmv", "Mv"):
        return None
    sizes = getattr(node, "_saved_mat2_sym_sizes" if left else "_saved_mat1_sym_sizes", None)
    if sizes is None or len(sizes) != 2:
        return None
    return (int(sizes[0]), int(sizes[1])) if left else (int(sizes[1]), int(sizes[0]))


def kind(node: Any) -> str:
    """The operation of a node of the graph: `AddmmBackward0` is `Addmm`."""
    return re.sub(r"Backward\d*$", "", type(node).__name__)
