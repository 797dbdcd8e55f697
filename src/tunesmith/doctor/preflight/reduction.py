"""reduction: the loss is summed over the batch, or divided twice, so that the rate scales with the batch.

Sees      the loss of the same rows taken once, twice and four times; the gradient that the program's own step or loop leaves for its
          optimizer, against the mean of the gradients of the same rows and micro-batches. Where either is off, short trainings of
          the program as it is and with the rate made up for it.
Matters   a sum over 64 rows is a rate 64 times as large; a division too many one 64 times too small.
Remedies  reduction="mean", one division by the number of micro-batches; or the rate that makes up for it.
Limits    a program whose rate fits its scale on purpose trains well as it is: then it is a note. Optimizers that do not see the scale
          of a gradient (Adam and the like) are such a case. A clipped gradient has no scale and is not judged.
Source    the fault list: loss(batch) / loss(half batch) about 2; measured on a copy.
"""

import math
from collections.abc import Iterator

import torch

from tunesmith.doctor.preflight.arriving import first_arrival, gradient_of
from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import Variation, course
from tunesmith.doctor.preflight.probing import probe_of
from tunesmith.doctor.preflight.seeing import quiet
from tunesmith.doctor.preflight.trace import parameters_of
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity

MEAN = Remedy(title="remedy.outputs_mean_reduction", safety=Safety.ADVICE)
ALIKE = 0.99  # cosine of two gradients of the same rows; assumption: dropout draws leave less
OFF = 1.4  # factor from which a scale counts; assumption: below it the rate is as good
STEPS = 60  # updates that tell whether the rate makes up for the scale; assumption


@check("reduction", faults=("loss.wrong_reduction",), cost=PASS)
def reduction(bench: Bench) -> Iterator[Finding]:
    grown = _growth(bench)
    scale = _scale(bench)
    bench.measured["reduction.growth"], bench.measured["reduction.scale"] = grown, scale
    if grown is None and scale is None:
        raise Inapplicable("the loss does not repeat, or its rows cannot be taken twice")
    size = max(1, bench.program.batch_size)
    scale = (scale or 1.0) * _own_division(bench)
    factor = scale * size ** (round(grown) if grown is not None else 0)
    if not math.isfinite(factor) or factor <= 0 or 1 / OFF < factor < OFF:
        return
    yield from _judged(bench, factor, grown or 0.0, scale)


def _growth(bench: Bench) -> float | None:
    """How the loss grows with the rows, where that is a whole power."""
    try:
        found = probe_of(bench).growth
    except Inapplicable:
        return None
    if found is None or abs(found - round(found)) > 0.05:
        return None
    return found


def _own_division(bench: Bench) -> float:
    """1 / n where the loss divides by the number n of micro-batches, which the update does too; else 1."""
    count = bench.program.accumulate
    if count <= 1 or bench.task is not None:
        return 1.0
    known = probe_of(bench).known
    return 1 / count if known.name and abs(known.factor * count - 1) < 1e-3 else 1.0


def _scale(bench: Bench) -> float | None:
    """The gradient of the program's own update as a multiple of the mean over its micro-batches; None where it cannot be told."""
    if bench.task is not None or (bench.program.step is None and bench.program.loop is None):
        return 1.0
    twin = bench.twin()
    sizes = [0, max(2, bench.program.batch_size // 2)] if bench.program.loop is None else [0]
    found, norms = [], []
    for rows in sizes:
        try:
            arrival = first_arrival(bench, twin, rows)
        except Inapplicable:
            return None
        twin = bench.twin()
        fresh = _fresh(twin, arrival.inputs, arrival.losses)
        if fresh is None or not float(fresh.norm()) > 0:
            return None
        alike = float(torch.dot(fresh, arrival.gradient) / (fresh.norm() * arrival.gradient.norm()).clamp_min(1e-30))
        if alike < ALIKE:
            return None
        found.append(float(torch.dot(fresh, arrival.gradient) / torch.dot(fresh, fresh)))
        norms.append(float(arrival.gradient.norm()))
        twin = bench.twin()
    if _clipped(norms[0]) or (len(norms) > 1 and abs(norms[0] - norms[1]) < 1e-3 * norms[0]):
        return None
    return found[0]


def _clipped(norm: float) -> bool:
    """Whether a norm is one of the round numbers that gradients are clipped at."""
    return any(abs(norm - bound) < 1e-3 * bound for bound in (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0))


def _fresh(twin: Twin, inputs: list, losses: list) -> torch.Tensor | None:  # type: ignore[type-arg]
    """The mean over the micro-batches of the gradients of the program's loss."""
    if len(inputs) != len(losses) or not inputs:
        return None
    parameters = parameters_of(twin)
    for each in parameters:
        each.grad = None
    twin.mode(twin.program.train_mode)
    try:
        with quiet():
            for (args, named), (given, more) in zip(inputs, losses, strict=True):
                result = twin.model(*args, **named)
                if isinstance(given[0], torch.Tensor) and isinstance(result, torch.Tensor):
                    result = result.reshape(given[0].shape)
                value = twin.loss_fn(result, *given[1:], **more)
                (value / len(inputs)).backward()
    except (RuntimeError, ValueError, TypeError, IndexError):
        return None
    return gradient_of(parameters)


def _judged(bench: Bench, factor: float, grown: float, scale: float) -> Iterator[Finding]:
    steps = min(STEPS, max(1, bench.updates))
    own = course(bench, Variation(), steps)
    even = course(bench, Variation(rate=1 / factor), steps)
    start = course(bench, Variation(rate=1e-12), 1)
    worse = _worse(own.loss if own.finite else math.inf, even.loss if even.finite else math.inf, start.loss)
    severity: Severity = (
        "note" if not worse else "error" if not own.finite or own.loss > 2 * abs(start.loss) else "warning"
    )
    message = "outputs.loss_summed" if factor > 1 else "outputs.loss_divided_twice"
    yield Finding(
        fault="loss.wrong_reduction",
        severity=severity,
        message=message,
        values={
            "factor": factor if factor > 1 else 1 / factor,
            "batch": bench.program.batch_size,
            "own": own.loss,
            "even": even.loss,
            "steps": steps,
        },
        evidence=(
            Evidence(name="doublings_of_the_loss_per_doubling_of_rows", value=grown, threshold=0.0, source="a mean"),
            Evidence(name="gradient_over_mean_gradient", value=scale, threshold=1.0, source="the same rows"),
            Evidence(
                name="loss_as_it_is", value=own.loss, threshold=even.loss, source="the rate made up for the scale"
            ),
        ),
        remedies=(MEAN,),
        status="confirmed" if worse else "suspected",
        confidence=0.9 if worse else 0.5,
    )


def _worse(own: float, even: float, start: float) -> bool:
    """Whether the program as it is learnt clearly less: a tenth of what the other took off the loss of the start, or more."""
    gained = start - even
    return gained > 0.01 * abs(start) and own > even + 0.1 * gained
