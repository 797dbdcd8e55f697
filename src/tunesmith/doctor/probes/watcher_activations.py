"""Activations by layer on a training batch of a live loop: spread by depth, dead and saturated units, gradients that come back.

Hooks are on for one forward pass. An activation that is a function, no module, is found by the node of autograd that made the
input of the next layer; its units are then named by the layer before it.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.probes.watcher_ledger import Ledger, points
from tunesmith.doctor.probes.watcher_view import is_compiled

ELEMENTS = 2**16  # of a layer's output that are looked at; assumption
ROWS = 256  # after which a unit that was never above 0 is called dead; assumption
LOOKS = 16  # whose rows are taken together for that
MODULES = 48  # that are looked at in one pass; of a deeper net some, evenly
NEAR = 0.01  # of the range: this near an end is saturated
NEARLY_ALL = 0.95  # of the rows
WALK = 6  # nodes of autograd between an activation and the next layer

WEIGHTED = (
    nn.Linear,
    nn.modules.conv._ConvNd,
    nn.Bilinear,
    nn.RNNBase,
    nn.MultiheadAttention,
)
CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.GroupNorm)
ZEROED = ("ReLU", "ReLU6", "Threshold", "Hardshrink", "Softshrink", "Hardswish", "Hardsigmoid")  # exactly 0 below
BOUNDS: Mapping[str, tuple[float, float]] = {
    "Sigmoid": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Hardsigmoid": (0.0, 1.0),
    "Softsign": (-1.0, 1.0),
    "ReLU6": (0.0, 6.0),
}
OTHERS = ("LeakyReLU", "PReLU", "ELU", "CELU", "SELU", "GELU", "SiLU", "Mish", "Softplus", "Hardtanh", "LogSigmoid")
NODES = {  # of autograd: the activation they belong to
    "ReluBackward0": "ReLU",
    "TanhBackward0": "Tanh",
    "SigmoidBackward0": "Sigmoid",
    "HardsigmoidBackward0": "Hardsigmoid",
    "HardtanhBackward0": "Hardtanh",
    "ThresholdBackward0": "Threshold",
    "LeakyReluBackward0": "LeakyReLU",
    "EluBackward0": "ELU",
    "GeluBackward0": "GELU",
    "SiluBackward0": "SiLU",
    "SoftplusBackward0": "Softplus",
    "MishBackward0": "Mish",
    "HardswishBackward0": "Hardswish",
}
PASSING = ("View", "Reshape", "Squeeze", "Unsqueeze", "Permute", "Transpose", "TBackward", "Pool", "Dropout", "Clone")


def first_tensor(result: Any) -> Tensor | None:
    """The first floating tensor of a nested result."""
    if isinstance(result, Tensor):
        return result if result.is_floating_point() else None
    members = result.values() if isinstance(result, Mapping) else result if isinstance(result, list | tuple) else ()
    for one in members:
        found = first_tensor(one)
        if found is not None:
            return found
    return None


def plain(tensor: Tensor) -> bool:
    """Numbers that can be looked at: no tracer's, no transform's stand-in."""
    if type(tensor) not in (Tensor, nn.Parameter) or not tensor.numel() or tensor.is_sparse or tensor.is_nested:
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def some_rows(tensor: Tensor, elements: int = ELEMENTS) -> Tensor:
    """Every k-th row, so that about `elements` numbers are left."""
    if tensor.dim() < 2 or tensor.numel() <= elements:
        return tensor
    return tensor[:: -(-tensor.numel() // elements)]


def by_unit(tensor: Tensor, channels_first: bool) -> Tensor:
    """(rows, units)."""
    if channels_first and tensor.dim() > 2:
        return tensor.movedim(1, -1).flatten(0, -2)
    return tensor.flatten(0, -2) if tensor.dim() > 1 else tensor.reshape(-1, 1)


def activation_behind(tensor: Tensor) -> tuple[Any, str] | None:
    """The node of autograd and the activation that made a tensor, through views, pools and dropout."""
    node = tensor.grad_fn
    for _ in range(WALK):
        if node is None:
            return None
        name = node.name()
        if name in NODES:
            return node, NODES[name]
        scaled = name == "MulBackward0" and node.next_functions[1][0] is None  # dropout, or a constant
        if not (scaled or any(part in name for part in PASSING)) or not node.next_functions:
            return None
        node = node.next_functions[0][0]
    return None


class Activations:
    """Attached for single forward passes. `kinds` are the activations found so far, by place."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.kinds: dict[str, str] = {}
        self.order: list[str] = []  # of the places, as the forward pass comes by them
        self.seconds = 0.0  # spent in hooks since the last `detach`
        self._handles: list[Any] = []
        self._alive: dict[str, deque[tuple[int, Tensor]]] = {}
        self._step = 0
        self._seen: set[str] = set()
        self._nodes: list[Any] = []
        self._before = ("", False)  # the last layer with weights, and whether its channels come first

    def attach(self, model: nn.Module, step: int) -> None:
        self._step, self._before = step, ("", False)
        self._seen.clear()
        for name, module in chosen(model):
            self._handles.append(module.register_forward_hook(Eye(self, name)))

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._nodes.clear()

    def look(self, name: str, module: nn.Module, given: Any, result: Any) -> None:
        """Of a layer's first call in this pass."""
        began = time.perf_counter()
        output = first_tensor(result)
        if name not in self._seen and output is not None and plain(output):
            self._seen.add(name)
            with torch.no_grad(), torch.autocast(output.device.type, enabled=False):
                self._look(name, module, given, output)
        self.seconds += time.perf_counter() - began

    def _look(self, name: str, module: nn.Module, given: Any, output: Tensor) -> None:
        kind = type(module).__name__
        if isinstance(module, WEIGHTED):
            self._function(given)
            channels_first = isinstance(module, CHANNELS_FIRST)
            self._before = (name, channels_first)
            self._spread(name, output, channels_first)
            if output.requires_grad:
                output.register_hook(self._returned(name))  # type: ignore[no-untyped-call]
        elif isinstance(module, CHANNELS_FIRST):
            self._before = (self._before[0], True)
        else:
            self._nodes.append(output.grad_fn)
            bounds = (module.min_val, module.max_val) if isinstance(module, nn.Hardtanh) else BOUNDS.get(kind)
            self._active(name, kind, output, self._before[1], bounds)

    def _function(self, given: Any) -> None:
        """An activation without a module, in front of this layer."""
        taken = given[0] if given else None
        if not isinstance(taken, Tensor) or not plain(taken):
            return
        behind = activation_behind(taken)
        where = self._before[0]
        if behind is not None and where and not any(behind[0] is node for node in self._nodes):
            made = getattr(behind[0], "_saved_result", taken).detach()  # before dropout and pools
            self._active(where, behind[1], made, self._before[1] and made.dim() > 2, BOUNDS.get(behind[1]))

    def _spread(self, name: str, output: Tensor, channels_first: bool) -> None:
        units = by_unit(some_rows(output.detach()), channels_first).float()
        if len(units) < 2:
            return
        deviation, mean = torch.std_mean(units)
        within = units.std(0).mean() / deviation.clamp(min=torch.finfo(torch.float32).tiny)
        found = torch.stack((mean, deviation, within))
        keys = ("activation_mean", "activation_std", "activation_spread")
        self.ledger.later(
            self._step, found, lambda numbers: [(key, name, one) for key, one in zip(keys, numbers, strict=True)]
        )

    def _returned(self, name: str) -> Callable[[Tensor], None]:
        step, ledger = self._step, self.ledger

        def hook(gradient: Tensor) -> None:
            if plain(gradient) and gradient.numel() > 1:
                with torch.no_grad():
                    ledger.later(step, some_rows(gradient.detach()).float().std(), points("gradient_std", name))

        return hook

    def _active(
        self, name: str, kind: str, output: Tensor, channels_first: bool, bounds: tuple[float, float] | None
    ) -> None:
        if name not in self.kinds:
            self.order.append(name)
        self.kinds[name] = kind
        if kind not in ZEROED and bounds is None:
            return
        units = by_unit(some_rows(output.detach()), channels_first)
        if (bounds is not None and kind != "Hardtanh") or (bounds is not None and bounds[0] < 0):
            low, high = bounds
            room = NEAR * (high - low)
            ends = (units < low + room) | (units > high - room)
            stuck = (ends.float().mean(0) >= NEARLY_ALL).float().mean()
            self.ledger.later(self._step, stuck, points("saturated_fraction", name))
        if kind in ZEROED:
            self._dead(name, units)

    def _dead(self, name: str, units: Tensor) -> None:
        """Units at 0 on every row of the latest looks."""
        window = self._alive.setdefault(name, deque(maxlen=LOOKS))
        if window and window[-1][1].shape[0] != units.shape[1]:
            window.clear()
        window.append((len(units), (units != 0).any(0)))
        rows, masks = 0, []
        for count, mask in reversed(window):
            rows += count
            masks.append(mask)
            if rows >= ROWS:
                break
        dead = 1 - (masks[0] if len(masks) == 1 else torch.stack(masks).any(0)).float().mean()
        self.ledger.later(self._step, dead, points("dead_fraction", name))


