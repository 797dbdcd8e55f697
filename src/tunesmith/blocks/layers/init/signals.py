"""How signal and gradient pass the layers at the start: variance of each output, forward, and of its gradient, backward.

He et al., arXiv:1502.01852, section 2.2, and Glorot & Bengio, AISTATS 2010, section 4.2, ask that neither grows nor
shrinks from layer to layer.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.blocks.layers.init.passing import called, placed, plain, refuse_empty, refuse_lazy, untouched
from tunesmith.blocks.layers.init.table import table
from tunesmith.blocks.layers.init.vocabulary import EMBEDDINGS, WEIGHTED, tensors_in
from tunesmith.records import ModelError

STEADY = 2.0  # assumption: a factor of at most 2 a layer; Glorot in a ReLU net, which stalls at 30 layers, has 1/2
LARGEST = 1e6  # assumption: from one end of the net to the other; single precision has 7 digits


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One call of a layer: variance and second moment of its output, variance of the loss's gradient with respect to it.

    `forward` is the second moment over that of the layer before it, `backward` the mean square of the gradient over that
    of the layer after it, both in the order of the pass.
    """

    layer: str
    variance: float
    second_moment: float
    gradient_variance: float | None  # None: no gradient reaches it
    forward: float | None
    backward: float | None
    verdict: str


@dataclass(frozen=True)
class SignalReport:
    """The rows in the order of the pass, and the geometric mean of the ratios over the whole net."""

    rows: tuple[SignalRow, ...]
    forward_rate: float | None
    backward_rate: float | None
    verdict: str

    def __str__(self) -> str:
        names = ("layer", "variance", "second moment", "gradient variance", "forward", "backward", "verdict")
        rows = [
            (
                r.layer,
                r.variance,
                r.second_moment,
                r.gradient_variance,
                _times(r.forward),
                _times(r.backward),
                r.verdict,
            )
            for r in self.rows
        ]
        rates = [f"{way} ×{rate:.3g} a layer" for way, rate in self._rates() if rate is not None]
        return f"{table(names, rows)}\n{self.verdict}" + (f": {', '.join(rates)}" if rates else "")

    def _rates(self) -> tuple[tuple[str, float | None], ...]:
        return ("forward", self.forward_rate), ("backward", self.backward_rate)


def signal_report(model: nn.Module, batch: Any, loss: Callable[[Any], Tensor] | None = None) -> SignalReport:
    """Variance of every layer's output and of the gradient with respect to it, for one batch, with a verdict a layer.

    Layers are linear layers, convolutions, attention, recurrent layers and embeddings, in the order they are called; their
    outputs are those before any activation. `loss` takes what the model gives; without one the gradient is that of a sum
    of the outputs with random signs, so that it has mean square 1 at the output. The ratio of each layer to its neighbour
    is named steady within a factor 2. The model is passed in the mode it stands in; modes, buffers, gradients and
    all random generators are afterwards as they were, bit for bit.

    Raises `ModelError` for an empty batch or a loss that is no single number.
    Source: arXiv:1502.01852, section 2.2; AISTATS 2010, section 4.2.
    """
    refuse_empty(batch)
    model = plain(model)
    refuse_lazy(model)
    batch = placed(batch, next(model.parameters(), torch.empty(0)).device)
    kept: list[tuple[str, Tensor]] = []
    with untouched(model, evaluating=False), torch.enable_grad():
        hooks = [m.register_forward_hook(_keeper(name, kept)) for name, m in model.named_modules() if _counts(m)]
        try:
            result = called(model, batch)
        finally:
            for hook in hooks:
                hook.remove()
        if not kept:
            raise ModelError(f"the {type(model).__name__} called no layer with weights; there is nothing to report")
        number = _signed_sum(result) if loss is None else loss(result)
        gradients = _gradients(number, [output for _, output in kept])
    return _report([(name, output.detach().double()) for name, output in kept], gradients)


def _counts(module: nn.Module) -> bool:
    return isinstance(module, (*WEIGHTED, *EMBEDDINGS))


