"""first_signals: values or gradients do not come through the layers at the start, and what brings them through.

Sees      by layer, in the mode the program trains in, on up to 256 rows: inputs of a layer that are 0 for every row (units that are
          asleep), inputs pinned at the ends of a sigmoid or tanh, the deviation of what a layer gives, the gradient of its weights over
          their length. Where something is odd, two short trainings each of the program as it is, with standardised inputs, with weights
          drawn anew by the rule of the activation that follows, and with ReLU in place of sigmoid and tanh.
Matters   layers that are asleep, pinned, or hundreds of times slower than others do not learn for the whole run.
Remedies  standardised inputs; He or Glorot weights; another activation, a norm layer, residual branches.
Limits    speaks only where a change lowers the training loss clearly in both short trainings, so a slow layer that does no harm stays
          unsaid. Activations that are functions, not modules, are not exchanged. Recurrent layers are looked at as a whole.
Source    Glorot & Bengio, AISTATS 2010, section 4; He et al., arXiv:1502.01852, section 2.2; bounds: SageMaker Debugger and AutoTrainer
          defaults, as in the fault list.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.blocks.layers.init import initialise
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import Course, Variation, course
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, ModelError, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.training.batch import Batch

ROWS = 256  # assumption: a unit that is active for 1 row in 100 is seen with 92 %
ASLEEP = 0.5  # share of units: SageMaker Debugger, dead ReLU
PINNED = 0.5  # share of values: SageMaker Debugger, saturated activation
CLOSE = 0.02  # of the ends of a sigmoid or tanh; assumption: its slope is below 8 % of the largest
VANISHING = 1e-3  # gradient over weight, first over last layer: AutoTrainer
EXPLODING = 1e3  # assumption; AutoTrainer's 70 also fires on sound nets
FLAT = 1e-3  # deviation of the outputs over rows, by that of the first layer; assumption
STEPS = 120  # updates of a short training, fewer where the run is shorter; assumption
CLEARLY = 0.3  # share of what the change gains that the program as it is does not; assumption
LEARNS = 0.97  # of the loss at the start, which a training that learns falls below; assumption
BOUNDED = (nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid, nn.Softsign)
WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)

SCALE = Remedy(title="signals.standardise", safety=Safety.RISKY)
REDRAW = Remedy(title="signals.redraw", safety=Safety.RISKY, change={"model.init": "auto"})
EXCHANGE = Remedy(title="signals.exchange", safety=Safety.RISKY, change={"model.activation": "relu"})


@dataclass(slots=True)
class Layer:
    """What one weighted layer was given and what came back to it."""

    name: str
    asleep: float = 0.0  # share of its input units that are 0 for every row
    pinned: float = 0.0  # share of its inputs at the ends of a bounded activation
    deviation: float = 0.0  # of what it gives
    gradient: float = 0.0  # norm of its weight's gradient over that of the weight


@dataclass(slots=True)
class Signals:
    """All layers in the order of the forward pass, and what is odd."""

    layers: list[Layer] = field(default_factory=list)
    spread: float = 0.0  # deviation of the outputs over the rows
    odd: dict[str, tuple[str, float, float]] = field(default_factory=dict)  # mechanism: layer, value, bound


@check(
    "first_signals",
    faults=(
        "init.bad_scale",
        "act.unsuitable",
        "data.unscaled_inputs",
        "act.dead_relu",
        "act.saturated",
        "grad.vanishing",
        "grad.exploding",
    ),
    cost=PASS,
)
def first_signals(bench: Bench) -> Iterator[Finding]:
    signals = signals_of(bench)
    for layer in signals.layers:
        bench.measured[f"signals.{layer.name}.deviation"] = layer.deviation
    if not signals.odd:
        return
    steps = min(STEPS, bench.updates)
    plain = _courses(bench, Variation(), steps, None)
    if _learnt(bench, plain) is None:
        raise Inapplicable("the program does not come to the end of a short training")
    for fault, message, remedy, variation, mend in _changes(bench):
        changed = _courses(bench, variation, steps, mend)
        if changed and _clearly(bench, plain, changed):
            yield from _told(signals, fault, message, remedy, plain, changed)
            return
    start = _start_loss(bench)
    if all(one.loss > LEARNS * start for one in plain) and steps >= STEPS / 2:
        yield from _mechanisms(signals, "", plain)


def signals_of(bench: Bench) -> Signals:
    """Values and gradients of every weighted layer for one batch. Raises `Inapplicable` for a model without two of them."""
    twin, batch = bench.twin(), bench.batch(ROWS, "signals")
    kept: dict[str, Layer] = {}
    weights: dict[str, Tensor] = {}
    hooks = []
    for name, module in twin.model.named_modules():
        if (
            isinstance(module, WEIGHTED) and module.weight.requires_grad and module.weight.is_leaf
        ):  # not a parametrised one
            weights[name] = module.weight
            hooks.append(module.register_forward_hook(_note(name, kept)))
    try:
        result = _ran(bench, twin, batch)
    finally:
        for hook in hooks:
            hook.remove()
    if len(kept) < 2:
        raise Inapplicable("fewer than two weighted layers are called")
    for name, layer in kept.items():
        grad = weights[name].grad
        length = float(weights[name].detach().norm())
        layer.gradient = 0.0 if grad is None or length == 0 else float(grad.norm()) / length
    signals = Signals(list(kept.values()), _spread(result))
    _judge(signals, twin, list(kept))
    return signals


def _ran(bench: Bench, twin: Twin, batch: Batch) -> Any:
    """Forward and backward as the program does them; its own step decides what the model is given."""
    twin.mode(bench.program.train_mode)
    twin.model.zero_grad(set_to_none=True)
    try:
        result = twin.result(batch)
        twin.loss_of(result, batch).backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, ModelError) as error:
        raise Inapplicable(f"the model is not called with its inputs alone ({type(error).__name__})") from error
    return result


def _note(name: str, kept: dict[str, Layer]) -> Callable[[nn.Module, Any, Any], None]:
    def hook(module: nn.Module, given: Any, output: Any) -> None:
        if name in kept or not given or not isinstance(given[0], Tensor) or not isinstance(output, Tensor):
            return
        x = given[0].detach().float()
        units = (
            x.flatten(2).amax(2) if isinstance(module, nn.modules.conv._ConvNd) and x.dim() > 2 else x.flatten(0, -2)
        )
        quiet = (units == 0).all(0) if units.dim() == 2 else torch.zeros(1)
        kept[name] = Layer(name, float(quiet.float().mean()), _pinned(x), float(output.detach().float().std()))

    return hook


def _pinned(x: Tensor) -> float:
    """The share of values at the ends of the range, where the values lie in that of a sigmoid or tanh and use it."""
    low, high = float(x.min()), float(x.max())
    if high > 1.0 + 1e-6 or low < -1.0 - 1e-6 or high < 1.0 - CLOSE or (low > 0.0) or -1.0 + CLOSE < low < 0.0:
        return 0.0
    ends = (x >= 1.0 - CLOSE) | ((x <= -1.0 + CLOSE) if low < 0.0 else (x <= CLOSE))
    exact = ((x == 0.0) | (x == 1.0)).float().mean()  # pixels, one-hot codes, ReLU: no sigmoid gives them so often
    return 0.0 if float(exact) > 0.1 and low >= 0.0 else float(ends.float().mean())


def _spread(result: Any) -> float:
    tensor = result if isinstance(result, Tensor) else None
    if tensor is None or tensor.dim() < 1 or len(tensor) < 2:
        return math.nan
    return float(tensor.detach().float().reshape(len(tensor), -1).std(0).mean())


def _judge(signals: Signals, twin: Twin, names: Sequence[str]) -> None:
    """What is odd, by the bounds of the fault list."""
    layers, modules = signals.layers, dict(twin.model.named_modules())
    hidden = layers[1:]
    worst = max(hidden, key=lambda one: one.asleep)
    if worst.asleep > ASLEEP:
        signals.odd["act.dead_relu"] = (worst.name, worst.asleep, ASLEEP)
    pinned = max(hidden, key=lambda one: one.pinned)
    if pinned.pinned > PINNED:
        signals.odd["act.saturated"] = (pinned.name, pinned.pinned, PINNED)
    flowing = [one.gradient for one in layers[:-1]]
    last = layers[-1].gradient
    head = modules[names[-1]].weight.detach()
    zero_head = bool((head == 0).all())
    if last > 0 and not zero_head:
        ratio = min(flowing) / last
        slowest = layers[flowing.index(min(flowing))].name
        if ratio < VANISHING:
            signals.odd["grad.vanishing"] = (slowest, ratio, VANISHING)
        ratio = max(flowing) / last
        if ratio > EXPLODING:
            signals.odd["grad.exploding"] = (layers[flowing.index(max(flowing))].name, ratio, EXPLODING)
    first = layers[0].deviation
    if not zero_head and first > 0 and layers[-1].deviation / first < FLAT:
        signals.odd.setdefault("grad.vanishing", (layers[-1].name, layers[-1].deviation / first, FLAT))
    if not zero_head and layers[-1].deviation > 0 and signals.spread < FLAT:
        signals.odd.setdefault("grad.vanishing", (layers[-1].name, signals.spread, FLAT))


# The trials


def _changes(bench: Bench) -> Iterator[tuple[str, str, Remedy, Variation, Callable[[Twin, Batch], bool] | None]]:
    inputs = bench.batch(ROWS, "signals").inputs
    if isinstance(inputs, Tensor) and inputs.is_floating_point() and inputs.dim() == 2 and _unscaled(inputs):
        yield "data.unscaled_inputs", "signals.inputs", SCALE, Variation("standardised inputs", inputs=True), None
    yield "init.bad_scale", "signals.weights", REDRAW, Variation("new weights"), redrawn
    yield "act.unsuitable", "signals.activation", EXCHANGE, Variation("other activation"), exchanged


def _unscaled(inputs: Tensor) -> bool:
    spread = inputs.float().std(0)
    spread = spread[spread > 0]
    return bool(len(spread)) and bool(
        spread.max() > 10 or spread.max() < 0.1 or inputs.float().mean(0).abs().max() > 10
    )


def redrawn(twin: Twin, batch: Batch) -> bool:
    given = batch.inputs if isinstance(batch.inputs, Tensor) else None
    initialise(twin.model, batch=given, norms="keep", embeddings="default")
    return True


def exchanged(twin: Twin, batch: Batch) -> bool:
    """ReLU in place of bounded activations inside; the last module stays. False where there are none."""
    found = [name for name, one in twin.model.named_modules() if isinstance(one, BOUNDED)]
    called = [name for name, one in twin.model.named_modules() if not list(one.children())]
    found = [name for name in found if name != called[-1]]
    for name in found:
        parent, _, leaf = name.rpartition(".")
        setattr(twin.model.get_submodule(parent), leaf, nn.ReLU())
    return bool(found) and redrawn(twin, batch)


def _courses(
    bench: Bench, variation: Variation, steps: int, mend: Callable[[Twin, Batch], bool] | None
) -> list[Course]:
    """Two short trainings with different orders; none where the change does not apply."""
    made = []
    for seed in (0, 1):
        twin = None
        if mend is not None:
            twin = bench.twin()
            try:
                if not mend(twin, bench.batch(ROWS, "signals")):
                    return []
            except ModelError:
                return []  # a model whose layers cannot be followed is not redrawn
        made.append(course(bench, variation, steps, seed=seed, start=twin))
    return made


def _learnt(bench: Bench, courses: Sequence[Course]) -> float | None:
    found = [one.loss for one in courses if one.finite]
    return float(np.mean(found)) if len(found) == len(courses) else None


def _start_loss(bench: Bench) -> float:
    return bench.kept("signals.start", lambda: bench.twin().judged(bench.batch(ROWS, "signals"))[0])


def _clearly(bench: Bench, plain: Sequence[Course], changed: Sequence[Course]) -> bool:
    """Whether the change gains, in each of the trainings, clearly more than the program as it is."""
    if not all(one.finite for one in changed):
        return False
    usual = bench.measured.get("start.constant")
    top = float(usual) if isinstance(usual, float) and math.isfinite(usual) and usual > 0 else _start_loss(bench)
    gains = []
    for one, other in zip(plain, changed, strict=True):
        before = min(one.loss, top) if one.finite else top
        room = top - other.loss
        gains.append((before - other.loss) / room if room > 0.05 * abs(top) else 0.0)
    return min(gains) > CLEARLY


# What is said


def _told(
    signals: Signals,
    fault: str,
    message: str,
    remedy: Remedy,
    plain: Sequence[Course],
    changed: Sequence[Course],
) -> Iterator[Finding]:
    mechanism, (layer, value, bound) = next(iter(signals.odd.items()))
    losses = float(np.mean([one.loss for one in plain])), float(np.mean([one.loss for one in changed]))
    yield Finding(
        fault=fault,
        severity="warning",
        message=message,
        values={"layer": layer, "steps": plain[0].steps, "loss": losses[0], "better": losses[1]},
        evidence=(
            Evidence(name=mechanism, value=value, threshold=bound, source="fault list", where=layer),
            Evidence(name="training loss as it is", value=losses[0], threshold=losses[1], source="short trainings"),
        ),
        remedies=(remedy,),
        confidence=0.85,
        status="confirmed",
        subject={"layers": [layer]},
    )
    yield from _mechanisms(signals, fault, plain)


def _mechanisms(signals: Signals, cause: str, plain: Sequence[Course]) -> Iterator[Finding]:
    for fault, (layer, value, bound) in signals.odd.items():
        yield Finding(
            fault=fault,
            severity="warning",
            message=f"signals.{fault.replace('.', '_')}",
            values={"layer": layer, "value": value},
            evidence=(Evidence(name=fault, value=value, threshold=bound, source="fault list", where=layer),),
            confidence=0.7,
            status="confirmed",
            subject={"layers": [layer]},
            caused_by=cause or None,
        )
