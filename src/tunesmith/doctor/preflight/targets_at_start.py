"""targets_at_start: the targets of a regression lie far from where the outputs begin.

Sees      mean and spread of the targets against those of the outputs at the start; how the loss of the start compares with the
          variance of the targets; then short trainings of the program as it is and with standardised targets, each judged by the
          share of the variance that is explained.
Matters   the first epochs go into the offset, and the gradients are as large as the targets; with a small rate it is never reached.
Remedies  standardise the targets with training statistics, or set the last bias to their mean.
Limits    a warning only where the short training with standardised targets explains clearly more; else a note. Silent where the
          net scales its outputs itself.
Source    the fault list: mean or spread above 10 or a spread below 0.01; Karpathy (2019) on the last bias.
"""

from collections.abc import Iterator

import torch

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import Variation, course
from tunesmith.doctor.preflight.probing import probe_of
from tunesmith.doctor.preflight.seeing import plain
from tunesmith.doctor.preflight.start_loss import start_of
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity

HIGH, LOW = 10.0, 0.01  # mean or spread; spread: the fault list
STEPS = 100  # assumption: what a sound start has learnt something in
CLEARLY = 0.1  # of the variance; assumption
STANDARD = Remedy(title="remedy.outputs_standardise_targets", safety=Safety.RISKY)


@check("targets_at_start", faults=("data.unscaled_targets",), cost=PASS)
def targets_at_start(bench: Bench) -> Iterator[Finding]:
    if bench.kind not in ("regression", "multi_regression"):
        raise Inapplicable("the targets are no numbers")
    probe = probe_of(bench)
    if probe.outputs is None or probe.outputs.shape != probe.seen.target.shape:
        raise Inapplicable("outputs and targets do not have one shape")
    target = torch.as_tensor(bench.target).double().reshape(len(bench.target), -1)
    target = target[torch.isfinite(target).all(1)]
    if len(target) < 2:
        raise Inapplicable("too few targets are numbers")
    mean, spread = target.mean(0), target.std(0)
    start = start_of(bench)
    middle, width = float(mean.abs().max()), float(spread.max())
    bench.measured |= {"targets.mean": middle, "targets.std": width}
    far = middle > HIGH or width > HIGH or width < LOW
    scale = max(width, 1e-12)
    off = abs(float(mean.mean()) - start.offset) / scale
    wide = start.spread / scale
    fits = off < 1.0 and 0.01 < wide < 10.0  # the net knows the scale already
    if not far or fits:
        return
    yield _judged(bench, middle, width, off)


def _judged(bench: Bench, middle: float, width: float, off: float) -> Finding:
    steps = min(STEPS, max(1, bench.updates))
    own = standard = None
    if plain(bench) or bench.program.loop is None:
        own = course(bench, Variation(), steps)
        standard = course(bench, Variation(targets=True), steps)
    explained = _share(own.score if own is not None else None)
    instead = _share(standard.score if standard is not None else None)
    worse = own is not None and standard is not None and standard.finite and instead > explained + CLEARLY
    severity: Severity = "warning" if worse else "note"
    return Finding(
        fault="data.unscaled_targets",
        severity=severity,
        message="outputs.targets_far" if worse else "outputs.targets_far_note",
        values={"mean": middle, "spread": width, "off": off, "own": explained, "standard": instead, "steps": steps},
        evidence=(
            Evidence(name="mean_of_targets", value=middle, threshold=HIGH, source="fault list"),
            Evidence(name="spread_of_targets", value=width, threshold=HIGH, source="fault list"),
            Evidence(
                name="variance_explained_as_it_is", value=explained, threshold=instead, source="standardised targets"
            ),
        ),
        remedies=(STANDARD,),
        confidence=0.9 if worse else 0.4,
        status="confirmed" if worse else "suspected",
    )


def _share(score: float | None) -> float:
    """R² of a short training, at least -1: one that has blown up explains nothing."""
    return -1.0 if score is None or not score > -1.0 else score
