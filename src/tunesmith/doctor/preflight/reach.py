"""Which outputs a net can give at all: its last layer is scaled and shifted far, on a copy. A tool of the checks.

What stays inside bounds however far the last layer's numbers go is bounded by what comes after it: an activation. A net that ends
in a linear layer grows without end. Nothing is read from the names of modules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.seeing import main, plain, probed, seen
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records.check import Inapplicable

FAR = (1e2, 1e4)  # how far the last layer's numbers go: what grows from the one to the other has no bound; assumption
MILD = 10.0  # how far they go where sums are looked at: an exponential of it is still finite; assumption
BOUNDED = 1e-3  # relative growth between them that counts as none; assumption
DRAWS = 3  # of random directions; assumption
BRANCHES = 8  # last layers that are tried until one moves the outputs; assumption


@dataclass(frozen=True, slots=True)
class Reach:
    """The set of outputs that a net can give."""

    lowest: float  # -inf where there is no lower bound
    highest: float  # inf where there is no upper one
    simplex: int | None = None  # the axis along which outputs sum to 1; None where they do not
    normalised: int | None = None  # the axis along which they are log-probabilities
    constant: bool = False  # nothing moves them
    layer: str = ""  # the last layer, whose numbers were moved
    shut: float = 0.0  # share of the outputs at the start that lie exactly at a bound, where no gradient comes through
    name: str = (
        ""  # of what comes last, by torch's graph: "softmax", "sigmoid", "relu" …; "" where it is not one of those
    )

    @property
    def free(self) -> bool:
        """Whether nothing bounds the outputs."""
        return self.lowest == float("-inf") and self.highest == float("inf") and not self.constant

    def project(self) -> Callable[[Tensor], Tensor]:
        """A map of free numbers into the set."""
        if self.simplex is not None:
            axis = self.simplex
            return lambda free: torch.softmax(free, axis)
        if self.normalised is not None:
            along = self.normalised
            return lambda free: torch.log_softmax(free, along)
        low, high = self.lowest, self.highest
        if low > float("-inf") and high < float("inf"):
            return lambda free: low + (high - low) * torch.sigmoid(free)
        if low > float("-inf"):
            return lambda free: low + torch.nn.functional.softplus(free)
        if high < float("inf"):
            return lambda free: high - torch.nn.functional.softplus(-free)
        return lambda free: free


def reach(bench: Bench) -> Reach:
    """The reach of what the loss is given. Raises `Inapplicable` where no layer is found that moves it."""
    return bench.kept("reach", lambda: _reach(bench))


def _reach(bench: Bench) -> Reach:
    twin = bench.twin()
    start = _outputs(bench, twin)
    tried: list[str] = []
    for name, layer in _last_layers(bench, twin)[:BRANCHES]:
        moved = [[_moved(bench, twin, layer, scale, draw) for draw in range(DRAWS)] for scale in FAR]
        if any(one is None or one.shape != start.shape for group in moved for one in group):
            raise Inapplicable("the net cannot be tried with its last layer's numbers changed")
        near, far = (torch.stack([one for one in group if one is not None]) for group in moved)
        if bool(((near - start).abs() > 1e-6 * (1 + start.abs())).any()):
            mild = [one for draw in range(DRAWS) if (one := _moved(bench, twin, layer, MILD, draw)) is not None]
            return _told(torch.stack([start, *mild]), near, far, name, _ending(bench, twin))
        tried.append(name)
    if tried and not bool((start != start.reshape(-1)[0]).any()):
        value = float(start.reshape(-1)[0])
        return Reach(value, value, constant=True, layer=tried[0], name=_ending(bench, twin))
    raise Inapplicable("no layer with parameters moves the outputs")


def _told(mild: Tensor, near: Tensor, far: Tensor, layer: str, ending: str) -> Reach:
    start = mild[0]
    near, far = near.nan_to_num(0.0, 3e38, -3e38), far.nan_to_num(0.0, 3e38, -3e38)
    lowest = _bound(-near, -far)
    highest = _bound(near, far)
    low, high = (float("-inf") if lowest is None else -lowest), (float("inf") if highest is None else highest)
    shut = 0.0
    for bound in (low, high):
        if abs(bound) != float("inf"):
            shut += float((start == bound).float().mean())
    axis = _summing(mild, low, high)
    log_axis = _logs(mild) if high <= 1e-6 else None
    return Reach(low, high, axis, log_axis, layer=layer, shut=shut, name=ending)


def _bound(near: Tensor, far: Tensor) -> float | None:
    """The largest output, where going a hundred times farther does not raise it; None where it does."""
    one, two = float(near.max()), float(far.max())
    return max(one, two) if two <= one + BOUNDED * max(1.0, abs(one)) else None


def _summing(values: Tensor, low: float, high: float) -> int | None:
    """The axis (of the outputs) along which all sums are 1."""
    if low < -1e-6 or high > 1 + 1e-6 or values.dim() < 3:
        return None
    for axis in (2, values.dim() - 1):
        if values.shape[axis] > 1 and bool(((values.sum(axis) - 1).abs() < 1e-4).all()):
            return axis - 1
    return None


def _logs(values: Tensor) -> int | None:
    for axis in {2, values.dim() - 1}:
        if axis < values.dim() and values.shape[axis] > 1 and bool((torch.logsumexp(values, axis).abs() < 1e-3).all()):
            return axis - 1
    return None


def _outputs(bench: Bench, twin: Twin) -> Tensor:
    found = main(seen(bench, twin, probed(bench)))
    if found is None or not found.is_floating_point() or found.dim() == 0:
        raise Inapplicable("the outputs are no floating tensor")
    return found.float()


def _last_layers(bench: Bench, twin: Twin) -> list[tuple[str, nn.Module]]:
    """Layers that hold parameters themselves and no further layer, the one carried out last first."""
    order: list[nn.Module] = []
    names = {module: name for name, module in twin.model.named_modules()}
    wanted = [module for module in names if not list(module.children()) and list(module.parameters(recurse=False))]
    handles = [module.register_forward_hook(lambda module, _inputs, _result: order.append(module)) for module in wanted]
    try:
        seen(bench, twin, probed(bench))
    finally:
        for handle in handles:
            handle.remove()
    return [(names[module], module) for module in dict.fromkeys(reversed(order))]


def _moved(bench: Bench, twin: Twin, layer: nn.Module, scale: float, draw: int) -> Tensor | None:
    """The outputs with the result of a layer scaled and shifted at random."""
    generator = torch.Generator().manual_seed(draw)

    def far(module: nn.Module, inputs: Any, result: Any) -> Any:
        if not isinstance(result, Tensor) or not result.is_floating_point():
            return None
        drawn = torch.randn(result.shape, generator=generator).to(result)
        return scale * drawn * (1 + result.abs())  # both signs, whatever the size of the result

    handle = layer.register_forward_hook(far)
    try:
        return _outputs(bench, twin)
    except Inapplicable:
        return None
    finally:
        handle.remove()


ENDINGS = {
    "SoftmaxBackward0": "softmax",
    "LogSoftmaxBackward0": "log_softmax",
    "SigmoidBackward0": "sigmoid",
    "LogSigmoidBackward0": "log_sigmoid",
    "TanhBackward0": "tanh",
    "ReluBackward0": "relu",
    "LeakyReluBackward0": "leaky_relu",
    "SoftplusBackward0": "softplus",
    "ExpBackward0": "exp",
    "GeluBackward0": "gelu",
    "EluBackward0": "elu",
    "SiluBackward0": "silu",
    "HardtanhBackward0": "hardtanh",
    "HardsigmoidBackward0": "hardsigmoid",
    "ClampBackward1": "clamp",
}
PASSING = ("View", "Squeeze", "Unsqueeze", "Reshape", "Alias", "Clone", "Transpose", "T", "Select", "Slice", "Permute")


def _ending(bench: Bench, twin: Twin) -> str:
    """What comes last in torch's graph of the model's result, past changes of shape; "" where it is none of the known."""
    if not plain(bench):
        return ""
    twin.mode(False)
    try:
        from tunesmith.training.batch import outputs_of

        with torch.enable_grad():
            node: Any = outputs_of(twin.result(probed(bench))).grad_fn
    except (RuntimeError, ValueError):
        return ""
    while node is not None and type(node).__name__.removesuffix("Backward0").removesuffix("Backward1") in PASSING:
        node = node.next_functions[0][0] if node.next_functions else None
    return ENDINGS.get(type(node).__name__, "")
