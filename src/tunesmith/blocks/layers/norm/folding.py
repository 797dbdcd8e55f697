"""`fold_norms`: norms by running averages merged into the linear layer or convolution before them, for evaluation.

In evaluation a norm with running averages is y = a x + c by channel, so that W x + b before it becomes a W x + (a b + c):

    batch, sync_batch   a = γ / √(σ̄² + ε)     c = β - a μ̄
    batch_renorm        a = γ / s̄             c = β - a μ̄
    batch_mean_only     a = 1                 c = β - μ̄

Who stands before whom is traced, not read off the order of the modules: by a forward on a batch where one is given, else
by `torch.fx`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from tunesmith.blocks.layers.norm.batch_mean_only import MeanOnlyBatchNorm
from tunesmith.blocks.layers.norm.batch_renorm import BatchRenorm
from tunesmith.blocks.layers.norm.families import family
from tunesmith.blocks.layers.norm.layout import ChannelsLast
from tunesmith.blocks.layers.norm.swapping import call
from tunesmith.records import ModelError


@dataclass(frozen=True, slots=True)
class Fold:
    """One norm layer: where, what it was, and the layer that took it in; or why it stays."""

    where: str
    was: str
    into: str = ""
    because: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.was} " + (f"-> {self.into}" if self.into else f"stays: {self.because}")


@dataclass(frozen=True, slots=True)
class Folds:
    """The report of a folding: a line for each norm layer, and how far outputs moved on the batch, where one was given."""

    rows: tuple[Fold, ...]
    model: nn.Module
    difference: float | None = None  # largest change of an output, over the largest output
    folded: tuple[Fold, ...] = field(init=False)
    stayed: tuple[Fold, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folded", tuple(row for row in self.rows if row.into))
        object.__setattr__(self, "stayed", tuple(row for row in self.rows if not row.into))

    def __str__(self) -> str:
        told = [] if self.difference is None else [f"outputs on the batch moved by {self.difference:.1e} of their size"]
        return "\n".join([*map(str, self.rows), *told]) or "the model has no norm layers"


def fold_norms(model: nn.Module, example: Any = None) -> Folds:
    """Merges each norm with running averages into the layer before it, in place; the norm becomes an nn.Identity.

    Linear layers, convolutions and transposed ones, with groups and without bias, in any floating type (products are
    taken in double). `example` is a batch (a tensor, a dict, or a tuple of arguments): needed where `torch.fx` cannot
    trace the model, and it proves the result. Without it a BatchNorm1d after an nn.Linear is taken to see (N, C).
    What cannot be folded stays, and the report says why. Raises `ModelError` for a model in training mode, whose norms
    compute something else, and where the model can be traced neither way.

    >>> net = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4)).eval()
    >>> print(fold_norms(net, torch.randn(5, 3)).folded[0])
    1: batch -> 0
    """
    norms = dict(_norms(model))
    training = [path for path, part in norms.items() if part.training]
    if training or model.training:
        raise ModelError(
            f"the model is in training mode ({(training or ['itself'])[0]}), where norms use the statistics of each batch; "
            "call model.eval() first"
        )
    before = None if example is None else _outputs(model, example)
    found = _traced(model) if example is None else _watched(model, example)
    rows = [_fold(model, path, part, found) for path, part in norms.items()]
    moved = None if before is None else _moved(before, _outputs(model, example))
    return Folds(tuple(rows), model, moved)


def _norms(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    inside: set[str] = set()
    for path, part in model.named_modules():
        if path.rpartition(".")[0] not in inside and family(part) is not None:
            inside |= {path} if isinstance(part, ChannelsLast) else set()
            yield path, part


class Link(NamedTuple):
    """What stands before a norm: the module that made its input, how often that is used, and its shape where it is known."""

    before: nn.Module | None
    uses: int
    shape: tuple[int, ...] | None


class Links(NamedTuple):
    """What was traced: the link of each norm, and how often each module was called."""

    of: dict[nn.Module, Link]
    calls: Counter[nn.Module]


def _traced(model: nn.Module) -> Links:
    """By `torch.fx`, without a batch."""

    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return family(m) is not None or super().is_leaf_module(m, module_qualified_name)

    try:
        graph = Tracer().trace(model)
    except Exception as error:  # whatever the model's own code raises on a proxy
        raise ModelError(
            f"torch.fx cannot trace the model ({' '.join(str(error).split())[:120]}); pass example=a batch, which is traced "
            "as it runs"
        ) from error
    called = {node: model.get_submodule(str(node.target)) for node in graph.nodes if node.op == "call_module"}
    links = {}
    for node, module in called.items():
        given = node.args[0] if node.args else next(iter(node.kwargs.values()), None)
        if family(module) is not None and isinstance(given, fx.Node):
            links[module] = Link(called.get(given), len(given.users), None)
    return Links(links, Counter(called.values()))


class _Uses(TorchFunctionMode):
    """Counts how often each tensor goes into a function that gives tensors; `shape`, `dim()` and the like do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[int] = Counter()
        self.held: list[Tensor] = []  # an id means one tensor only as long as that lives

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(outputs)):
            for leaf in tree_leaves((args, kwargs or {})):
                if isinstance(leaf, Tensor):
                    self.of[id(leaf)] += 1
                    self.held.append(leaf)
        return outputs


