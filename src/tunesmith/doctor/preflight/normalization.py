"""normalization: norm layers whose statistics do not describe the data, or that take out what should stay.

Sees      batch norm on copies: what its running statistics will be at the end of the run (momentum and number of updates are known)
          against those of a pass, and what that costs in loss; how much of a row's output in training is chance of its neighbours; a batch
          of one row. Of all norms: how many numbers are normalised together, epsilon against their variance, the axis of the features.
Matters   in evaluation the net is another one than in training; a norm over one number gives nothing of it on.
Remedies  momentum 0.1, larger batches, group or layer norm, the axis on which the features lie.
Limits    statistics of the batch in evaluation are told by `batch_leak`. Running statistics that lag for a while early in a run are
          usual and not looked at. A norm on another axis than the features is a note: some nets mean it.
Source    Ioffe & Szegedy, Batch Normalization, arXiv:1502.03167, algorithms 1 and 2; Wu & He, Group Normalization,
          arXiv:1803.08494, figure 1: batch norm below 16 rows.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.doctor.preflight.norm_places import NORMS, places
from tunesmith.doctor.preflight.running_statistics import (
    BatchNorm,
    at_the_end,
    held,
    norms_alone,
    of_a_pass,
    put,
    tracking,
    trained,
)
from tunesmith.doctor.preflight.scoring import need_step, some
from tunesmith.doctor.preflight.seeing import quiet
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.records.finding import Severity
from tunesmith.training.batch import Batch, outputs_of

STEPS = 16  # updates before statistics are looked at, and batches that they are taken over; assumption
WRONG = 0.5  # relative error of the statistics: vocabulary of model.bad_normalization
STANDS = 0.1  # share of the initial values from which they are what is told; assumption
COSTS = 0.1  # of the loss with true statistics; assumption
JUDGED, CHUNK = 256, 32  # rows the loss is taken on, in parts of so many; assumption
LAST = 3  # ends of the run that are tried, each with other last batches; assumption
FEW = 4  # rows of a batch at which neighbours are looked at; assumption
CHANCE = 0.5  # of the variance of a row's outputs; assumption: more chance than signal
DRAWS = 12  # sets of neighbours
POOL = 16  # rows that are neighbours of each other; assumption
LARGE = 1e-3  # epsilon beyond which it is looked at: Keras' default for batch norm
SWALLOWED = 0.1  # share of the variance that is left beside epsilon; assumption

MOMENTUM = Remedy(title="remedy.network_momentum", safety=Safety.ADVICE)
BATCH = Remedy(title="remedy.network_norm_without_batch", safety=Safety.ADVICE)
AXIS = Remedy(title="remedy.network_norm_axis", safety=Safety.ADVICE)
EPSILON = Remedy(title="remedy.network_norm_epsilon", safety=Safety.ADVICE)


@check("normalization", faults=("model.bad_normalization",), cost=PASS)
def normalization(bench: Bench) -> Iterator[Finding]:
    if not any(isinstance(each, NORMS) for each in bench.program.model.modules()):
        raise Inapplicable("the net has no norm layer")
    lonely = list(_lonely(bench))
    yield from lonely
    yield from _placed(bench)
    if lonely:
        return
    need_step(bench)
    with undisturbed(bench), quiet():
        yield from _neighbours(bench)
        yield from _statistics(bench)


def _lonely(bench: Bench) -> Iterator[Finding]:
    """A batch of a single row, on which batch norm cannot train."""
    program, rows = bench.program, len(bench.train)
    if bench.task is not None or program.loop is not None or not program.train_mode:
        return
    size = program.batch_size if bench.train.loader is None else getattr(bench.train.loader, "batch_size", None)
    if not size or bool(getattr(bench.train.loader, "drop_last", False)):
        return
    if size != 1 and rows % size != 1:
        return
    twin = bench.twin()
    twin.model.train()
    try:
        with torch.no_grad(), quiet():
            twin.result(bench.train.take([0]))
    except ValueError as error:
        if "more than 1" not in str(error):
            return
        layer = next(name for name, each in twin.model.named_modules() if isinstance(each, BatchNorm))
        values = {"batch": size, "rows": rows, "layer": layer}
        message = "network.norm_one_row" if size == 1 else "network.norm_one_row_left"
        evidence = Evidence(name="rows_of_a_batch", value=1, threshold=2, source="torch.nn.BatchNorm1d")
        yield _finding("error", message, values, evidence, BATCH, [layer])


def _placed(bench: Bench) -> Iterator[Finding]:
    """What can be read off the inputs of each norm."""
    try:
        found = places(bench)
    except Inapplicable:
        return
    for each in found:
        if isinstance(each.module, BatchNorm) or not bool((each.given.std(0) > 0).any()):
            continue
        if each.together <= 2:
            severity: Severity = "error" if each.together == 1 else "warning"
            evidence = Evidence(name="numbers_normalised_together", value=each.together, threshold=3)
            values = {"layer": each.name, "numbers": each.together}
            message = "network.norm_of_one" if each.together == 1 else "network.norm_of_two"
            yield _finding(severity, message, values, evidence, BATCH, [each.name])
            return
    for each in found:
        epsilon, variance = float(each.module.eps), float(each.variances.median())  # type: ignore[arg-type]
        left = variance / (variance + epsilon) if variance + epsilon > 0 else 1.0
        if epsilon > LARGE and left < SWALLOWED:
            evidence = Evidence(name="variance_beside_epsilon", value=left, threshold=SWALLOWED, source="assumption")
            values = {"layer": each.name, "epsilon": epsilon, "variance": variance, "spread": math.sqrt(left)}
            yield _finding("warning", "network.norm_epsilon", values, evidence, EPSILON, [each.name])
            break
    missed = [each for each in found if each.axis_missed]
    if missed:
        first = missed[0]
        values = {
            "layer": first.name,
            "shape": str(tuple(first.given.shape)),
            "axis": first.features,
            "layers": len(missed),
        }
        evidence = Evidence(name="axis_of_the_features", value=float(first.features or 0), source="the layer before")
        yield _finding("note", "network.norm_axis", values, evidence, AXIS, [each.name for each in missed])


def _neighbours(bench: Bench) -> Iterator[Finding]:
    """Small batches: how much of a row's output is chance of the rows beside it."""
    size = bench.program.batch_size
    twin = bench.twin()
    twin.mode(True)
    layers: dict[str, nn.Module] = {
        name: each for name, each in twin.model.named_modules() if isinstance(each, BatchNorm) and each.training
    }
    if not layers or not 2 <= size <= FEW or len(bench.train) < POOL:
        return
    share = chance_of_neighbours(bench, twin, layers, size)
    if share > CHANCE:
        values = {"batch": size, "share": share, "layers": len(layers)}
        evidence = Evidence(name="chance_of_neighbours", value=share, threshold=CHANCE, source="assumption")
        yield _finding("warning", "network.norm_few_rows", values, evidence, BATCH, list(layers))


