import pytest
import torch
from scipy.optimize import brentq

from tests.probes.cases import GOLDEN, ROWS, Quadratic, output, with_spectrum
from tunesmith.doctor.probes import epsilon_sharpness
from tunesmith.records import RecipeError

QUADRATIC = GOLDEN["quadratic"]


def test_one_step_is_that_of_sam():
    hessian, w = (torch.tensor(QUADRATIC[name], dtype=torch.float64) for name in ("H", "w"))
    moved = torch.tensor(QUADRATIC["sam"]["perturbed_w"], dtype=torch.float64)

    found = epsilon_sharpness(Quadratic(hessian, w), output, ROWS, radius=QUADRATIC["sam"]["rho"], steps=1)

    assert found.value == pytest.approx(float(0.5 * moved @ hessian @ moved) - QUADRATIC["loss"], rel=1e-9)


def worst_in_ball(hessian: torch.Tensor, w: torch.Tensor, radius: float) -> float:
    """max of e'He/2 + g'e on the sphere: e = (m - H)⁻¹ g with m above all eigenvalues and ‖e‖ the radius."""
    gradient, top = hessian @ w, torch.linalg.eigvalsh(hessian)[-1].item()

    def step(multiplier: float) -> torch.Tensor:
        return torch.linalg.solve(multiplier * torch.eye(len(w), dtype=w.dtype) - hessian, gradient)

    multiplier = brentq(lambda m: float(step(m).norm()) - radius, top + 1e-9, top + 1e6, xtol=1e-14)
    e = step(multiplier)
    return float(0.5 * e @ hessian @ e + gradient @ e)


@pytest.mark.parametrize("radius", [0.05, 1.0])
def test_the_worst_of_a_quadratic_ball(radius):
    hessian = with_spectrum(torch.linspace(-2, 5, 10, dtype=torch.float64))
    w = torch.linspace(-1, 1, 10, dtype=torch.float64)

    found = epsilon_sharpness(Quadratic(hessian, w), output, ROWS, radius=radius, steps=200)

    assert found.value == pytest.approx(worst_in_ball(hessian, w, radius), rel=1e-6)


def test_the_adaptive_ball_is_a_plain_one_of_scaled_weights():
    hessian = with_spectrum(torch.linspace(0.5, 5, 10, dtype=torch.float64))
    w = torch.linspace(0.2, 2, 10, dtype=torch.float64)
    scaled = w[:, None] * hessian * w  # e = |w| u: the curvature in u

    found = epsilon_sharpness(Quadratic(hessian, w), output, ROWS, radius=0.3, adaptive=True, steps=200)

    assert found.value == pytest.approx(worst_in_ball(scaled, torch.ones(10, dtype=torch.float64), 0.3), rel=1e-6)


def test_a_minimum_is_left_by_the_top_direction():
    hessian = with_spectrum(torch.tensor([1.0, 2.0, 3.0, 9.0], dtype=torch.float64))

    found = epsilon_sharpness(Quadratic(hessian, torch.zeros(4, dtype=torch.float64)), output, ROWS, radius=0.1)

    assert found.value == pytest.approx(0.5 * 9 * 0.01, rel=1e-6)
    assert found.error < 1e-6


def test_at_a_maximum_nothing_is_higher():
    model = Quadratic(-torch.eye(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64))

    assert epsilon_sharpness(model, output, ROWS).value == 0


def test_wrong_use_is_told():
    with pytest.raises(RecipeError, match="above 0"):
        epsilon_sharpness(Quadratic(torch.eye(4), torch.ones(4)), output, ROWS, radius=0)
