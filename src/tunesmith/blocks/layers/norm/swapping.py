"""`swap_norm`: the norms of anybody's model exchanged in place, with a report of what was kept."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from tunesmith.blocks.layers.norm import Dims, check_options, kind_of, norm, norm_weights
from tunesmith.blocks.layers.norm.families import Found, family, shape_seen
from tunesmith.blocks.layers.norm.layout import ChannelsLast
from tunesmith.records import ModelError

Which = str | Collection[str] | Callable[[str, nn.Module], bool] | None
BATCH = ("batch", "sync_batch", "batch_renorm", "batch_mean_only")
NOTE = "gains and biases are new parameter objects: build the optimizer after the swap, or hand it model.parameters() again"


@dataclass(frozen=True, slots=True)
class Swap:
    """One norm layer: where it is, what it was and became, what was kept; or why it stays."""

    where: str
    was: str
    became: str = ""  # "" where it stays
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    because: str = ""  # why it stays

    def __str__(self) -> str:
        if not self.became:
            return f"{self.where}: {self.was} stays: {self.because}"
        told = [f"kept {', '.join(self.kept)}"] if self.kept else []
        told += [f"dropped {', '.join(self.dropped)}"] if self.dropped else []
        return f"{self.where}: {self.was} -> {self.became}" + (f"; {'; '.join(told)}" if told else "")


@dataclass(frozen=True, slots=True)
class Swaps:
    """The report of a swap: a line for each norm layer, and what an optimizer must be told."""

    rows: tuple[Swap, ...]
    model: nn.Module
    note: str = field(default="")

    @property
    def swapped(self) -> tuple[Swap, ...]:
        return tuple(row for row in self.rows if row.became)

    @property
    def stayed(self) -> tuple[Swap, ...]:
        return tuple(row for row in self.rows if not row.became)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.rows), *([self.note] if self.note else [])]) or "the model has no norm layers"


def swap_norm(
    model: nn.Module,
    name: str,
    *,
    only: Which = None,
    example: Any = None,
    estimate: bool = False,
    **options: Any,
) -> Swaps:
    """Every norm layer inside `model` becomes the member `name`, in place.

    `only` chooses: a member's name such as "batch" or a module's path ("encoder" takes all below it), several of them, or
    `f(path, module) -> bool`. γ and β by channel stay where the new layer has them; running averages stay between members
    that hold the same, else are dropped, and with `estimate` made anew on `example`. Device, type, training flag and
    requires_grad stay; a layer shared by several places is swapped once. `options` are the member's own (groups, eps …).
    `example` is a batch (a tensor, a dict, or a tuple of arguments): one forward tells the shapes that layers do not say
    themselves; without it they are taken from the convolutions around. With a member that norms weights ("weight",
    "cosine") the norms go and the linear layers and convolutions before the last one are wrapped.
    Raises `ModelError` where `model` is itself a norm, `UnknownName` for no such member.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    >>> print(swap_norm(net, "group", groups=4).swapped[0])
    1: batch -> group; kept weight, bias; dropped running_mean, running_var
    """
    weights = kind_of(name) == "weights"
    if family(model) is not None:
        raise ModelError(f"the model is a {type(model).__name__} itself; hold it in an nn.Sequential to swap it")
    check_options(name, options)
    if estimate and example is None:
        raise ModelError("estimate=True needs example=a batch to take the running averages from")
    seen = _shapes(model, example)
    rows = [
        _swap(model, places, module, "none" if weights else name, seen, {} if weights else options)
        for places, module in _norms(model, only)
    ]
    if weights:
        rows += _wrapped(model, name, only, options)
    if estimate:
        _estimate(model, example)
    return Swaps(tuple(rows), model, NOTE if any(row.became for row in rows) else "")


def _norms(model: nn.Module, only: Which) -> list[tuple[list[str], nn.Module]]:
    """Each norm layer once, with all its places; parts of a norm are no norms of their own."""
    places: dict[int, tuple[list[str], nn.Module]] = {}
    inside: set[str] = set()
    for path, module in model.named_modules(remove_duplicate=False):
        if path.rpartition(".")[0] in inside or family(module) is None:
            continue
        if isinstance(module, ChannelsLast):
            inside.add(path)
        if _chosen(path, module, only):
            places.setdefault(id(module), ([], module))[0].append(path)
    return list(places.values())


def _chosen(path: str, module: nn.Module, only: Which) -> bool:
    found = family(module)
    assert found is not None
    named = found.name in ((only,) if isinstance(only, str) else only) if isinstance(only, Collection) else only is None
    return named or _matches(path, module, only)


def _shapes(model: nn.Module, example: Any) -> dict[int, tuple[int, ...]]:
    """The shape that reached each norm layer, by a forward in evaluation."""
    seen: dict[int, tuple[int, ...]] = {}
    if example is None:
        return seen

    def look(module: nn.Module, inputs: Any) -> None:
        shape = shape_seen(inputs)
        if shape is not None:
            seen[id(module)] = shape

    hooks = [part.register_forward_pre_hook(look) for part in model.modules() if family(part) is not None]
    modes = {part: part.training for part in model.modules()}
    try:
        with torch.no_grad():
            call(model.eval(), example)
    finally:
        for hook in hooks:
            hook.remove()
        for part, mode in modes.items():
            part.training = mode
    return seen


def call(model: nn.Module, example: Any) -> Any:
    """The model on a batch: a tuple holds its arguments."""
    return model(*example) if isinstance(example, tuple) else model(example)


def _swap(
    model: nn.Module,
    places: list[str],
    module: nn.Module,
    name: str,
    seen: dict[int, tuple[int, ...]],
    options: dict[str, Any],
) -> Swap:
    found = family(module)
    assert found is not None
    where = ", ".join(places)
    if found.obstacle and name != "none":
        return Swap(where, found.name, because=found.obstacle)
    try:
        made = _made(model, module, name, seen.get(id(module)), options)
    except ModelError as error:
        return Swap(where, found.name, because=str(error))
    kept, dropped = _carry_over(module, made)
    made.train(module.training)
    for place in places:
        _put(model, place, made)
    return Swap(where, found.name, name, kept, dropped)


def _made(
    model: nn.Module, module: nn.Module, name: str, shape: tuple[int, ...] | None, options: dict[str, Any]
) -> nn.Module:
    """The new layer for what reaches the old one. Raises `ModelError` where its shape cannot be told or taken."""
    found = family(module)
    assert found is not None
    dims = found.dims if shape is None or (found.last and found.dims) else len(shape) - 2
    if name == "none":
        return norm(name, found.features)
    if found.last and found.dims == 0:  # over the last dimension, whatever leads
        if name in ("layer", "rms", "frn"):
            return norm(name, found.features, **options)
        if shape is None:
            raise ModelError(
                f"{found.name} norms the last dimension and does not say how many lead it; pass example=a batch to make it {name}"
            )
    if dims is None:
        dims = _dims_around(model, module, found, name)
    if dims not in (0, 1, 2, 3):
        raise ModelError(f"its input has {dims + 2} dimensions; norms take 2 to 5")
    layout: Literal["first", "last"] = "last" if found.last and dims else "first"
    return norm(name, found.features, dims=cast(Dims, dims), layout=layout, **options)


def _dims_around(model: nn.Module, module: nn.Module, found: Found, name: str) -> int:
    """Dimensions of positions by the layer that stands before it in the order of the modules."""
    if name in ("group", "none"):  # the same layer for any number of positions
        return 1
    told = None
    for part in model.modules():
        if part is module:
            break
        if isinstance(part, _ConvNd) and part.out_channels == found.features:
            told = len(part.kernel_size)
        elif isinstance(part, nn.Linear) and part.out_features == found.features:
            told = 0
    if told is None:
        raise ModelError(
            f"{found.name} over {found.features} channels does not say how many dimensions of positions it sees; "
            f"pass example=a batch to make it {name}"
        )
    return told


def _carry_over(old: nn.Module, new: nn.Module) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Gains, biases and running averages from the old layer to the new; what was kept, what was dropped."""
    source = old.norm if isinstance(old, ChannelsLast) else old
    target = new.norm if isinstance(new, ChannelsLast) else new
    like = next((one for one in (*source.parameters(), *source.buffers()) if one.is_floating_point()), None)
    if like is not None:
        new.to(like.device, like.dtype)
    kept, dropped = [], []
    with torch.no_grad():
        for name, value in _held(source):
            place = _place(target, name)
            if place is not None and place.shape == value.shape:
                place.copy_(value)
                if isinstance(place, nn.Parameter):
                    place.requires_grad_(value.requires_grad)
                kept.append(name)
            elif _moment_kept(name, value, source, target):
                kept.append(name)
            elif name != "num_batches_tracked":
                dropped.append(name)
    if like is not None and not any(one.requires_grad for one in source.parameters()) and list(source.parameters()):
        new.requires_grad_(False)
    return tuple(one for one in kept if one != "num_batches_tracked"), tuple(dropped)


