"""How deep in a model a parameter lies: layers from the input to the head, by the order of its modules.

A layer is a block of a stack (an element of a `ModuleList` or `Sequential`), or a module on the way to one. What holds
vectors alone (norms, scales) belongs to the layer before it; a norm between the last block and the head to the head;
embeddings in a row and parameters outside any layer (position and class tokens) to the first. The order is that in which
the modules were assigned: for a model that assigns its head first, or has branches, name the layers.
"""

from collections.abc import Collection, Iterator, Sequence

from torch import nn

from tunesmith.blocks.optim.patterns import matching
from tunesmith.records import RecipeError

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
Block = tuple[str, nn.Module]


def layer_depths(model: nn.Module, layers: Sequence[str] | None = None) -> dict[str, int]:
    """The depth of every parameter by name, 0 at the input, the head deepest.

    `layers` are patterns from the input to the head, one a layer, where the order of the modules is not that of the
    computation. Raises `RecipeError` for a parameter that none of them matches.

    >>> layer_depths(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1, bias=False)))
    {'0.weight': 0, '0.bias': 0, '1.weight': 0, '1.bias': 0, '3.weight': 1}
    """
    names = [name for name, _ in model.named_parameters()]
    if layers is not None:
        return _named(names, layers)
    blocks = [(name, depth) for (name, _), depth in zip(*_ordered(model), strict=True)]
    return {name: max((depth for place, depth in blocks if _below(name, place)), default=0) for name in names}


def layer_rates(model: nn.Module, decay: float, layers: Sequence[str] | None = None) -> dict[str, float]:
    """The factor decay^(L - l) of every parameter by name: the head (l = L) has 1, the first layer decay^L.

    Source: Clark et al., ELECTRA, arXiv:2003.10555, appendix; Bao et al., BEiT, arXiv:2106.08254, section 2.5.
    Use: fine-tuning a pretrained body, 0.65 to 0.9; not from scratch, where one rate serves all layers.

    >>> layer_rates(nn.Sequential(nn.Linear(2, 3, bias=False), nn.Linear(3, 1, bias=False)), 0.5)
    {'0.weight': 0.5, '1.weight': 1.0}
    """
    if not 0 < decay <= 1:
        raise RecipeError(f"layer_decay is {decay!r}; it lies in (0, 1], where 1 gives all layers one rate")
    depths = layer_depths(model, layers)
    last = max(depths.values(), default=0)
    return {name: decay ** (last - depth) for name, depth in depths.items()}


def last_layer(model: nn.Module) -> set[str]:
    """The parameters of the last module that holds a matrix: the head."""
    held = None
    for name, module in model.named_modules():
        if any(weight.ndim > 1 for weight in module.parameters(recurse=False)):
            held = name.partition(".parametrizations")[0]
    return {name for name, _ in model.named_parameters() if held is not None and _below(name, held)}


def body_and_head(model: nn.Module, fresh: Collection[str] = ()) -> dict[str, set[str]]:
    """The parameters of the parts: the head is the last layer with a matrix and what is `fresh`, the body all the rest.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1, bias=False))
    >>> sorted(body_and_head(net, fresh=["1.weight", "1.bias"])["head"])
    ['1.bias', '1.weight', '2.weight']
    """
    names = [name for name, _ in model.named_parameters()]
    head = last_layer(model) | {name for name in names if name in fresh}
    return {"body": set(names) - head, "head": head}


def _named(names: list[str], layers: Sequence[str]) -> dict[str, int]:
    found = {name: depth for depth, pattern in enumerate(layers) for name in matching(pattern, names, "layers")}
    left = [name for name in names if name not in found]
    if left:
        raise RecipeError(f"layers: no pattern matches {left[0]!r} ({len(left)} parameters); name a layer for each")
    return found


def _ordered(model: nn.Module) -> tuple[list[Block], list[int]]:
    """The layers with parameters, and the depth of each."""
    blocks = list(_blocks(model, "", alike=False))
    depths: list[int] = []
    depth = -1
    for place, (_, module) in enumerate(blocks):
        in_a_row = place > 0 and isinstance(module, nn.Embedding) and isinstance(blocks[place - 1][1], nn.Embedding)
        if _has_matrix(module) and not in_a_row:
            depth += 1
        depths.append(max(depth, 0))
    place = len(blocks) - 2
    while place > 0 and not _has_matrix(blocks[place][1]):  # norms just before the head
        place -= 1
    if place >= 0 and _has_matrix(blocks[-1][1]) and _children(blocks[place][1]):
        depths[place + 1 :] = [depth] * (len(blocks) - place - 1)
    return blocks, depths


def _blocks(module: nn.Module, name: str, *, alike: bool) -> Iterator[Block]:
    children = _children(module)
    if not children or not _opens(module, children, top=not name, alike=alike):
        yield name, module
        return
    kinds = [type(child) for _, child in children]
    stacked = type(module) in CONTAINERS
    for own, child in children:
        yield from _blocks(child, f"{name}.{own}" if name else own, alike=stacked and kinds.count(type(child)) > 1)


def _opens(module: nn.Module, children: list[Block], *, top: bool, alike: bool) -> bool:
    """Whether a module is a way to layers: a container, the model itself, a wrapper of one part, or it holds a stack."""
    if top or type(module) in CONTAINERS:
        return True
    if alike:
        return False
    if len(children) == 1 and not list(module.parameters(recurse=False)):
        return True
    return any(_is_stack(part) for part in module.modules())


def _is_stack(module: nn.Module) -> bool:
    if type(module) not in CONTAINERS:
        return False
    children = [child for _, child in _children(module)]
    return sum(bool(_children(child)) for child in children) > 1 or len(children) > 3  # assumption: more is no block


def _children(module: nn.Module) -> list[Block]:
    held = [(name, child) for name, child in module.named_children() if next(child.parameters(), None) is not None]
    return [(name, child) for name, child in held if name != "parametrizations"]


def _has_matrix(module: nn.Module) -> bool:
    return any(weight.ndim > 1 and sum(size > 1 for size in weight.shape) > 0 for weight in module.parameters())


def _below(name: str, place: str) -> bool:
    return not place or name == place or name.startswith(f"{place}.")
