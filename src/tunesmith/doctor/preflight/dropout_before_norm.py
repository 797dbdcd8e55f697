"""dropout_before_norm: dropout shifts the variance that a later batch norm learns, and evaluation has none of it.

Sees      for each batch norm, the variance of its inputs with dropout on over that with dropout off, after some of the program's updates on a
          copy; and the loss in evaluation with running statistics taken with dropout, and with those taken without, on the same rows.
Matters   in evaluation batch norm divides by a spread that its inputs no longer have.
Remedies  dropout after the last norm; none beside batch norm.
Limits    a note, and only where the loss shows it. Dropout by a function, not a module, is not switched. Statistics are those
          of one pass over few batches.
Source    Li, Chen, Hu & Yang, Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift, arXiv:1801.05134,
          section 3.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.catalogue import check
from tunesmith.doctor.preflight.courses import undisturbed
from tunesmith.doctor.preflight.net_graph import as_it_is
from tunesmith.doctor.preflight.running_statistics import Statistics, held, norms_alone, put, tracking, trained
from tunesmith.doctor.preflight.scoring import need_step, some
from tunesmith.doctor.preflight.seeing import plain, quiet
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS, Inapplicable
from tunesmith.training.batch import Batch

STEPS = 30  # updates before it is looked at, and batches after them; assumption
SHIFTED = 1.2  # times the variance; assumption: arXiv:1801.05134 finds no harm below
COSTS = 0.01  # of the loss; assumption
JUDGED, CHUNK = 256, 32  # rows the loss is taken on, in parts of so many; assumption

AFTER = Remedy(title="remedy.advice_dropout_after_norm", safety=Safety.ADVICE)


@check("dropout_before_norm", faults=("model.bad_normalization",), cost=PASS)
def dropout_before_norm(bench: Bench) -> Iterator[Finding]:
    program = bench.program
    if not dropouts(program.model) or not program.train_mode or not program.eval_mode:
        raise Inapplicable("the net has no dropout that is on in training alone")
    if not any(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in program.model.modules()):
        raise Inapplicable("the net has no batch norm")
    need_step(bench)
    if not plain(bench) or not as_it_is(bench):
        raise Inapplicable("the program's step prepares what the net is given")
    with undisturbed(bench), quiet():
        yield from _look(bench)


def _look(bench: Bench) -> Iterator[Finding]:
    steps = min(STEPS, bench.updates)
    twin, batches = trained(bench, steps)
    twin.mode(True)
    layers = tracking(twin.model)
    batches = [batch for batch in batches if batch.size > 1]
    if not layers or not batches:
        raise Inapplicable("no batch norm keeps statistics")
    noisy, given_noisy = statistics(twin, layers, batches, dropping=True)
    calm, given_calm = statistics(twin, layers, batches, dropping=False)
    ratios = {name: shift(given_noisy[name], given_calm[name]) for name in layers if name in given_calm}
    worst = max(ratios, key=lambda name: ratios[name])
    bench.measured["dropout_before_norm.ratio"] = ratios[worst]
    if not ratios[worst] > SHIFTED:
        return
    rows = bench.batch(JUDGED, "dropout_before_norm")
    with_dropout, without = _losses(twin, rows, layers, noisy), _losses(twin, rows, layers, calm)
    gap = with_dropout - without
    noise = float(gap.std()) / math.sqrt(len(gap)) if len(gap) > 1 else 0.0
    loss, true = float(with_dropout.mean()), float(without.mean())
    if loss - true > max(COSTS * abs(true), 2 * noise):
        shifted = [name for name in ratios if ratios[name] > SHIFTED]
        yield _finding(worst, ratios[worst], steps, loss, true, shifted)


def dropouts(model: nn.Module) -> list[nn.Module]:
    """Dropout layers that drop something."""
    return [each for each in model.modules() if isinstance(each, nn.modules.dropout._DropoutNd) and each.p > 0]


def statistics(
    twin: Twin, layers: dict[str, nn.Module], batches: Sequence[Batch], *, dropping: bool
) -> tuple[Statistics, dict[str, Tensor]]:
    """Running statistics of a pass, each batch counted alike, and the variance of what each layer is given by channel."""
    momenta = {name: each.momentum for name, each in layers.items()}
    seen: dict[str, list[Tensor]] = {}

    def noted(name: str) -> Callable[[nn.Module, Any], None]:
        def hook(module: nn.Module, given: Any) -> None:
            seen.setdefault(name, []).append(given[0].double().transpose(0, 1).flatten(1).var(1, correction=0))

        return hook

    handles = [each.register_forward_pre_hook(noted(name)) for name, each in layers.items()]
    try:
        with norms_alone(twin.model, layers):
            for each in layers.values():
                each.reset_running_stats()  # type: ignore[operator]
                each.momentum = None  # type: ignore[assignment]
            for each in dropouts(twin.model):
                each.training = dropping
            for batch in batches:
                twin.result(batch)
    finally:
        for handle in handles:
            handle.remove()
        for name, each in layers.items():
            each.momentum = momenta[name]
    return held(layers), {name: torch.stack(found).mean(0) for name, found in seen.items()}


def shift(noisy: Tensor, calm: Tensor) -> float:
    """The median over channels of the ratio of two variances; 1 where no channel varies."""
    ratio = (noisy / calm)[calm > 0]
    return float(ratio.median()) if len(ratio) else 1.0


def _losses(twin: Twin, rows: Batch, layers: dict[str, nn.Module], found: Statistics) -> Tensor:
    put(layers, found)
    parts = [some(rows, slice(start, start + CHUNK)) for start in range(0, rows.size, CHUNK)]
    return torch.tensor([twin.judged(part)[0] for part in parts], dtype=torch.float64)


def _finding(layer: str, ratio: float, steps: int, loss: float, true: float, layers: list[str]) -> Finding:
    return Finding(
        fault="model.bad_normalization",
        severity="note",
        message="advice.dropout_before_norm",
        values={"layer": layer, "ratio": ratio, "steps": steps, "loss": loss, "true": true},
        evidence=(
            Evidence(
                name="variance_with_dropout_over_without", value=ratio, threshold=SHIFTED, source="arXiv:1801.05134"
            ),
            Evidence(name="evaluation_loss", value=loss, threshold=true, source="statistics without dropout"),
        ),
        remedies=(AFTER,),
        confidence=0.6,
        status="confirmed",
        subject={"layers": layers},
    )
