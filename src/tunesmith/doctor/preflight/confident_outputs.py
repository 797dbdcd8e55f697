"""confident_outputs: the loss leaves the float range once the net is as sure as trained nets become.

Sees      loss and gradients of a copy whose last layer gives 10 up to 200 either way, right and wrong, through whatever the net and the
          loss make of them; the same in double precision; how large the numbers of that layer are after a short training.
Matters   the run goes well until the net is sure of a row, then all weights are lost.
Remedies  fused stable operations (log-softmax, losses that take logits), an epsilon under logarithms.
Limits    classes alone. A warning up to 30, where the short training comes within a third of the size, or where it ends without finite
          outputs; beyond, a note: most runs never get there. Nets whose last layer or inputs are not plain to see are left out.
Source    in float32 log(1 - sigmoid(x)) is log(0) from 17 on, exp(x) overflows from 88.7 on, and log(softmax(x)) is log(0) for
          gaps of more than 103.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.doctor.preflight.model_call import mapped
from tunesmith.doctor.preflight.net_graph import as_it_is, graph_of
from tunesmith.doctor.preflight.running_statistics import trained
from tunesmith.doctor.preflight.scoring import need_step
from tunesmith.doctor.preflight.seeing import plain, quiet
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity
from tunesmith.training.batch import Batch

SIZES = (10.0, 20.0, 30.0, 60.0, 100.0, 200.0)  # of the last layer's numbers
ORDINARY = 30.0  # assumption: confident nets give 10 to 30, as in `finite_start`
NEAR = 3.0  # times what a short training reached; assumption
STEPS = 60  # updates of the short training; assumption
ROWS = 64
CLASSES = ("binary", "multiclass", "multilabel", "language")

STABLE = Remedy(title="remedy.outputs_stable_operation", safety=Safety.ADVICE)


@check("confident_outputs", faults=("numerics.unsafe_op",), cost=PASS)
def confident_outputs(bench: Bench) -> Iterator[Finding]:
    if bench.kind not in CLASSES:
        raise Inapplicable(f"the outputs of a {bench.kind} task are not sure of anything")
    need_step(bench)
    if not plain(bench) or not as_it_is(bench) or bench.program.loop is not None:
        raise Inapplicable("the program prepares by itself what net and loss are given")
    last = last_layer(bench)
    batch = bench.batch(ROWS, "confident_outputs")
    with undisturbed(bench), quiet():
        if breaks(bench.twin(), last, batch, None):
            return  # at the start already: told by `finite_start`
        size = next((size for size in SIZES if breaks(bench.twin(), last, batch, size)), None)
        if size is None:
            return
        steps = min(STEPS, bench.updates)
        reached = largest(trained(bench, steps)[0], last, batch)
        double = not breaks(bench.twin(), last, batch, size, double=True)
    yield _finding(last, size, reached, steps, double)


def last_layer(bench: Bench) -> str:
    """The path of the layer whose numbers net and loss make answers of."""
    layers = list(dict.fromkeys(step.layer for step, _ in graph_of(bench).heads()))
    modules = dict(bench.program.model.named_modules())
    if len(layers) != 1 or not isinstance(modules.get(layers[0]), nn.Linear | nn.modules.conv._ConvNd):
        raise Inapplicable("the net has no single last layer")
    return layers[0]


def breaks(twin: Twin, last: str, batch: Batch, size: float | None, *, double: bool = False) -> bool:
    """Whether loss or a gradient is not finite where the last layer gives plus and minus `size`, right and wrong."""
    if double:
        twin.model.double()
        wide = mapped(batch.inputs, lambda leaf: leaf.double() if leaf.is_floating_point() else leaf)
        batch = Batch(wide, batch.target, batch.weight, batch.size)

    def enlarged(module: nn.Module, given: object, result: Tensor) -> Tensor:
        if size is None:
            return result
        signs = torch.randint(2, result.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return size * signs.to(result) + (result - result.detach())  # these numbers, and the gradient of the others

    handle = twin.model.get_submodule(last).register_forward_hook(enlarged)
    try:
        loss = twin.gradient(batch)
    except (RuntimeError, TypeError, ValueError) as error:
        if double:  # the program makes another precision by hand
            return True
        raise Inapplicable(f"the net raises {type(error).__name__}") from error
    finally:
        handle.remove()
    gradients = [each.grad for each in twin.model.parameters() if each.grad is not None]
    return not math.isfinite(loss) or not all(bool(torch.isfinite(each).all()) for each in gradients)


def largest(twin: Twin, last: str, batch: Batch) -> float:
    """The largest number that the last layer gives."""
    found: list[float] = []
    handle = twin.model.get_submodule(last).register_forward_hook(
        lambda module, given, result: found.append(float(result.detach().abs().max()))
    )
    twin.judged(batch)
    handle.remove()
    return max(found)


def _finding(last: str, size: float, reached: float, steps: int, double: bool) -> Finding:
    broke = not math.isfinite(reached)  # the short training lost its weights already
    severity: Severity = "warning" if broke or size <= max(ORDINARY, NEAR * reached) else "note"
    return Finding(
        fault="numerics.unsafe_op",
        severity=severity,
        message="advice.confident_outputs_lost" if broke else "advice.confident_outputs",
        values={"layer": last, "size": size, "reached": reached, "steps": steps},
        evidence=(
            Evidence(name="largest_output", value=reached, threshold=size, source="short training", where=last),
            Evidence(name="finite_in_double_precision", value=float(double)),
        ),
        remedies=(STABLE,),
        confidence=0.9 if severity == "warning" else 0.5,
        status="confirmed",
        subject={"layers": ["the loss"]},
    )