def _keeper(name: str, kept: list[tuple[str, Tensor]]) -> Callable[[nn.Module, Any, Any], Any]:
    def keep(module: nn.Module, _: Any, output: Any) -> Any:
        found = tensors_in(output)
        if not found or not found[0].is_floating_point():
            return output
        first = found[0] if found[0].requires_grad else found[0].detach().requires_grad_()
        calls = sum(known == name or known.startswith(f"{name} (call ") for known, _ in kept)
        kept.append(
            (f"{name or type(module).__name__} (call {calls + 1})" if calls else name or type(module).__name__, first)
        )
        passed = first.clone()  # what is done to it in place afterwards does not reach what is kept
        if isinstance(output, Tensor):
            return passed
        if isinstance(output, tuple) and not hasattr(output, "_fields") and output and output[0] is found[0]:
            return (passed, *output[1:])
        return output

    return keep


def _signed_sum(result: Any) -> Tensor:
    outputs = [output for output in tensors_in(result) if output.is_floating_point() and output.requires_grad]
    if not outputs:
        raise ModelError("no output of the model has a gradient; give a loss, or let some parameters train")
    generator = torch.Generator().manual_seed(0)
    total = outputs[0].new_zeros(())
    for output in outputs[:1]:
        signs = torch.randint(0, 2, output.shape, generator=generator) * 2 - 1
        total = total + (output * signs.to(output.device, output.dtype)).sum()
    return total


def _gradients(number: Tensor, outputs: list[Tensor]) -> list[Tensor | None]:
    if not isinstance(number, Tensor) or number.numel() != 1 or not number.requires_grad:
        raise ModelError(
            "the loss must be one number with a gradient; give a function of the model's output, such as its mean"
        )
    found = torch.autograd.grad(number.reshape(()), outputs, allow_unused=True)
    return [None if gradient is None else gradient.double() for gradient in found]


def _report(outputs: list[tuple[str, Tensor]], gradients: list[Tensor | None]) -> SignalReport:
    moments = [float(output.square().mean()) for _, output in outputs]
    squares = [None if gradient is None else float(gradient.square().mean()) for gradient in gradients]
    rows = []
    for i, ((name, output), gradient) in enumerate(zip(outputs, gradients, strict=True)):
        forward = _ratio(moments[i], moments[i - 1]) if i else None
        backward = _ratio(squares[i], squares[i + 1]) if i + 1 < len(outputs) else None
        spread = None if gradient is None else float(gradient.var(unbiased=False))
        verdict = _verdict(moments[i], squares[i], forward, backward)
        rows.append(SignalRow(name, float(output.var(unbiased=False)), moments[i], spread, forward, backward, verdict))
    onward, back = _rate(moments), _rate(squares[::-1])
    return SignalReport(tuple(rows), onward, back, _overall(moments, squares))


def _ratio(now: float | None, before: float | None) -> float | None:
    return None if now is None or not before else now / before


def _verdict(moment: float, square: float | None, forward: float | None, backward: float | None) -> str:
    if not math.isfinite(moment) or (square is not None and not math.isfinite(square)):
        return "not finite"
    if moment == 0:
        return "no signal"
    if not square:
        return "no gradient"
    told = [
        f"{what} {change}"
        for what, ratio in (("signal", forward), ("gradient", backward))
        if (change := _change(ratio))
    ]
    return ", ".join(told) or "steady"


def _change(ratio: float | None) -> str:
    if ratio is None or 1 / STEADY <= ratio <= STEADY:
        return ""
    return "grows" if ratio > 1 else "shrinks"


def _rate(values: list[float | None] | list[float]) -> float | None:
    """Geometric mean of the ratios of neighbours."""
    found = [value for value in values if value is not None and value > 0 and math.isfinite(value)]
    return (found[-1] / found[0]) ** (1 / (len(found) - 1)) if len(found) > 1 else None


def _overall(moments: list[float], squares: list[float | None]) -> str:
    """Of the whole net: from its first layer to its last, and back. A branch in between may well start at zero."""
    told = []
    for what, values in (("the signal", moments), ("the gradient", squares[::-1])):
        known = [0.0 if value is None else value for value in values]
        ends = known[0], known[-1]
        if not all(map(math.isfinite, known)):
            told.append(f"{what} is not finite")
        elif not ends[1]:
            told.append(f"{what} dies")
        elif ends[0] and not 1 / LARGEST < ends[1] / ends[0] < LARGEST:
            told.append(f"{what} {'explodes' if ends[1] > ends[0] else 'vanishes'}")
    return " and ".join(told) or "signal and gradient pass"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"×{ratio:.3g}"
