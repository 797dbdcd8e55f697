"""What batch norm's running statistics will be at the end of a run, and what they should be: a tool of the checks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from tunesmith.doctor.preflight.bench import Bench
from tunesmith.doctor.preflight.courses import feeding
from tunesmith.doctor.preflight.seeing import quiet
from tunesmith.doctor.preflight.twin import Twin
from tunesmith.training.batch import Batch

BatchNorm = nn.modules.batchnorm._BatchNorm
Statistics = dict[str, tuple[Tensor, Tensor]]  # mean and variance by layer


@dataclass(frozen=True, slots=True)
class Left:
    """How a layer's statistics stand at the end of the run."""

    layer: str
    momentum: float | None
    left: float  # share of the initial values that is still in them
    error: float  # relative, the median over channels; of the mean in spreads


def tracking(model: nn.Module) -> dict[str, nn.Module]:
    """Batch norms that keep statistics in training and use them in evaluation."""
    return {
        name: each
        for name, each in model.named_modules()
        if isinstance(each, BatchNorm)
        and each.training
        and each.running_mean is not None
        and each.running_var is not None
    }


def held(layers: dict[str, nn.Module]) -> Statistics:
    """A copy of the statistics as they stand."""
    return {name: (each.running_mean.clone(), each.running_var.clone()) for name, each in layers.items()}  # type: ignore[operator]


def put(layers: dict[str, nn.Module], found: Statistics) -> None:
    """Statistics put in."""
    with torch.no_grad():
        for name, (mean, variance) in found.items():
            layers[name].running_mean.copy_(mean)  # type: ignore[operator]
            layers[name].running_var.copy_(variance)  # type: ignore[operator]


@contextmanager
def norms_alone(model: nn.Module, layers: dict[str, nn.Module]) -> Iterator[None]:
    """The model in evaluation mode but for these layers, so that nothing else is random."""
    modes = [(each, each.training) for each in model.modules()]
    try:
        model.eval()
        for each in layers.values():
            each.training = True
        with torch.no_grad(), quiet():
            yield
    finally:
        for each, mode in modes:
            each.training = mode


def of_a_pass(twin: Twin, layers: dict[str, nn.Module], batches: Sequence[Batch]) -> Statistics:
    """The statistics over batches, each counted alike, with the weights as they stand."""
    momenta = {name: each.momentum for name, each in layers.items()}
    with norms_alone(twin.model, layers):
        for each in layers.values():
            each.reset_running_stats()  # type: ignore[operator]
            each.momentum = None  # type: ignore[assignment]
        for batch in batches:
            twin.result(batch)
    for name, each in layers.items():
        each.momentum = momenta[name]
    return held(layers)


def at_the_end(
    bench: Bench, twin: Twin, layers: dict[str, nn.Module], start: Statistics, true: Statistics, last: Sequence[Batch]
) -> tuple[Statistics, list[Left]]:
    """The statistics that the run would end with, were the weights these all along: (1 - m)^T of the initial ones, and the last batches.

    Also how far each layer's are from the true ones.
    """
    passes = bench.updates * max(1, bench.program.accumulate)
    left = {name: _left(each.momentum, passes) for name, each in layers.items()}  # type: ignore[arg-type]
    mixed: Statistics = {}
    for name, share in left.items():
        (mean, variance), (mean_now, variance_now) = start[name], true[name]
        mixed[name] = share * mean + (1 - share) * mean_now, share * variance + (1 - share) * variance_now
    put(layers, mixed)
    with norms_alone(twin.model, layers):
        for batch in last:
            twin.result(batch)
    found = held(layers)
    told = [
        Left(name, layers[name].momentum, left[name], _error(found[name], true[name]))  # type: ignore[arg-type]
        for name in layers
    ]
    return found, told


def _left(momentum: float | None, passes: int) -> float:
    """torch: running ← (1 - momentum) · running + momentum · batch; None is the mean over all batches."""
    return 0.0 if momentum is None else float(max(0.0, 1.0 - momentum) ** passes)


def _error(found: tuple[Tensor, Tensor], true: tuple[Tensor, Tensor]) -> float:
    spread = true[1].clamp_min(1e-12).sqrt()
    mean = (found[0] - true[0]).abs() / spread
    variance = (found[1] / true[1].clamp_min(1e-12) - 1).abs()
    return float(torch.maximum(mean, variance).median())


def trained(bench: Bench, steps: int) -> tuple[Twin, list[Batch]]:
    """A copy after some of the program's own updates, and the batches that come next."""
    twin, feed = bench.twin(), feeding(bench)
    for window in islice(feed, steps):
        twin.step(window if len(window) > 1 else window[0])
    return twin, [batch for window in islice(feed, steps) for batch in window]
