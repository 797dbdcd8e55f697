"""start_loss: the loss before the first update is far above that of constant outputs.

Sees      the loss of the untouched net in evaluation mode on up to 1,000 rows, with its standard error; the loss of outputs that are all
          0 (log C, log 2, the mean square of the targets) and of the best constant outputs (the entropy of the classes, the
          variance), found by asking the loss; the spread of the outputs; the loss with the inputs standardised.
Matters   a net that begins surer than it can know spends its first epochs on unlearning, with gradients out of scale.
Remedies  standardised inputs; He or Glorot weights; a small last layer.
Limits    a warning from twice the loss of constant outputs on, and 3 standard errors. A net that begins better (pretrained) is right.
          Targets far from 0 are told by `targets_at_start`; outputs in a set that does not hold the answer by `output_activation`.
Source    Karpathy, A Recipe for Training Neural Networks (2019): verify the loss at init; a relative error above 1: TheDeepChecker.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.loss_probe import NUMBER_LOSSES, LossProbe
from tunesmith.doctor.preflight.probing import probe_of
from tunesmith.doctor.preflight.scoring import some
from tunesmith.doctor.preflight.seeing import main, plain, probed, quiet, seen
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.training.batch import Batch

ROWS = 1000  # assumption: the standard error is a few hundredths of the loss
AT_ONCE = 100
ABOVE = 2.0  # times the loss of constant outputs: a relative error of 1, TheDeepChecker
LARGE = 2.0  # outputs of an untrained net on sound inputs are below 1, and logits of 2 double log 2; assumption
ERRORS = 3.0  # standard errors: the rules of thumb, loss.start
SCALE = Remedy(title="remedy.outputs_standardise_inputs", safety=Safety.RISKY)
INIT = Remedy(title="remedy.outputs_small_start", safety=Safety.ADVICE)


@dataclass(frozen=True, slots=True)
class Start:
    """The loss before the first update, and what constant outputs would have."""

    loss: float
    error: float  # one standard error
    zero: float  # outputs all 0
    constant: float  # the best constant outputs
    spread: float  # standard deviation of the outputs
    offset: float  # mean of the outputs


@check("start_loss", faults=("init.bad_scale", "data.unscaled_inputs"), cost=CHEAP)
def start_loss(bench: Bench) -> Iterator[Finding]:
    start = start_of(bench)
    bench.measured |= {"start.loss": start.loss, "start.loss_error": start.error, "start.zero": start.zero}
    bench.measured |= {"start.constant": start.constant, "start.outputs_std": start.spread}
    probe = probe_of(bench)
    usual = max(start.zero, start.constant)
    if not math.isfinite(start.loss) or not start.constant > 0 or not usual > 0 or probe.couples is not False:
        raise Inapplicable("the loss has no value to begin with that theory knows")
    if start.loss <= ABOVE * usual or start.loss - usual <= ERRORS * start.error:
        return
    if start.spread < LARGE:
        return  # outputs of the usual size: the targets are small (`targets_at_start`), or the loss sharpens them itself
    standard = _standardised(bench)
    inputs = standard is not None and standard < start.loss - (start.loss - usual) / 2
    size = _input_size(bench)
    if inputs and standard is not None and size is not None:
        values = {"loss": start.loss, "usual": usual, "standard": standard, "mean": size[0], "spread": size[1]}
        yield _finding("data.unscaled_inputs", "outputs.start_inputs", values, start, usual, SCALE, 0.85)
    else:
        values = {"loss": start.loss, "usual": usual, "spread": start.spread}
        yield _finding("init.bad_scale", "outputs.start_scale", values, start, usual, INIT, 0.8)


def start_of(bench: Bench) -> Start:
    """The loss at the start against that of constant outputs. Raises `Inapplicable` where the loss cannot be asked."""
    return bench.kept("start.of", lambda: _start(bench))


def _start(bench: Bench) -> Start:
    probe = probe_of(bench)
    if probe.outputs is None or not probe.rows:
        raise Inapplicable("the outputs are not one tensor with the target's rows")
    batch = bench.batch(ROWS, "start") if plain(bench) else probed(bench)
    loss, error, outputs = _measured(bench, _settled(bench, bench.twin(), batch), batch)
    zero, constant = _constants(probe)
    return Start(loss, error, zero, constant, float(outputs.std()), float(outputs.mean()))


def _settled(bench: Bench, twin: Twin, batch: Batch) -> Twin:
    """A copy whose batch norm has seen these rows: before the first update it knows nothing of them in evaluation mode."""
    norms = [one for one in twin.model.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    if norms and plain(bench) and batch.size > 1:
        kept = [(one, one.momentum) for one in norms]
        for one in norms:
            one.momentum = 1.0
        twin.mode(True)
        with torch.no_grad(), quiet():
            twin.result(batch)
        for one, momentum in kept:
            one.momentum = momentum
        twin.mode(False)
    return twin


def _measured(bench: Bench, twin: Twin, batch: Batch) -> tuple[float, float, Tensor]:
    """The mean over chunks, its standard error, and the outputs."""
    losses, sizes, outputs = [], [], []
    at_once = AT_ONCE if plain(bench) and bench.program.loop is None else batch.size
    for start in range(0, batch.size, at_once):
        part = some(batch, slice(start, start + at_once))
        given = seen(bench, twin, part)
        value = LossProbe(twin.loss_fn, given).value(given.outputs)
        found = main(given)
        if value is None or found is None:
            raise Inapplicable("the loss does not give one number for what the program gives it")
        losses.append(value)
        sizes.append(part.size)
        outputs.append(found.float().reshape(-1))
    if not all(map(math.isfinite, losses)):
        return math.nan, math.nan, torch.cat(outputs)
    error = float(np.std(losses, ddof=1)) / math.sqrt(len(losses)) if len(losses) > 1 else 0.0
    return float(np.average(losses, weights=sizes)), error, torch.cat(outputs)


def _constants(probe: LossProbe) -> tuple[float, float]:
    """The loss of outputs that are all 0 (evenly likely, where it wants probabilities), and of the best constant row."""
    outputs, axis = probe.outputs, probe.class_axis
    assert outputs is not None
    nothing = torch.zeros_like(outputs)
    if probe.needs == "probabilities":
        through: Any = torch.sigmoid
        if axis is not None and outputs.shape[axis] > 1:
            through = lambda free: torch.softmax(free, axis)  # noqa: E731 - one of four forms
    elif probe.needs == "log_probabilities" and axis is not None:
        through = lambda free: torch.log_softmax(free, axis)  # noqa: E731 - one of three forms
    else:
        through = lambda free: free  # noqa: E731
    zero = probe.value(through(nothing))
    target = probe.target
    begin = None
    if target is not None and target.is_floating_point() and probe.known.name in NUMBER_LOSSES:
        begin = nothing + float(target.float().mean())
    best = probe.descend(begin, through=through, constant=True)
    if zero is None or best is None or best.broke:
        raise Inapplicable("the loss of constant outputs cannot be had")
    return zero, min(zero, best.loss)


def _standardised(bench: Bench) -> float | None:
    """The loss at the start with standardised inputs; None where inputs are no plain floating tensor."""
    from tunesmith.doctor.preflight.courses import Variation, moments, vary

    if not plain(bench) or bench.program.loop is not None or moments(bench) is None:
        return None
    twin = bench.twin()
    with quiet():
        vary(bench, twin, Variation(inputs=True))
        batch = bench.batch(ROWS, "start")
        return _measured(bench, _settled(bench, twin, batch), batch)[0]


def _input_size(bench: Bench) -> tuple[float, float] | None:
    """The largest mean and the largest spread of a feature."""
    inputs = bench.batch(ROWS, "start").inputs
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        return None
    flat = inputs.float().reshape(len(inputs), -1)
    return float(flat.mean(0).abs().max()), float(flat.std(0).max())


def _finding(
    fault: str, message: str, values: dict[str, Any], start: Start, usual: float, remedy: Remedy, confidence: float
) -> Finding:
    return Finding(
        fault=fault,
        severity="warning",
        message=message,
        values=values,
        evidence=(
            Evidence(
                name="loss_at_start",
                value=start.loss,
                threshold=ABOVE * usual,
                source="constant outputs; TheDeepChecker",
            ),
            Evidence(
                name="standard_error", value=start.error, threshold=(start.loss - usual) / ERRORS, source="loss.start"
            ),
            Evidence(name="outputs_std", value=start.spread),
        ),
        remedies=(remedy,),
        confidence=confidence,
        status="confirmed",
    )