def _held(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def _place(module: nn.Module, name: str) -> Tensor | None:
    found = getattr(module, name, None)
    return found if isinstance(found, Tensor) else None


def _moment_kept(name: str, value: Tensor, source: nn.Module, target: nn.Module) -> bool:
    """Variance to standard deviation and back, between batch norm and batch renorm; both hold the ε of their layer."""
    if name == "running_var" and isinstance(_place(target, "running_std"), Tensor):
        cast(Tensor, target.running_std).copy_((value + source.eps).sqrt())  # type: ignore[operator]
        return True
    if name == "running_std" and isinstance(_place(target, "running_var"), Tensor):
        cast(Tensor, target.running_var).copy_((value.square() - source.eps).clamp(min=0))  # type: ignore[operator]
        return True
    return False


def _wrapped(model: nn.Module, name: str, only: Which, options: dict[str, Any]) -> list[Swap]:
    """Linear layers and convolutions wrapped, but the last, which gives the outputs and keeps its scale.

    Where `only` names layers or their paths, those alone.
    """
    layers = [(path, part) for path, part in model.named_modules() if isinstance(part, nn.Linear | _ConvNd)]
    named = [(path, part) for path, part in layers if only is not None and _matches(path, part, only)]
    rows = []
    for path, part in named or layers[:-1]:
        was = type(part).__name__
        try:
            made = norm_weights(part, name, **options)
        except ModelError as error:
            rows.append(Swap(path, was, because=str(error)))
            continue
        for place, other in list(model.named_modules(remove_duplicate=False)):
            if other is part:
                _put(model, place, made)
        rows.append(Swap(path, was, name, kept=("weight",)))
    return rows


def _matches(path: str, module: nn.Module, only: Which) -> bool:
    if callable(only):
        return bool(only(path, module))
    names = (only,) if isinstance(only, str) else only or ()
    return any(one in (path, type(module).__name__) or path.startswith(f"{one}.") for one in names)


def _put(model: nn.Module, place: str, module: nn.Module) -> None:
    above, _, last = place.rpartition(".")
    setattr(model.get_submodule(above), last, module)


def _estimate(model: nn.Module, example: Any) -> None:
    """Running averages as the average over one batch in training mode; nothing else of the model moves."""
    layers = [part for part in model.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    modes = {part: part.training for part in model.modules()}
    rates = {part: part.momentum for part in layers}
    model.eval()
    for part in layers:
        part.train()
        part.momentum = 1.0
    try:
        with torch.no_grad():
            call(model, example)
    finally:
        for part, rate in rates.items():
            part.momentum = rate
        for module, mode in modes.items():
            module.training = mode