def chance_of_neighbours(bench: Bench, twin: Twin, layers: dict[str, nn.Module], size: int) -> float:
    """The share of the variance of outputs that the other rows of a batch make, batch norm in training mode and nothing else random."""
    pool = bench.batch(POOL // size * size, "normalization")
    rng = bench.rng("normalization")
    found = []
    with norms_alone(twin.model, layers):
        for _ in range(DRAWS):
            order = torch.from_numpy(rng.permutation(pool.size))
            parts = [outputs_of(twin.result(some(pool, part))) for part in torch.split(order, size)]
            if any(part.shape[0] != size for part in parts):
                return 0.0
            found.append(torch.cat(parts)[order.argsort()].flatten(1).double())
    outputs = torch.stack(found)  # (draws, rows, numbers)
    whole = float(outputs.flatten(0, 1).var(0).mean())
    return float(outputs.var(0).mean()) / whole if whole > 0 else 0.0


def _statistics(bench: Bench) -> Iterator[Finding]:
    """Running statistics at the end of the run."""
    if not bench.program.train_mode or not bench.program.eval_mode:
        return
    started = bench.twin()
    started.mode(True)
    start = held(tracking(started.model))
    if not start:
        return
    twin, batches = trained(bench, STEPS)
    twin.mode(True)
    layers = tracking(twin.model)
    batches = [batch for batch in batches if batch.size > 1]
    if set(layers) != set(start) or len(batches) < 2:
        return
    true = of_a_pass(twin, layers, batches)
    rows = bench.batch(JUDGED, "normalization")
    before = _losses(twin, rows)
    worse, left = [], []
    for end in range(LAST):
        found, told = at_the_end(bench, twin, layers, start, true, [batches[end % len(batches)]])
        put(layers, found)
        worse.append(_losses(twin, rows))
        left.append(max(told, key=lambda one: one.error))
    worst = sorted(left, key=lambda one: one.error)[LAST // 2]
    gap = torch.stack(worse).mean(0) - before
    cost, noise = float(gap.mean()), float(gap.std()) / math.sqrt(len(gap)) if len(gap) > 1 else 0.0
    level = abs(float(before.mean()))
    clear = cost > COSTS * max(level, 1e-12) and cost > 3 * noise
    if worst.error > WRONG and (clear or not math.isfinite(cost)):
        message = "network.norm_statistics_stand" if worst.left > STANDS else "network.norm_statistics_of_few"
        values = {
            "layer": worst.layer,
            "momentum": "None" if worst.momentum is None else f"{worst.momentum:g}",
            "left": worst.left,
            "error": worst.error,
            "loss": float(before.mean()),
            "worse": float(before.mean()) + cost,
            "updates": bench.updates,
            "batch": bench.program.batch_size,
        }
        evidence = Evidence(name="error_of_running_statistics", value=worst.error, threshold=WRONG, source="vocabulary")
        cost_seen = Evidence(name="loss_they_cost", value=cost, threshold=COSTS * level, source="paired, same weights")
        yield _finding("warning", message, values, (evidence, cost_seen), MOMENTUM, [worst.layer], "confirmed")


def _losses(twin: Twin, rows: Batch) -> Tensor:
    """The loss of each part of the judged rows, in evaluation mode."""
    parts = [some(rows, slice(start, start + CHUNK)) for start in range(0, rows.size, CHUNK)]
    return torch.tensor([twin.judged(part)[0] for part in parts], dtype=torch.float64)


def _finding(
    severity: Severity,
    message: str,
    values: dict[str, Any],
    evidence: Evidence | Sequence[Evidence],
    remedy: Remedy,
    layers: list[str],
    status: str = "",
) -> Finding:
    return Finding(
        fault="model.bad_normalization",
        severity=severity,
        message=message,
        values=values,
        evidence=(evidence,) if isinstance(evidence, Evidence) else tuple(evidence),
        remedies=(remedy,),
        confidence=0.9 if severity == "error" else 0.7 if severity == "warning" else 0.4,
        status=status or ("confirmed" if severity == "error" else "suspected"),  # type: ignore[arg-type]
        subject={"layers": layers},
    )