def _watched(model: nn.Module, example: Any) -> Links:
    """By a forward on a batch."""
    makers: dict[int, nn.Module] = {}
    inputs: dict[nn.Module, Tensor] = {}
    held: list[Any] = []  # keeps tensors alive, so that an id means one of them
    calls: Counter[nn.Module] = Counter()

    def made(module: nn.Module, given: Any, output: Any) -> None:
        calls[module] += 1
        held.append((given, output))
        if isinstance(output, Tensor):
            makers[id(output)] = module
        if family(module) is not None and given and isinstance(given[0], Tensor):
            inputs[module] = given[0]

    watched = [part for part in model.modules() if isinstance(part, nn.Linear | _ConvNd) or family(part) is not None]
    with _hooked(watched, made), _Uses() as uses, torch.no_grad():
        outputs = call(model, example)
    ends = {id(leaf) for leaf in tree_leaves(outputs)}
    return Links(
        {norm: Link(makers.get(id(x)), uses.of[id(x)] + (id(x) in ends), tuple(x.shape)) for norm, x in inputs.items()},
        calls,
    )


@contextmanager
def _hooked(modules: list[nn.Module], hook: Callable[[nn.Module, Any, Any], None]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _fold(model: nn.Module, path: str, norm: nn.Module, links: Links) -> Fold:
    found = family(norm)
    assert found is not None
    because = _obstacle(model, norm, links)
    if because:
        return Fold(path, found.name, because=because)
    before = links.of[norm].before
    assert before is not None
    _merge(before, *_line(norm.norm if isinstance(norm, ChannelsLast) else norm))
    for place, part in list(model.named_modules(remove_duplicate=False)):
        if part is norm:
            above, _, last = place.rpartition(".")
            setattr(model.get_submodule(above), last, nn.Identity())
    into = next(place for place, part in model.named_modules() if part is before)
    return Fold(path, found.name, into)


def _obstacle(model: nn.Module, norm: nn.Module, links: Links) -> str:
    """Why a norm cannot be folded, "" where it can."""
    inner = norm.norm if isinstance(norm, ChannelsLast) else norm
    if not isinstance(inner, _BatchNorm):
        return "it takes the statistics of each sample in evaluation too"
    if inner.running_mean is None:
        return "it keeps no running averages"
    if norm is model:
        return "it is the model itself"
    link = links.of.get(norm)
    if link is None:
        return "the forward does not reach it"
    before = link.before
    if before is None or not isinstance(before, nn.Linear | _ConvNd):
        return "what comes before it is no linear layer or convolution"
    if links.calls[norm] > 1 or links.calls[before] > 1:
        return "one of the two is used in several places"
    if link.uses > 1:
        return "the output before it is used elsewhere too"
    if parametrize.is_parametrized(before) or type(before).forward not in PLAIN:
        return f"the {type(before).__name__} before it computes its weight anew"
    if _shared(model, before):
        return "the weight before it is shared with another layer"
    return _wrong_axis(norm, before, link.shape)


PLAIN = tuple(
    kind.forward
    for kind in (
        nn.Linear,
        nn.Conv1d,
        nn.Conv2d,
        nn.Conv3d,
        nn.ConvTranspose1d,
        nn.ConvTranspose2d,
        nn.ConvTranspose3d,
    )
)


def _wrong_axis(norm: nn.Module, before: nn.Module, shape: tuple[int, ...] | None) -> str:
    found = family(norm)
    assert found is not None
    units = before.out_features if isinstance(before, nn.Linear) else cast(_ConvNd, before).out_channels
    wrong = "it norms another dimension than that of the units before it"
    if found.features != units:
        return wrong
    if isinstance(before, nn.Linear):
        last = isinstance(norm, ChannelsLast)
        return "" if last or shape is None or len(shape) == 2 else wrong
    return wrong if isinstance(norm, ChannelsLast) else ""


def _shared(model: nn.Module, layer: nn.Module) -> bool:
    own = {id(one) for one in layer.parameters(recurse=False)}
    return any(
        id(one) in own for part in model.modules() if part is not layer for one in part.parameters(recurse=False)
    )


def _line(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """a and c of y = a x + c by channel, in double."""
    assert isinstance(norm, _BatchNorm)
    assert norm.running_mean is not None
    mean = norm.running_mean.double()
    a = torch.ones_like(mean)
    if isinstance(norm, BatchRenorm):
        a = 1 / norm.running_std.double()
    elif not isinstance(norm, MeanOnlyBatchNorm):
        assert norm.running_var is not None
        a = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        a = a * norm.weight.detach().double()
    c = -a * mean
    return a, c if norm.bias is None else c + norm.bias.detach().double()


@torch.no_grad()
def _merge(layer: nn.Module, a: Tensor, c: Tensor) -> None:
    assert isinstance(layer, nn.Linear | _ConvNd)
    weight = layer.weight
    if isinstance(layer, _ConvTransposeNd):  # (in, out / groups, *kernel), the inputs of a group one after the other
        parts = weight.double().reshape(layer.groups, -1, *weight.shape[1:])
        scaled = parts * a.reshape(layer.groups, 1, -1, *(1,) * (weight.dim() - 2))
    else:
        scaled = weight.double() * a.reshape(-1, *(1,) * (weight.dim() - 1))
    weight.copy_(scaled.reshape(weight.shape))
    bias = torch.zeros_like(a) if layer.bias is None else layer.bias.double()
    found = (a * bias + c).to(weight.dtype)
    if layer.bias is None:
        layer.bias = nn.Parameter(found, requires_grad=weight.requires_grad)
    else:
        layer.bias.copy_(found)


def _outputs(model: nn.Module, example: Any) -> list[Tensor]:
    with torch.no_grad():
        return [leaf.clone() for leaf in tree_leaves(call(model, example)) if isinstance(leaf, Tensor)]


def _moved(before: list[Tensor], after: list[Tensor]) -> float:
    apart = [float((a.double() - b.double()).abs().max()) for a, b in zip(before, after, strict=True) if a.numel()]
    size = [float(a.double().abs().max()) for a in before if a.numel()]
    return max(apart, default=0.0) / max(max(size, default=1.0), 1e-30)
