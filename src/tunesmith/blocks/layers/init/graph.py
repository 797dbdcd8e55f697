"""The forward pass of a model as a graph of calls, and what can be read from it: what follows a layer, which layers
are the last, which additions close a residual branch."""

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import nn

from tunesmith.blocks.layers.init.vocabulary import PRODUCTS

SPLITS = ("chunk", "split", "tensor_split", "unbind", "getitem", "unsafe_chunk", "split_with_sizes", "narrow", "select")
SCALAR = ("mul", "add", "sub", "rsub", "div", "truediv", "rtruediv", "neg", "pow", "square", "sqrt")
PASS_A_BIAS = (  # after which the bias of a layer still stands in the output, or under its own link function
    *("squeeze", "unsqueeze", "reshape", "view", "flatten", "permute", "transpose", "movedim", "contiguous", "clone"),
    *("to", "float", "double", "half", "bfloat16", "type", "typeas", "detach", "get", "dropout", "mean", "t", "split"),
    *("viewas", "reshapeas", "unflatten", "swapaxes", "getitem", "identity", "softmax", "logsoftmax", "expand"),
    *("adaptiveavgpool1d", "adaptiveavgpool2d", "adaptiveavgpool3d", "avgpool1d", "avgpool2d", "select"),
)
LINKS = ("sigmoid", "log_sigmoid")
FLAT_AT_ZERO = ("relu", "relu6", "threshold", "hard_sigmoid", "sigmoid", "log_sigmoid", "softplus")
KEEPS_ZERO = (  # 0 becomes 0, and a gradient passes
    *("squeeze", "unsqueeze", "reshape", "view", "flatten", "permute", "transpose", "movedim", "contiguous", "clone"),
    *("to", "float", "double", "half", "bfloat16", "type", "typeas", "detach", "get", "dropout", "mean", "mul", "div"),
    *("truediv", "viewas", "reshapeas", "unflatten", "swapaxes", "getitem", "identity", "neg", "dropout1d", "t"),
    *("dropout2d", "dropout3d", "alphadropout", "featurealphadropout", "stochasticdepth", "pad", "interpolate"),
    *("avgpool1d", "avgpool2d", "avgpool3d", "maxpool2d", "roll", "indexselect", "expand", "where", "droppath"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One call: its name, the earlier steps its operands come from, and the layer it belongs to."""

    number: int
    name: str
    inputs: tuple[int, ...] = ()
    kind: str = ""  # input, weight, embedding, norm, activation, attention, softmax, product; "" for all else
    activation: str = ""
    layer: str = ""  # path of the module, or of the parameter where no module holds the call
    module: nn.Module | None = None
    floating: bool = True
    several: bool = False  # it gave more than one tensor, of which a reader takes any

    @property
    def plain(self) -> str:
        """The name as a function and as a class have it alike: `avgpool2d`."""
        return self.name.replace("_", "").lower()


@dataclass(slots=True)
class Graph:
    """Steps in the order of the pass; `outputs` are those of the model's result, the one it is judged by first."""

    steps: list[Step]
    outputs: Sequence[int] = ()
    source: str = "traced"
    reason: str = ""  # why no better source could be had
    _readers: dict[int, list[int]] = field(default_factory=dict)

    def readers(self, number: int) -> list[int]:
        """The steps that take what a step gave."""
        if not self._readers:
            found = defaultdict(list)
            for step in self.steps:
                for before in dict.fromkeys(step.inputs):
                    found[before].append(step.number)
            self._readers = {step.number: found[step.number] for step in self.steps}
        return self._readers[number]

    def of(self, *kinds: str) -> Iterator[Step]:
        """The steps of some kinds, in order."""
        return (step for step in self.steps if step.kind in kinds)

    def after(self, number: int) -> tuple[str, bool]:
        """(activation that follows, whether nothing with weights does): through norms, dropout, reshapes and sums.

        The end that is fewest additions away decides; among those an activation, then the nearest. "identity" where
        another weight comes first, or none; "attention" where a product with other data or a softmax inside the net.
        """
        queue, seen = [(0, 0, number)], {number}
        ends: list[tuple[int, bool, int, str]] = []
        last = True
        while queue:
            adds, hops, here = heapq.heappop(queue)
            for reader in self.readers(here):
                step = self.steps[reader]
                if reader in seen or not step.floating:
                    continue
                seen.add(reader)
                if step.kind == "activation":
                    ends.append((adds, False, hops, self.gated(step)))
                elif step.kind in ("weight", "attention"):
                    last = last and step.kind == "attention"
                    ends.append((adds, True, hops, "identity" if step.kind == "weight" else "attention"))
                else:
                    crossed = self._joins(step)
                    heapq.heappush(queue, (adds + crossed, hops + 1, reader))
        return min(ends)[3] if ends else "identity", last and all(end[3] == "identity" for end in ends)

    def _joins(self, step: Step) -> bool:
        """Whether a step puts two different things together, as a skip does; x + 0.04 x³ is one thing."""
        parts = [self._scaled_from(before) for before in dict.fromkeys(step.inputs)]
        return step.name in ("add", "cat", "concat", "stack") and len(parts) > 1 and not set.intersection(*parts)

    def gated(self, step: Step) -> str:
        """The activation of a step; x sigmoid(x) and x (1 + tanh(…x…)) written out are SiLU and GELU."""
        whole = {"sigmoid": "silu", "hard_sigmoid": "hard_swish", "relu6": "hard_swish", "tanh": "gelu", "erf": "gelu"}
        if step.activation not in whole:
            return step.activation
        origins = {origin for before in step.inputs for origin in self._scaled_from(before)}
        here = step.number
        for _ in range(6):  # assumption: x Φ(x) in its longest usual spelling has four steps between
            readers = [self.steps[reader] for reader in self.readers(here)]
            for reader in readers:
                others = [before for before in reader.inputs if before != here]
                if reader.kind == "product" and any(origins & self._scaled_from(other) for other in others):
                    return whole[step.activation]
            onward = [reader.number for reader in readers if reader.name in SCALAR and len(set(reader.inputs)) == 1]
            if not onward:
                break
            here = onward[0]
        return step.activation

    def _scaled_from(self, number: int) -> set[int]:
        """A step and those it is a multiple, power or sum with itself of; not the parts of a split, which differ."""
        found: set[int] = set()
        waiting = [number]
        while waiting:
            step = self.steps[waiting.pop()]
            if step.number not in found and step.name not in SPLITS:
                found.add(step.number)
                if step.name in SCALAR and len(found) < 12:  # assumption: longer spellings do not occur
                    waiting += step.inputs
        return found

    def before(self, number: int) -> set[int]:
        """A step and all that it depends on."""
        found: set[int] = set()
        waiting = [number]
        while waiting:
            here = waiting.pop()
            if here not in found:
                found.add(here)
                waiting += self.steps[here].inputs
        return found

    def heads(self) -> list[tuple[Step, str]]:
        """The weights nearest to the model's first output, each with the call between that hides its bias, or ""."""
        if not self.outputs:
            return []
        found: dict[int, tuple[Step, str]] = {}
        waiting, seen = [(self.outputs[0], "")], set()
        while waiting:
            here, hidden = waiting.pop()
            step = self.steps[here]
            if step.kind in ("weight", "embedding"):
                known = found.get(here)
                found[here] = (step, hidden if known is None else known[1] and hidden)
            elif (here, bool(hidden)) not in seen:
                seen.add((here, bool(hidden)))
                passes = step.plain in PASS_A_BIAS or step.activation in LINKS or step.kind in ("softmax", "input")
                adds = step.name in ("add", "sub") and step.kind != "activation"
                waiting += [
                    (before, hidden or ("" if passes or adds else step.activation or step.name))
                    for before in step.inputs
                ]
        return [found[number] for number in sorted(found)]

    def branches(self) -> list[tuple[Step, Step | None]]:
        """Residual branches, in order: the addition, and its last norm with a gain, or weight, that may start at zero.

        None where what ends the branch is no zero of its last layer, or would pass no gradient at zero (a ReLU).
        """
        found = []
        for step in self.steps:
            operands = tuple(dict.fromkeys(step.inputs))
            if step.name == "add" and step.kind == "" and len(operands) == 2 and step.floating:
                branch = self._branch(*operands)
                end = None if branch is None else self._end(branch)
                skip = operands[branch == operands[0]]
                if branch is not None and not self._recurs(end, skip, branch):
                    found.append((step, end))
        return found

    def _recurs(self, end: Step | None, skip: int, branch: int) -> bool:
        """Whether a layer is one of a recurrence, called again and again beside an input: its zero is no residual's.

        Blocks that share their layers differ: what they skip is what the branch starts from.
        """
        if end is None or end.module is None:
            return False
        again = sum(step.module is end.module for step in self.steps) > 1
        return again and (skip not in self.before(branch) or self.steps[skip].several)

    def _branch(self, one: int, other: int) -> int | None:
        """Which operand is the branch: the one with more weights back to what both come from."""
        shared = {number for number in self.before(one) & self.before(other) if self.steps[number].floating}
        if not shared:
            return None
        ways = {number: self._way_back(number, shared) for number in (one, other)}
        branch, skip = (one, other) if ways[one] > ways[other] else (other, one)
        products_on_skip = ways[skip][1]  # a gate there makes it a mixture of two, not a residual
        return None if ways[branch][0] == ways[skip][0] or products_on_skip else branch

    def _way_back(self, number: int, shared: set[int]) -> tuple[int, int]:
        """(weights, products of data with data) on the way back to a shared step that has fewest."""
        queue, seen = [(0, 0, number)], set()
        while queue:
            weights, products, here = heapq.heappop(queue)
            if here in shared:
                return weights, products
            if here in seen:
                continue
            seen.add(here)
            step = self.steps[here]
            weights += step.kind in ("weight", "attention")
            products += step.kind == "product"
            for before in step.inputs:
                heapq.heappush(queue, (weights, products, before))
        return 0, 1  # never: the operands share a step

    def _end(self, number: int) -> Step | None:
        """The last norm with a gain, or weight, of a branch whose zero is the zero of the branch."""
        step = self.steps[number]
        if step.kind == "weight":
            return step if step.module is not None and step.name not in PRODUCTS else None
        if step.kind == "norm":
            gain = getattr(step.module, "weight", None)
            return step if gain is not None else next((end for b in step.inputs if (end := self._end(b))), None)
        passes = step.kind == "activation" and step.activation not in FLAT_AT_ZERO
        if passes or (step.kind != "activation" and step.plain in KEEPS_ZERO) or step.kind == "product":
            return next((end for before in step.inputs if (end := self._end(before)) is not None), None)
        return None
