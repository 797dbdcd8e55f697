"""finite_start: loss or gradients are not finite at the first update, or will not be for outputs of an ordinary size.

Sees      which module first gives a number that is not finite while its inputs are finite; the inputs and the weights themselves;
          whether the loss alone does so on finite outputs; which parameters get a gradient that is not finite from a finite loss;
          the same in float64. For class losses, whether outputs of ordinary sizes (up to 30) end outside the float range.
Matters   one such number and all weights are lost.
Remedies  fused stable operations (log-softmax, binary cross entropy with logits), an epsilon under roots and logarithms.
Limits    one batch, at the start; what only later weights bring about is for the watch on a run.
Source    hand-written log(1 - sigmoid(x)) is log(0) in float32 from x = 17 on; exp overflows beyond 88.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.loss_probe import LossProbe
from tunesmith.doctor.preflight.probing import probe_of
from tunesmith.doctor.preflight.seeing import look, plain, probed, quiet, seen
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable
from tunesmith.records.finding import Severity

STABLE = Remedy(title="remedy.outputs_stable_operation", safety=Safety.ADVICE)
CLEAN = Remedy(title="remedy.outputs_clean_inputs", safety=Safety.ADVICE)
SIZES = (5.0, 10.0, 20.0, 30.0)  # of logits; assumption: confident nets give 10 to 30
UNSAFE = "numerics.unsafe_op"


@check("finite_start", faults=("numerics.unsafe_op", "data.nonfinite", "init.bad_scale"), cost=CHEAP)
def finite_start(bench: Bench) -> Iterator[Finding]:
    given = look(bench)
    value = LossProbe(bench.twin().loss_fn, given).value(given.outputs)
    if value is None:
        raise Inapplicable("the loss does not give one number for what the program gives it")
    if math.isfinite(value):
        yield from list(_gradients(bench)) or _later(bench)
        return
    batch = probed(bench)
    for what, tree in (("inputs", batch.inputs), ("target", batch.target)):
        if not _finite(tree):
            rows = _bad_rows(tree)
            values = {"what": what, "rows": rows, "of": batch.size}
            yield _finding("data.nonfinite", "outputs.nonfinite_rows", values, "rows_not_finite", rows, "", CLEAN)
            return
    twin = bench.twin()
    held = (*twin.model.named_parameters(), *twin.model.named_buffers())
    weights = [name for name, tensor in held if not _finite(tensor)]
    if weights:
        values = {"layer": weights[0], "count": len(weights)}
        yield _finding(
            "init.bad_scale", "outputs.nonfinite_weights", values, "tensors_not_finite", len(weights), weights[0]
        )
        return
    yield _forward(bench, twin, value)


def _forward(bench: Bench, twin: Twin, value: float) -> Finding:
    """Where the first number that is not finite comes from."""
    name, size = first_broken(bench, twin)
    if name is not None:
        return _broken_module(bench, name, size)
    given = look(bench)
    double = LossProbe(bench.twin().loss_fn, given).value(_doubled(given.outputs))
    largest = max((float(one.abs().max()) for one in _tensors(given.outputs)), default=0.0)
    stays = double is not None and math.isfinite(double)
    message = "outputs.nonfinite_loss_float32" if stays else "outputs.nonfinite_loss"
    return _finding(UNSAFE, message, {"value": str(value), "largest": largest}, "largest_output", largest, "the loss")


def first_broken(bench: Bench, twin: Twin) -> tuple[str | None, float]:
    """The first module whose result is not finite while its inputs are, and the size of those; None where there is none."""
    names = {module: name for name, module in twin.model.named_modules()}
    found: list[tuple[str, float]] = []

    def noted(module: nn.Module, inputs: Any, result: Any) -> None:
        if not found and not _finite(result) and _finite(inputs):
            size = max((float(one.abs().max()) for one in _tensors(inputs)), default=0.0)
            found.append((names[module] or "the net", size))

    handles = [module.register_forward_hook(noted) for module in names]
    try:
        seen(bench, twin, probed(bench))
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else (None, 0.0)


def _broken_module(bench: Bench, name: str, size: float) -> Finding:
    stays = _finite_in_double(bench)
    values = {"layer": name, "size": size}
    message = "outputs.nonfinite_module_float32" if stays else "outputs.nonfinite_module"
    return _finding(UNSAFE, message, values, "largest_finite_input", size, name)


def _finite_in_double(bench: Bench) -> bool:
    """Whether the same pass stays finite in float64."""
    if not plain(bench):
        return False
    model = bench.model().double().eval()
    try:
        with torch.no_grad():
            return _finite(model(_doubled(probed(bench).inputs)))
    except (RuntimeError, TypeError):  # a net that makes float32 by hand
        return False


def _gradients(bench: Bench) -> Iterator[Finding]:
    """A finite loss whose gradient is not."""
    if not plain(bench):
        return
    twin = bench.twin()
    try:
        with quiet():
            loss = twin.gradient(probed(bench))
    except Exception as error:  # the loss does not fit what it is given: other checks
        raise Inapplicable(f"no gradient can be taken: {type(error).__name__}") from error
    bad = [name for name, one in twin.model.named_parameters() if one.grad is not None and not _finite(one.grad)]
    if bad and _finite(torch.tensor(loss)):
        values = {"layer": bad[-1], "count": len(bad), "loss": loss}
        yield _finding(UNSAFE, "outputs.nonfinite_gradient", values, "gradients_not_finite", len(bad), bad[-1])


def _later(bench: Bench) -> Iterator[Finding]:
    """A loss of logits that leaves the float range for outputs of an ordinary size."""
    try:
        probe = probe_of(bench)
    except Inapplicable:
        return
    if probe.outputs is None or not probe.rows or bench.kind not in ("binary", "multiclass", "multilabel", "language"):
        return
    if probe.needs == "probabilities":
        return
    for size in SIZES:
        signs = torch.sign(probe.noise(7)) * size
        value = probe.value(signs)
        if value is not None and not _finite(torch.tensor(value)):
            severity: Severity = "warning"
            yield _finding(
                UNSAFE,
                "outputs.nonfinite_later",
                {"size": size, "value": str(value)},
                "outputs",
                size,
                "the loss",
                STABLE,
                severity,
            )
            return


def _finding(
    fault: str,
    message: str,
    values: dict[str, Any],
    name: str,
    value: float,
    where: str,
    remedy: Remedy = STABLE,
    severity: Severity = "error",
) -> Finding:
    return Finding(
        fault=fault,
        severity=severity,
        message=message,
        values=values,
        evidence=(Evidence(name=name, value=value, where=where),),
        remedies=(remedy,),
        status="confirmed",
        subject={"layers": [where]} if where else {},
    )


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        if tree.is_floating_point() and tree.numel():
            yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _tensors(value)
    elif isinstance(tree, tuple | list):
        for value in tree:
            yield from _tensors(value)


def _finite(tree: Any) -> bool:
    return all(bool(torch.isfinite(one).all()) for one in _tensors(tree))


def _bad_rows(tree: Any) -> int:
    return max(int((~torch.isfinite(one)).reshape(len(one), -1).any(1).sum()) for one in _tensors(tree))


def _doubled(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree.double() if tree.is_floating_point() else tree
    if isinstance(tree, dict):
        return {name: _doubled(value) for name, value in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(_doubled(value) for value in tree)
    return tree
