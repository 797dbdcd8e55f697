"""broadcast: outputs and targets of different shapes are broadcast against each other, and the pairing is lost.

Sees      whether the loss stays the same when the targets are permuted among the rows, although it changes with other targets;
          whether it differs from that of the rows one by one; the shapes that come to it, (N, 1) against (N,) and the like.
Matters   every output is pulled towards all targets of the batch: the net learns their mean, and the loss falls to their variance.
Remedies  one shape for both: `outputs.squeeze(1)` or `target.unsqueeze(1)`.
Limits    a loss that compares rows or whole batches on purpose is left alone: there the pull on a row depends on other rows' outputs.
Source    torch broadcasts (N, 1) with (N,) to (N, N); the invariance is measured.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.loss_probe import CLOSE, PROBES, LossProbe
from tunesmith.doctor.preflight.probing import probe_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import CHEAP, Inapplicable

SHAPE = Remedy(title="remedy.outputs_equal_shapes", safety=Safety.ADVICE)


@check("broadcast", faults=("loss.shape_broadcast",), cost=CHEAP)
def broadcast(bench: Bench) -> Iterator[Finding]:
    probe = probe_of(bench)
    outputs, target = probe.outputs, probe.target
    if outputs is None or target is None or probe.rows < 3 or not probe.deterministic:
        raise Inapplicable("outputs and targets are not one tensor each with the same rows")
    if probe.uses_target is not True or probe.couples is not False or probe.growth is None:
        return
    permuted, alone = _differences(probe, target)
    if permuted is None or alone is None or not (permuted <= CLOSE and 10 * CLOSE < alone < math.inf):
        return
    yield Finding(
        fault="loss.shape_broadcast",
        severity="error",
        message="outputs.broadcast",
        values={
            "outputs": str(tuple(outputs.shape)),
            "target": str(tuple(target.shape)),
            "permuted": permuted,
            "alone": alone,
        },
        evidence=(
            Evidence(
                name="change_of_loss_when_targets_are_permuted", value=permuted, threshold=CLOSE, source="rounding"
            ),
            Evidence(name="change_of_loss_row_by_row", value=alone, threshold=10 * CLOSE, source="rounding"),
        ),
        remedies=(SHAPE,),
        status="confirmed",
        subject={"shapes": [list(outputs.shape), list(target.shape)]},
    )


def _differences(probe: LossProbe, target: Tensor) -> tuple[float | None, float | None]:
    """Relative changes of the loss: by permuted targets (the largest), and against the mean of the rows one by one."""
    permuted: list[float] = []
    alone: list[float] = []
    for place in range(PROBES):
        free = probe.noise(place) if probe.needs != "probabilities" else probe.probable(place)
        here = probe.value(free)
        mixed = torch.randperm(probe.rows, generator=torch.Generator().manual_seed(place)).to(target.device)
        there = probe.value(free, target[mixed])
        rows = [probe.value(free[row], target[row.to(target.device)], row) for row in torch.arange(probe.rows)[:, None]]
        if here is None or there is None or not here or here != here or any(one is None for one in rows):
            return None, None
        whole = float(sum(one or 0.0 for one in rows)) * probe.rows ** ((probe.growth or 0.0) - 1.0)
        permuted.append(abs(there - here) / abs(here))
        alone.append(abs(whole - here) / abs(here))
    return max(permuted), max(alone)
