import math

import pytest
import torch
from torch import nn

from tests.probes.cases import (
    GOLDEN,
    ROWS,
    Quadratic,
    full_hessian,
    output,
    small_net,
    uneven_batches,
    whole,
    with_spectrum,
)
from tunesmith.blocks.losses import LOSSES
from tunesmith.doctor.probes import hessian_ends, hessian_trace
from tunesmith.records import DataError, ModelError, RecipeError

QUADRATIC = GOLDEN["quadratic"]


def golden() -> Quadratic:
    return Quadratic(
        torch.tensor(QUADRATIC["H"], dtype=torch.float64), torch.tensor(QUADRATIC["w"], dtype=torch.float64)
    )


def test_the_golden_quadratic_has_its_top_eigenvalue_and_trace():
    ends = hessian_ends(golden(), output, ROWS)
    trace = hessian_trace(golden(), output, ROWS, samples=400)

    assert ends.top.value == pytest.approx(QUADRATIC["top_eigenvalue_algebraic"], rel=1e-9)
    assert ends.top.error < 1e-9
    assert abs(trace.value - QUADRATIC["trace"]) < 4 * trace.error


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_both_ends_are_found_where_the_largest_magnitude_is_negative(dtype):
    values = torch.cat([torch.linspace(-1, 1, 58, dtype=torch.float64), torch.tensor([3.0, -7.0], dtype=torch.float64)])
    model = Quadratic(with_spectrum(values).to(dtype), torch.ones(60, dtype=dtype))

    ends = hessian_ends(model, output, ROWS, iterations=40, seed=3)

    tolerance = 1e-8 if dtype == torch.float64 else 1e-4
    assert ends.top.value == pytest.approx(3.0, abs=tolerance)
    assert ends.bottom.value == pytest.approx(-7.0, abs=tolerance)
    assert max(ends.top.error, ends.bottom.error) < 10 * tolerance


@pytest.mark.parametrize("iterations", [2, 5, 10])
def test_an_eigenvalue_lies_within_the_error_before_it_has_converged(iterations):
    values = torch.linspace(-2, 5, 50, dtype=torch.float64)
    model = Quadratic(with_spectrum(values), torch.ones(50, dtype=torch.float64))

    ends = hessian_ends(model, output, ROWS, iterations=iterations)

    for end in (ends.top, ends.bottom):
        assert (values - end.value).abs().min() <= end.error
    assert ends.top.value <= 5 + 1e-12
    assert ends.bottom.value >= -2 - 1e-12
    assert ends.passes == 4 * (iterations + 2)


def test_the_space_may_be_exhausted():
    model = Quadratic(torch.eye(8, dtype=torch.float64) * 2, torch.ones(8, dtype=torch.float64))

    ends = hessian_ends(model, output, ROWS)

    assert (ends.iterations, ends.top.value, ends.bottom.value) == (1, pytest.approx(2), pytest.approx(2))


def test_a_linear_loss_has_no_curvature():
    model = Quadratic(torch.zeros(4, 4), torch.ones(4), slope=torch.ones(4))
    straight = nn.Linear(2, 1)

    assert hessian_ends(model, output, ROWS).top.value == 0
    assert hessian_ends(straight, output, [(torch.ones(3, 2), torch.zeros(3))]).largest_rate == math.inf
    assert hessian_trace(straight, output, [(torch.ones(3, 2), torch.zeros(3))]).value == 0


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), LOSSES["cross_entropy"](), nn.functional.cross_entropy])
def test_a_net_on_uneven_batches_has_the_spectrum_of_the_full_hessian(loss):
    model, batches = small_net(), uneven_batches()
    exact = full_hessian(model, nn.CrossEntropyLoss(), *whole(batches))
    values = torch.linalg.eigvalsh(exact)

    ends = hessian_ends(model, loss, batches, iterations=51)
    trace = hessian_trace(model, loss, batches, samples=300)

    assert ends.top.value == pytest.approx(values[-1].item(), rel=1e-7)
    assert ends.bottom.value == pytest.approx(values[0].item(), rel=1e-7)
    assert abs(trace.value - exact.trace()) < 4 * trace.error
    expected = math.sqrt(2 * (exact.square().sum() - exact.diagonal().square().sum()) / 300)  # Hutchinson's variance
    assert trace.error == pytest.approx(expected, rel=0.2)


def test_class_weights_and_ignored_labels_divide_as_the_whole_batch():
    model, batches = small_net(), uneven_batches()
    batches[0][1][:4] = -100
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.2], dtype=torch.float64))
    top = torch.linalg.eigvalsh(full_hessian(model, loss, *whole(batches)))[-1].item()

    ends = hessian_ends(model, loss, batches, iterations=51)

    assert ends.top.value == pytest.approx(top, rel=1e-7)


def test_frozen_weights_are_left_out():
    model, batches = small_net(), uneven_batches()
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    exact = full_hessian(model, nn.CrossEntropyLoss(), *whole(batches))[30:, 30:]  # the first layer is 4 x 6 + 6

    ends = hessian_ends(model, nn.CrossEntropyLoss(), batches)

    assert ends.top.value == pytest.approx(torch.linalg.eigvalsh(exact)[-1].item(), rel=1e-7)


