"""repeatable: the same seed twice is not the same run.

Sees      the first updates of two copies with the same seed and the same batches, bit for bit; and two readings of the first
          batch of a loader with the same seed.
Matters   without repeats a change of two per cent may be the change or the run.
Remedies  seed every generator that is drawn from; deterministic kernels (`train.deterministic`).
Limits    a few updates on this machine; a loader's workers are not started here. A loader without a generator of its own follows
          torch's global seed, and that is fine.
Source    Karpathy, A Recipe for Training Neural Networks (2019), "fix random seed"; torch, "Reproducibility".
"""

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from tunesmith.doctor.preflight.bench import Bench, seed_all
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.doctor.preflight.scoring import need_step
from tunesmith.doctor.preflight.trace import parameters_of, tensors_in
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS
from tunesmith.training.batch import Batch

STEPS = 5  # assumption: an unseeded draw shows in the first

SEED = Remedy(title="remedy.loop_seed_everything", safety=Safety.ADVICE)
DETERMINISTIC = Remedy(title="remedy.loop_deterministic", safety=Safety.RISKY, change={"train.deterministic": True})


@check("repeatable", faults=("run.nondeterministic",), cost=PASS)
def repeatable(bench: Bench) -> Iterator[Finding]:
    yield from _readings(bench)
    need_step(bench)
    fed = bench.fed(STEPS)
    runs = [_weights(bench, fed) for _ in range(2)]
    for step, (one, other) in enumerate(zip(*runs, strict=True), 1):
        differ = [name for name, value in one.items() if not _same(value, other[name])]
        if differ:
            far = max(float((one[name].double() - other[name].double()).abs().max()) for name in differ)
            yield Finding(
                fault="run.nondeterministic",
                severity="warning" if bench.device.type == "cpu" else "note",  # other devices may add in any order
                message="loop.not_repeatable",
                values={"step": step, "count": len(differ), "first": differ[0], "far": far},
                evidence=(Evidence(name="largest_difference", value=far, threshold=0.0, step=step, where=differ[0]),),
                remedies=(DETERMINISTIC if bench.task is not None else SEED,),
                status="confirmed",
                subject={"layers": differ, "steps": [step]},
            )
            return


def _weights(bench: Bench, fed: list[Batch]) -> list[dict[str, Tensor]]:
    """The weights after each update of a fresh copy."""
    seen = []
    with undisturbed(bench):
        twin = bench.twin()
        named = [(twin.names.get(id(each), f"weight {place}"), each) for place, each in enumerate(parameters_of(twin))]
        for batch in fed:
            twin.step(batch)
            seen.append({name: each.detach().clone() for name, each in named})
    return seen


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(torch.equal(one, other)) or bool(torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True))


def _readings(bench: Bench) -> Iterator[Finding]:
    """The first two batches of an epoch, read twice from the same state of all generators."""
    if bench.train.loader is None:
        return
    both = []
    for _ in range(2):
        with undisturbed(bench):
            seed_all(bench.seed)
            both.append(list(islice(bench.train.fed(), 2)))
    for number, (one, other) in enumerate(zip(*both, strict=False), 1):
        pairs = list(zip(tensors_in((one.inputs, one.target)), tensors_in((other.inputs, other.target)), strict=True))
        far = [
            float((mine.double() - theirs.double()).abs().max()) for mine, theirs in pairs if mine.shape == theirs.shape
        ]
        if len(far) < len(pairs) or any(value > 0 for value in far):
            yield Finding(
                fault="run.nondeterministic",
                severity="note",
                message="loop.reading_not_repeatable",
                values={"batch": number},
                evidence=(Evidence(name="largest_difference", value=max(far, default=float("nan")), threshold=0.0),),
                remedies=(SEED,),
                status="confirmed",
            )
            return
