"""Can a generator make this sample? Search its input for the one that comes nearest. Metz et al., Unrolled GAN, arXiv:1611.02163.

Legend: G the generator, z its input, x a sample.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.generative.distances import slices
from tunesmith.generative.measures import MEASURES
from tunesmith.generative.points import tensor
from tunesmith.records import DataError, ModelError, RecipeError

Array = np.ndarray[Any, Any]
Draw = Callable[[int, torch.Generator], Tensor]  # how many inputs, drawn as in the training of the generator
STARTS, STEPS, RATE = 3, 200, 0.1  # assumption: enough where a second start rarely finds less; see `by_start`
BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """`errors` (N,) is the least mean squared error found for each sample, `by_start` (S, N) what each start came to.

    `inputs` (N, …) are the z found, and `started` the error before the search, the least of the starts.
    """

    errors: Array
    by_start: Array
    inputs: Array
    started: float

    @property
    def error(self) -> float:
        return float(self.errors.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceGap:
    """Errors of samples that the generator was trained on, and of held-out ones.

    `gap` = test - train, with its standard error. Both high: the generator lacks what the data have; train low and test high,
    above twice the standard error: it learnt its samples by heart.
    """

    train: Inference
    test: Inference

    @property
    def gap(self) -> float:
        return self.test.error - self.train.error

    @property
    def standard_error(self) -> float:
        return float(np.sqrt(sum(one.errors.var(ddof=1) / len(one.errors) for one in (self.train, self.test))))


@MEASURES.add("inference")
def inference(
    generator: nn.Module,
    samples: Any,
    latent: int | Draw,
    *,
    starts: int = STARTS,
    steps: int = STEPS,
    rate: float = RATE,
    seed: int = 0,
) -> Inference:
    """min over z of |G(z) - x|² / D for each sample x, by Adam from several random starts.

    Shapes: `samples` (N, …) as the generator makes them, `latent` the width of a normal z, or a function that draws inputs. All
    samples and starts are searched at once, each on its own; the generator is held in evaluation mode, its weights and their
    gradients are left as they were. The best z on the way counts, not the last.

    The error is an upper bound: where `by_start` differs much, give more starts or steps before you call a mode missing. It
    is in the units of the samples squared; scale both alike.

    Raises `DataError` for samples of another shape than the generator makes, `ModelError` where no gradient comes back to
    z, `RecipeError` for settings out of range.
    Use: samples of your own choice, such as rare classes; held out against trained on, `inference_gap`.
    Source: Metz et al., arXiv:1611.02163 (there by L-BFGS); train against test: Xiang & Li, arXiv:1704.03971.

    >>> _ = torch.manual_seed(0)
    >>> found = inference(nn.Linear(2, 2), [[0.5, 0.5], [0.0, -1.0]], 2)
    >>> found.error < 1e-4 < found.started
    True
    """
    whole = all(isinstance(one, int) and not isinstance(one, bool) and one >= 1 for one in (starts, steps))
    if not whole or not 0 < rate < float("inf"):
        raise RecipeError(f"starts = {starts!r}, steps = {steps!r}, rate = {rate!r}: numbers above 0 were expected")
    wanted = tensor(samples, "samples")
    if wanted.ndim < 2 or not len(wanted) or not bool(torch.isfinite(wanted).all()):
        raise DataError(
            f"samples came with shape {tuple(wanted.shape)}; expected finite numbers (N, …), a row a sample"
        )
    draw, like = _draw(latent), _like(generator)
    wanted = wanted.to(like)
    random = torch.Generator().manual_seed(seed)
    found = []
    with _still(generator):
        for _ in range(starts):
            first = draw(len(wanted), random).to(like)
            parts = [_search(generator, wanted[rows], first[rows], steps, rate) for rows in slices(len(wanted), BATCH)]
            found.append([torch.cat(one) for one in zip(*parts, strict=True)])
    errors, inputs, before = (torch.stack([one[place] for one in found]) for place in range(3))
    least = errors.argmin(dim=0)
    return Inference(
        errors=errors.min(dim=0).values.double().cpu().numpy(),
        by_start=errors.double().cpu().numpy(),
        inputs=inputs[least, torch.arange(len(wanted), device=least.device)].cpu().numpy(),
        started=float(before.min(dim=0).values.mean()),
    )


def inference_gap(
    generator: nn.Module,
    train: Any,
    test: Any,
    latent: int | Draw,
    *,
    starts: int = STARTS,
    steps: int = STEPS,
    rate: float = RATE,
    seed: int = 0,
) -> InferenceGap:
    """`inference` of training samples and of held-out ones, two or more of each. Raises as `inference` does.

    Source: Xiang & Li, arXiv:1704.03971.
    """
    found = [
        inference(generator, one, latent, starts=starts, steps=steps, rate=rate, seed=seed) for one in (train, test)
    ]
    if min(len(one.errors) for one in found) < 2:
        raise DataError("there is one training or one test sample; give two or more of each, better some hundreds")
    return InferenceGap(train=found[0], test=found[1])


def _search(
    generator: nn.Module, wanted: Tensor, first: Tensor, steps: int, rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Least errors (B,), the inputs that gave them, and the errors of the start; samples do not see each other."""
    z = first.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=rate)
    best, inputs = torch.full((len(wanted),), torch.inf).to(wanted), first.clone()
    start = best
    for step in range(steps + 1):
        made = generator(z)
        if step == 0:
            _check(made, wanted)
        errors = (made - wanted).square().flatten(1).mean(dim=1)
        better = errors.detach() < best
        best = torch.where(better, errors.detach(), best)
        inputs[better] = z.detach()[better]
        start = best if step == 0 else start
        if step < steps:
            (z.grad,) = torch.autograd.grad(errors.sum(), z)
            optimizer.step()
    return best, inputs, start


def _check(made: Any, wanted: Tensor) -> None:
    if not isinstance(made, Tensor) or made.shape != wanted.shape:
        came = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        raise DataError(
            f"the generator made {came} for samples of shape {tuple(wanted.shape)}; give samples as it makes them"
        )
    if not made.requires_grad:
        raise ModelError("the generator passes no gradient back to its input; call it without no_grad and detach")


def _draw(latent: int | Draw) -> Draw:
    if callable(latent):
        return latent
    if isinstance(latent, bool) or not isinstance(latent, int) or latent < 1:
        raise RecipeError(
            f"latent = {latent!r}: the width of z, 1 or more, or a function that draws inputs was expected"
        )
    return lambda count, random: torch.randn(count, latent, generator=random)


def _like(generator: nn.Module) -> Tensor:
    """A tensor of the generator, for its device and precision."""
    if not isinstance(generator, nn.Module):
        raise ModelError(f"the generator is a {type(generator).__name__}; an nn.Module was expected")
    return next((one for one in generator.parameters() if one.is_floating_point()), torch.empty(0))


@contextmanager
def _still(generator: nn.Module) -> Iterator[None]:
    """Evaluation mode, in which samples of a batch do not see each other; every module's own mode is put back."""
    modes = [(module, module.training) for module in generator.modules()]
    generator.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