def test_a_layer_that_is_differentiable_only_once_goes_by_differences():
    torch.manual_seed(0)
    bag = nn.Sequential(nn.EmbeddingBag(7, 3, mode="mean"), nn.Tanh(), nn.Linear(3, 2)).double()
    x, y = torch.randint(7, (9, 4)), torch.arange(9) % 2
    same = nn.Sequential(nn.Embedding(7, 3), Mean(), nn.Tanh(), nn.Linear(3, 2)).double()
    nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(bag.parameters()), same.parameters())

    exact = hessian_ends(same, nn.CrossEntropyLoss(), [(x, y)], iterations=29)
    found = hessian_ends(bag, nn.CrossEntropyLoss(), [(x, y)], iterations=29, differences=True)

    assert found.top.value == pytest.approx(exact.top.value, rel=1e-6)
    assert found.bottom.value == pytest.approx(exact.bottom.value, rel=1e-6)
    assert found.passes == 4 * (found.iterations + 2)
    trace = hessian_trace(bag, nn.CrossEntropyLoss(), [(x, y)], differences=True)
    assert trace.value == pytest.approx(hessian_trace(same, nn.CrossEntropyLoss(), [(x, y)]).value, rel=1e-6)
    with pytest.raises(ModelError, match="try differences=True"):
        hessian_ends(bag, nn.CrossEntropyLoss(), [(x, y)])


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1)


class Tied(nn.Module):
    """One weight in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(torch.tanh(self.one(x)))


def test_a_shared_weight_counts_once():
    torch.manual_seed(0)
    model, x, y = Tied().double(), torch.randn(9, 3).double(), torch.randn(9, 3).double()
    top = torch.linalg.eigvalsh(full_hessian(model, nn.MSELoss(), x, y))[-1].item()

    assert hessian_ends(model, nn.MSELoss(), [(x, y)]).top.value == pytest.approx(top, rel=1e-9)


def test_attention_has_second_derivatives():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True).double()
    x, y = torch.randn(3, 5, 8).double(), torch.randn(3, 5, 8).double()

    ends = hessian_ends(layer, nn.MSELoss(), [(x, y)], iterations=60)

    direction = 1e-5 * torch.randn(sum(p.numel() for p in layer.parameters())).double()
    layer.eval()

    def value(sign: float) -> float:
        before = nn.utils.parameters_to_vector(layer.parameters()).detach().clone()
        nn.utils.vector_to_parameters(before + sign * direction, layer.parameters())
        found = nn.functional.mse_loss(layer(x), y).item()
        nn.utils.vector_to_parameters(before, layer.parameters())
        return found

    curvature = (value(1) - 2 * value(0) + value(-1)) / float(direction @ direction)  # by differences of the loss
    assert ends.bottom.value < curvature < ends.top.value


@pytest.mark.parametrize(("factor", "diverges"), [(0.99, False), (1.01, True)])
def test_gradient_descent_diverges_above_two_over_the_top(factor, diverges):
    values = torch.linspace(0.1, 4, 12, dtype=torch.float64)
    model = Quadratic(with_spectrum(values), torch.ones(12, dtype=torch.float64))
    rate = factor * hessian_ends(model, output, ROWS).largest_rate
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses = []

    for _ in range(600):
        optimizer.zero_grad()
        losses.append(output(model(ROWS[0][0]), None))
        losses[-1].backward()
        optimizer.step()

    assert (losses[-1] > 100 * losses[0]).item() is diverges
    assert diverges or losses[-1] < 0.01 * losses[0]


def test_the_same_seed_gives_the_same_bits():
    first, again = (hessian_ends(small_net(), nn.CrossEntropyLoss(), uneven_batches(), iterations=5) for _ in range(2))
    other = hessian_ends(small_net(), nn.CrossEntropyLoss(), uneven_batches(), iterations=5, seed=1)

    assert first == again
    assert first != other


def test_wrong_use_is_told():
    model, batches = small_net(), uneven_batches()
    poisoned = [(torch.full((2, 4), torch.nan, dtype=torch.float64), torch.tensor([0, 1]))]

    with pytest.raises(RecipeError, match="at least 1 was expected"):
        hessian_ends(model, nn.CrossEntropyLoss(), batches, iterations=0)
    with pytest.raises(RecipeError, match="no standard error"):
        hessian_trace(model, nn.CrossEntropyLoss(), batches, samples=1)
    with pytest.raises(DataError, match="no batches"):
        hessian_ends(model, nn.CrossEntropyLoss(), [])
    with pytest.raises(ModelError, match="nan, a finite number was expected"):
        hessian_ends(model, nn.CrossEntropyLoss(), poisoned)
    with pytest.raises(ModelError, match="no trainable parameter"):
        hessian_ends(model.requires_grad_(False), nn.CrossEntropyLoss(), batches)
    with pytest.raises(ModelError, match="lazy parameters"):
        hessian_ends(nn.LazyLinear(2), nn.CrossEntropyLoss(), batches)