def chosen(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules to look at, in their order on the tree, with none below a compiled one."""
    compiled = [f"{name}." for name, one in model.named_modules() if name and is_compiled(one)]
    names = (*ZEROED, *BOUNDS, *OTHERS)
    found = [
        (name, module)
        for name, module in model.named_modules()
        if (isinstance(module, WEIGHTED + CHANNELS_FIRST) or type(module).__name__ in names)
        and not any(f"{name}.".startswith(one) for one in compiled)
        and not _inside_attention(model, name)
    ]
    if len(found) <= MODULES:
        return found
    return [found[round(i * (len(found) - 1) / (MODULES - 1))] for i in range(MODULES)]


def _inside_attention(model: nn.Module, name: str) -> bool:
    """The projection that `MultiheadAttention` holds is not called as a module."""
    head = name.rpartition(".")[0]
    return bool(name) and isinstance(model.get_submodule(head), nn.MultiheadAttention)


def unreal() -> bool:
    """A compiler or tracer runs the model on stand-ins."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


class Eye:
    """A hook that a copy or a pickle of the model does not take along."""

    def __init__(self, activations: Activations, name: str) -> None:
        self.activations, self.name = activations, name

    def __call__(self, module: nn.Module, given: Any, result: Any) -> None:
        if not unreal():
            self.activations.look(self.name, module, given, result)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Blind, ())

    def __deepcopy__(self, memo: Any) -> "Blind":
        return Blind()


class Blind:
    """What a copied model has instead of a hook: nothing happens."""

    def __call__(self, *given: Any) -> None:
        return None
