"""The ends of the Hessian's spectrum, and its trace, from products with vectors: the Hessian is never built."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tunesmith.doctor.probes.lanczos import ends
from tunesmith.doctor.probes.sharpness import RESCALING, Sharpness
from tunesmith.records import RecipeError
from tunesmith.training.fixed import fixed_loss


@dataclass(frozen=True, slots=True, kw_only=True)
class HessianEnds:
    """The largest and the smallest eigenvalue; each has its own error, the passes are those of both."""

    top: Sharpness
    bottom: Sharpness
    iterations: int
    passes: int
    caveat: str = RESCALING

    @property
    def largest_rate(self) -> float:
        """2 / top: above it gradient descent leaves this place (Cohen et al., arXiv:2103.00065); infinite without curvature."""
        return 2 / self.top.value if self.top.value > 0 else math.inf


def hessian_ends(
    model: nn.Module, loss: Any, batches: Any, *, iterations: int = 30, seed: int = 0, differences: bool = False
) -> HessianEnds:
    """λ_max and λ_min of ∂²f/∂w² over the trainable weights, f the mean loss over the batches in evaluation mode.

    By Lanczos with full reorthogonalisation, so that a large negative eigenvalue does not hide the top one. `error` is the
    residual ‖H y - λ y‖: some eigenvalue lies that near; `top` is never above the true one by more than rounding, and a
    small residual after more iterations says that it is the end. Cost: 4 (iterations + 2) passes over the batches;
    memory: `iterations` vectors as long as the weights, so 30 times the model. Model, gradients, modes and random
    generators are left as they were. `differences=True` takes the products by differences of gradients, at the same cost
    and with half of the digits, for layers that torch can differentiate only once.
    Raises `RecipeError` for fewer than 1 iteration, `ModelError` where the loss is not finite or has no second
    derivative.
    Use: to see how large a rate a place bears (2 / top) and whether it is a saddle (bottom below 0); not to rank
    different architectures.

    >>> model = nn.Linear(1, 1, bias=False).double()
    >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)  # f = mean (w x - y)², f'' = 2 mean x² = 10
    >>> round(hessian_ends(model, nn.MSELoss(), [(x, x)]).top.value, 9)
    10.0

    Source: Golub & Van Loan, section 10.3; products by Pearlmutter, Neural Computation 6 (1994).
    """
    if iterations < 1:
        raise RecipeError(f"iterations = {iterations}: at least 1 was expected; 30 find the ends of most nets")
    with fixed_loss(model, loss, batches) as fixed:
        product = fixed.differences if differences else fixed.product
        top, bottom, made = ends(product, fixed.zeros(), iterations, seed)
        spent = fixed.passes
    return HessianEnds(
        top=Sharpness(value=top.value, error=top.residual, passes=spent),
        bottom=Sharpness(value=bottom.value, error=bottom.residual, passes=spent),
        iterations=made,
        passes=spent,
    )


def hessian_trace(
    model: nn.Module, loss: Any, batches: Any, *, samples: int = 32, seed: int = 0, differences: bool = False
) -> Sharpness:
    """tr H = E v'Hv over v of random signs; the mean of the samples, `error` its standard error.

    The variance of one sample is 2 (‖H‖² - Σ H_ii²): none where H is diagonal. Cost: 4 passes a sample.
    Raises `RecipeError` for fewer than 2 samples.
    Use: for the mean curvature, tr H / n; not for the worst direction, which `hessian_ends` gives.
    Source: Hutchinson, Communications in Statistics 18 (1989).
    """
    if samples < 2:
        raise RecipeError(f"samples = {samples}: at least 2 were expected, or there is no standard error; try 32")
    generator = torch.Generator().manual_seed(seed)
    with fixed_loss(model, loss, batches) as fixed:
        product = fixed.differences if differences else fixed.product
        found = []
        for _ in range(samples):
            signs = torch.randint(2, (fixed.size,), generator=generator, dtype=torch.int8).to(fixed.zeros()) * 2 - 1
            found.append(float(signs @ product(signs)))
        spent = fixed.passes
    values = torch.tensor(found, dtype=torch.float64)
    return Sharpness(value=float(values.mean()), error=float(values.std()) / math.sqrt(samples), passes=spent)
