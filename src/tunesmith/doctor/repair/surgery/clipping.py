"""clipping: the whole gradient is cut to the length it usually has at the start.

Does      the median norm over some batches as the largest one; around the program's own step or loop where it has one.
Mends     rare updates far longer than the others.
Limits    where most gradients grow, a lower rate is the cure.
Source    Pascanu et al., arXiv:1211.5063; the threshold from observed norms: rules of thumb, reg.clip.
"""

from collections.abc import Iterator
from typing import Any

from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.causes.clipped_gradients import cut_gradients
from tunesmith.doctor.repair.surgery.catalogue import surgery


@surgery(
    "clipping",
    faults=("data.outliers", "loss.spike", "grad.exploding", "loss.diverging", "lr.too_high"),
    lines=lambda before, after, values: [
        f"torch.nn.utils.clip_grad_norm_(model.parameters(), {values['norm']:.3g})  # between backward and optimizer.step()"
    ],
    anew=False,
)
def clipping(case: Any) -> Iterator[Change]:
    held = case.bench.program.clip_norm
    suspicion = case.suspected("data.outliers", "loss.spike", "grad.exploding", "loss.diverging")
    for change in cut_gradients(case.bench, max(0.05, 0.5 * suspicion)):
        if held is None or change.values["norm"] < held or held < 0.01 * change.values["norm"]:
            yield change
