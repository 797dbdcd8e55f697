"""Models whose loss is known in closed form."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "scalars.json").read_text(encoding="utf-8"))


class Quadratic(nn.Module):
    """f(w) = w'Hw / 2 + g'w, in two parameters, whatever the batch; its trainable weights are w."""

    def __init__(self, hessian: Tensor, weights: Tensor, slope: Tensor | None = None) -> None:
        super().__init__()
        self.hessian, self.slope = hessian, torch.zeros_like(weights) if slope is None else slope
        cut = len(weights) // 2
        self.first, self.rest = nn.Parameter(weights[:cut].clone()), nn.Parameter(weights[cut:].clone())

    def forward(self, x: Tensor) -> Tensor:
        w = torch.cat([self.first, self.rest])
        return (0.5 * w @ self.hessian @ w + self.slope @ w) * torch.ones(len(x), 1, dtype=w.dtype)


def output(outputs: Tensor, target: Tensor) -> Tensor:
    """A loss that is the mean of the outputs."""
    return outputs.mean()


ROWS = [(torch.zeros(3, 1), torch.zeros(3)), (torch.zeros(2, 1), torch.zeros(2))]


def with_spectrum(values: Tensor, seed: int = 0) -> Tensor:
    """A symmetric matrix with these eigenvalues."""
    drawn = torch.randn(len(values), len(values), generator=torch.Generator().manual_seed(seed), dtype=values.dtype)
    turned = torch.linalg.qr(drawn).Q
    return turned @ torch.diag(values) @ turned.T


def small_net(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).to(dtype)


def uneven_batches(dtype: torch.dtype = torch.float64) -> list[tuple[Tensor, Tensor]]:
    """17 rows of three classes in batches of 10, 1 and 6."""
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(17, 4, generator=generator).to(dtype), torch.randint(3, (17,), generator=generator)
    return [(x[:10], y[:10]), (x[10:11], y[10:11]), (x[11:], y[11:])]


def whole(batches: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def full_hessian(model: nn.Module, loss: Any, x: Tensor, y: Tensor) -> Tensor:
    """By torch.func, over all parameters as one vector."""
    names = [name for name, _ in model.named_parameters()]
    shapes = [parameter.shape for parameter in model.parameters()]
    sizes = [parameter.numel() for parameter in model.parameters()]

    def value(flat: Tensor) -> Tensor:
        parts = [part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)]
        return loss(torch.func.functional_call(model, dict(zip(names, parts, strict=True)), (x,)), y)

    flat = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script`", DeprecationWarning)  # torch's own, on first use
        return torch.func.hessian(value)(flat)
