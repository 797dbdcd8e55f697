"""A loss that the loop works out itself: what its autograd graph says where the function is not known, so that it cannot be called again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.probes.nonfinite import Direction, Origin
from tunesmith.doctor.probes.nonfinite_replay import Call, Replay
from tunesmith.doctor.probes.nonfinite_trace import finite, floats

NODES = 20000  # of a graph that are looked at
# operations with an edge, those first that come to it most often; assumption
EDGES: tuple[str, ...] = (
    "Sqrt",
    "Log",
    "Log1P",
    "Log2",
    "Log10",
    "Rsqrt",
    "Acos",
    "Asin",
    "Pow",
    "Atan2",
    "Std",
    "Reciprocal",
    "Div",
    "Exp",
)
EDGES += ("LinalgVectorNorm", "Norm", "Var", "Prod")

# of one operand, which the node keeps
UNARY: Mapping[str, Any] = {
    "Log": torch.log,
    "Log2": torch.log2,
    "Log10": torch.log10,
    "Log1P": torch.log1p,
    "Acos": torch.acos,
    "Asin": torch.asin,
}
REASONS: Mapping[str, str] = {
    "Log1P": "log_zero",
    "Sqrt": "root_negative",
    "Rsqrt": "division_by_zero",
    "Reciprocal": "division_by_zero",
    "Exp": "exp_overflow",
    "Acos": "arc_beyond",
    "Asin": "arc_beyond",
}
SLOPED: Mapping[str, str] = {
    "Sqrt": "root_slope",
    "Log": "log_slope",
    "Pow": "power_slope",
    "Acos": "arc_slope",
    "Asin": "arc_slope",
    "Atan2": "angle_slope",
    "LinalgVectorNorm": "norm_slope",
    "Norm": "norm_slope",
    "Std": "spread_slope",
    "Var": "spread_slope",
    "Div": "division_slope",
}


@dataclass(slots=True)
class Between:
    """The operations between a loss and the outputs of the model, the one next to the outputs first; weights the loss takes by itself."""

    names: list[str] = field(default_factory=list)
    nodes: list[Any] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)


def between(loss: Tensor, ends: Sequence[int]) -> Between:
    """What lies between; `ends` are the sequence numbers of the nodes that made the outputs."""
    found, stops = Between(), set(ends)
    stack: list[Any] = [loss.grad_fn]
    seen: set[Any] = set()
    order: list[tuple[int, Any]] = []
    while stack and len(seen) < NODES:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        number = node._sequence_nr()
        held = getattr(node, "variable", None)
        if held is not None:
            found.weights.append(held)
        elif number not in stops:
            order.append((number, node))
            stack.extend(other for other, _ in node.next_functions)
    order.sort(key=lambda one: one[0])
    found.nodes = [node for _, node in order]
    found.names = [_name(node) for node in found.nodes if not _smooth(node)]
    return found


@dataclass(frozen=True, slots=True)
class InLoss:
    """The operation of a loss that is not finite first, told from what its graph has kept for the way back."""

    op: str
    why: str
    rows: tuple[int, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


def born_between(graph: Between) -> InLoss | None:
    """To be asked before the graph is run backwards: afterwards it keeps nothing."""
    for node in graph.nodes:
        name = _name(node)
        given, result, other = (_kept(node, which) for which in ("self", "result", "other"))
        if any(one is not None and not finite(one) for one in (given, other)):
            return None  # born in an operation that keeps nothing
        if name == "NllLoss" and (total := _kept(node, "total_weight")) is not None and not float(total):
            return InLoss("nll_loss", "nothing_counted")
        if name in UNARY and given is not None:
            result = UNARY[name](given)
        elif name == "Pow" and given is not None:
            result = given**node._saved_exponent
        elif name == "Div" and other is not None and bool((other == 0).any()):
            return InLoss("div", "division_by_zero", _rows(other == 0), {"zeros_1": int((other == 0).sum())})
        elif name in ("Mul", "MseLoss") and given is not None:
            second = other if other is not None else _kept(node, "target")
            result = (
                given * second if name == "Mul" and second is not None else given**2 if second is not None else None
            )
        if result is not None and not finite(result):
            return InLoss(name.lower(), _reason(name, given), _rows(~torch.isfinite(result)), _numbers(given))
    return None


def _kept(node: Any, which: str) -> Tensor | None:
    value = getattr(node, f"_saved_{which}", None)
    return value.detach() if isinstance(value, Tensor) and value.is_floating_point() else None


def _reason(name: str, given: Tensor | None) -> str:
    if name in ("Log", "Log2", "Log10"):
        return "log_negative" if given is not None and bool((given < 0).any()) else "log_zero"
    return REASONS.get(name, "overflow")


def _numbers(given: Tensor | None) -> dict[str, float]:
    if given is None or not given.numel():
        return {}
    return {"largest_0": float(given.abs().max()), "zeros_0": int((given == 0).sum()), "lowest_0": float(given.min())}


def _rows(bad: Tensor) -> tuple[int, ...]:
    """Along the first axis; nothing for a single number."""
    if not bad.dim():
        return ()
    return tuple(int(one) for one in bad.reshape(len(bad), -1).any(1).nonzero()[:, 0])[:32]


def _name(node: Any) -> str:
    return str(node.name().rstrip("0123456789").removesuffix("Backward"))


def _smooth(node: Any) -> bool:
    """A power of 1 or more has a slope everywhere; so has a division by a number."""
    exponent = getattr(node, "_saved_exponent", None) if _name(node) == "Pow" else None
    return isinstance(exponent, int | float) and exponent >= 1


def edge(graph: Between) -> str:
    """The operation among them that comes to the end of its domain most often."""
    return next((one for one in EDGES if one in graph.names), "")


def loss_origin(
    step: int,
    calls: Sequence[Call],
    loss: float | None,
    given: Any,
    model: nn.Module,
    bad: Sequence[str],
    target: Any,
    replay: Replay | None,
    seen: InLoss | None = None,
) -> Origin:
    """The origin where the model itself gives finite outputs: the loss, its slope, or what the loop does to the gradients."""
    lost = loss is not None and loss - loss != 0  # NaN or infinite
    passed = replay.passed(traced=False) if replay is not None else None
    graph = (
        between(given, [one for call in calls for one in call.ends])
        if isinstance(given, Tensor) and given.grad_fn is not None
        else Between()
    )
    back = any(not finite(one) for call in calls for one in call.gradients)
    numbers: dict[str, float] = {"loss": loss if loss is not None else 0.0}
    if passed is not None and passed.outputs:
        numbers["largest_0"] = max(float(one.detach().abs().max()) for one in passed.outputs if one.numel())
        numbers["zeros_0"] = sum(int((one == 0).sum()) for one in passed.outputs)
    base: dict[str, Any] = {
        "step": step,
        "noticed": step,
        "batch": calls[-1].number if calls else None,
        "numbers": numbers,
    }
    base["of_rows"] = calls[-1].rows if calls else 0
    if target is not None and any(not finite(one) for one in floats(target)):
        return _of_target(target, base)
    if lost:
        whole = next((one for one in graph.names if one.endswith("Loss")), "") or edge(graph)
        seen = seen or InLoss(whole.lower(), "in_loss")
        base["numbers"] = numbers | dict(seen.numbers)
        return Origin(
            module="loss",
            direction="loss",
            why=seen.why,
            fault="numerics.unsafe_op",
            op=seen.op,
            rows=seen.rows,
            **base,
        )
    near = edge(graph)
    own = [name for name, one in model.named_parameters() if any(one is other for other in graph.weights)]
    slope: dict[str, Any] = {
        "module": "loss",
        "direction": "backward",
        "why": SLOPED.get(near, "in_loss_slope"),
        "op": near,
    }
    if back:
        return Origin(**slope, fault="numerics.unsafe_op", **base)
    if own and near and (not bad or any(name in own for name in bad)):
        name = next((one for one in bad if one in own), own[0])
        return Origin(**slope, fault="numerics.unsafe_op", parameter=name, **base)
    norm = passed.gradient_norm if passed is not None and passed.gradient_norm is not None else -1.0
    direction: Direction = "update"
    numbers["gradient_norm"] = norm
    why = "gradients_changed"
    return Origin(
        module="gradients",
        direction=direction,
        why=why,
        fault="numerics.unsafe_op",
        parameter=bad[0] if bad else "",
        **base,
    )


def _of_target(target: Any, base: dict[str, Any]) -> Origin:
    rows: set[int] = set()
    for one in floats(target):
        if one.dim():
            wrong = (~torch.isfinite(one)).reshape(len(one), -1).any(1)
            rows |= {int(row) for row in wrong.nonzero()[:, 0]}
    return Origin(
        module="target",
        direction="input",
        why="bad_target",
        fault="data.nonfinite",
        rows=tuple(sorted(rows))[:32],
        **base,
    )
