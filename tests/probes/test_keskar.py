import itertools

import pytest
import torch
from torch import nn

from tests.probes.cases import GOLDEN, ROWS, Quadratic, output, small_net, uneven_batches, with_spectrum
from tunesmith.doctor.probes import keskar_sharpness
from tunesmith.records import ModelError, RecipeError


@pytest.mark.parametrize("case", GOLDEN["keskar_sharpness_full_space"])
@pytest.mark.parametrize("seed", range(3))
def test_the_golden_quadratics(case, seed):
    model = Quadratic(
        torch.diag(torch.tensor(case["diag"], dtype=torch.float64)), torch.tensor(case["x"], dtype=torch.float64)
    )

    found = keskar_sharpness(model, output, ROWS, epsilon=case["eps"], seed=seed)

    assert found.value == pytest.approx(case["sharpness"], rel=1e-9)


@pytest.mark.parametrize("epsilon", [1e-3, 5e-4])
def test_it_reaches_the_worst_corner_of_the_box(epsilon):
    w = torch.randn(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hessian = with_spectrum(torch.linspace(-1, 4, 8, dtype=torch.float64))
    slope = torch.linspace(-1, 1, 8, dtype=torch.float64)  # far from a minimum: the box is nearly linear
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=8)), dtype=torch.float64)
    places = w + corners * epsilon * (w.abs() + 1)
    losses = 0.5 * ((places @ hessian) * places).sum(1) + places @ slope
    start = float(0.5 * w @ hessian @ w + slope @ w)

    found = keskar_sharpness(Quadratic(hessian, w, slope), output, ROWS, epsilon=epsilon)

    assert found.value == pytest.approx(100 * (losses.max().item() - start) / (1 + start), rel=1e-7)
    assert found.error <= found.value


def test_a_maximum_inside_the_box_is_found():
    hessian = torch.diag(torch.tensor([-2.0, -3.0, -0.5], dtype=torch.float64))
    slope = torch.tensor([4e-4, -6e-4, 1e-4], dtype=torch.float64)  # the top lies at -H⁻¹g: 2e-4, -2e-4, 2e-4
    model = Quadratic(hessian, torch.zeros(3, dtype=torch.float64), slope)

    found = keskar_sharpness(model, output, ROWS, epsilon=1e-3)

    highest = float(-0.5 * slope @ torch.linalg.solve(hessian, slope))
    assert found.value == pytest.approx(100 * highest, rel=1e-3)


def test_a_subspace_looks_along_its_columns_alone():
    model = Quadratic(torch.eye(40, dtype=torch.float64) * 3, torch.zeros(40, dtype=torch.float64))

    full = keskar_sharpness(model, output, ROWS)
    few = keskar_sharpness(model, output, ROWS, directions=4, seed=1)

    assert full.value == pytest.approx(100 * 0.5 * 3 * 40 * 1e-6, rel=1e-9)
    drawn = torch.randn(40, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    columns = drawn / drawn.norm(dim=0)
    steps = torch.tensor(list(itertools.product((-1e-3, 1e-3), repeat=4)), dtype=torch.float64) @ columns.T
    corners = 100 * 1.5 * steps.square().sum(1)
    assert min(abs(corners - few.value)) < 1e-9 * corners.max()  # a corner: which one is a matter of the start
    assert few.value >= corners.median()


def test_the_box_of_a_subspace_is_set_by_the_pseudo_inverse():
    w = torch.linspace(1, 2, 30, dtype=torch.float64)
    model = Quadratic(torch.zeros(30, 30, dtype=torch.float64), w, torch.ones(30, dtype=torch.float64))

    found = keskar_sharpness(model, output, ROWS, directions=5, seed=2)

    drawn = torch.randn(30, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    columns = drawn / drawn.norm(dim=0)
    box = 1e-3 * ((torch.linalg.pinv(columns) @ w).abs() + 1)
    highest = float((columns.sum(0).abs() * box).sum())  # of a linear loss
    assert found.value == pytest.approx(100 * highest / (1 + w.sum().item()), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_net_of_either_precision(dtype):
    batches = uneven_batches(dtype)

    full = keskar_sharpness(small_net(dtype), nn.CrossEntropyLoss(), batches)
    subspace = keskar_sharpness(small_net(dtype), nn.CrossEntropyLoss(), batches, directions=20)

    assert full.value > subspace.value > 0
    assert full.value == pytest.approx(
        keskar_sharpness(small_net(), nn.CrossEntropyLoss(), uneven_batches()).value, rel=1e-3
    )


def test_wrong_use_is_told():
    model = Quadratic(torch.eye(4), torch.zeros(4))

    with pytest.raises(RecipeError, match="from 1 to 3 were expected"):
        keskar_sharpness(model, output, ROWS, directions=100)
    with pytest.raises(RecipeError, match="above 0"):
        keskar_sharpness(model, output, ROWS, epsilon=0)
    with pytest.raises(ModelError, match="divides by 1"):
        keskar_sharpness(Quadratic(-torch.eye(4), 2 * torch.ones(4)), output, ROWS)
